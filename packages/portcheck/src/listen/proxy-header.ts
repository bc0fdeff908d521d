// The header of the PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt (2.8) has it. A load
// balancer sends it in front of a connection, to say whose connection it is.
import { isIPv4, isIPv6 } from 'node:net'

import { plainAddress } from '@proj/config/address'

import { normalisePeer, type Peer } from './peer.ts'

/** What the first bytes of a connection are. */
export type ProxyHeader =
  /** More bytes are needed. */
  | { readonly kind: 'incomplete' }
  /**
   * A whole header of `length` bytes. `source` is the client; undefined when the load balancer speaks for itself,
   * as in a health check, or does not know the client.
   */
  | { readonly kind: 'complete'; readonly length: number; readonly source: Peer | undefined }
  /** No header, or one that breaks the grammar. */
  | { readonly kind: 'invalid'; readonly why: string }

/** Section 2.1: the longest line of version 1, with its CR LF. */
const MAX_LINE_BYTES = 107

/** Bytes of a header of version 2 with all its extensions; the longest that balancers are known to send are some hundred. */
export const MAX_PROXY_HEADER_BYTES = 4096

const V1_BEGIN = Buffer.from('PROXY ', 'latin1')
/** Section 2.2: no protocol in use begins with it. */
const V2_BEGIN = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const V2_FIXED_BYTES = 16

/** Bytes of the addresses by family and transport, of streams only. */
const V2_ADDRESS_BYTES: Readonly<Record<number, number>> = { 0x11: 12, 0x21: 36, 0x31: 216 }

const INCOMPLETE: ProxyHeader = Object.freeze({ kind: 'incomplete' })

/** Reads a header from all bytes that have come so far. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsAlike(bytes, V2_BEGIN)) return readBinary(bytes)
  if (startsAlike(bytes, V1_BEGIN)) return readLine(bytes)
  return { kind: 'invalid', why: 'the connection does not begin with a PROXY protocol header' }
}

/**
 * Whether a connection begins with a header of the PROXY protocol, of version 1 or 2; for a port that does not take
 * one. False when fewer bytes have come than tell it.
 */
export function beginsWithProxyHeader(bytes: Buffer): boolean {
  return [V1_BEGIN, V2_BEGIN].some(
    (begin) => bytes.length >= begin.length && startsAlike(bytes, begin),
  )
}

function startsAlike(bytes: Buffer, begin: Buffer): boolean {
  const length = Math.min(bytes.length, begin.length)
  return bytes.subarray(0, length).equals(begin.subarray(0, length))
}

function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.indexOf('\r\n', 0, 'latin1')
  if (end < 0 || end + 2 > MAX_LINE_BYTES) {
    if (bytes.length < MAX_LINE_BYTES) return INCOMPLETE
    return { kind: 'invalid', why: `its line has no end within ${MAX_LINE_BYTES} bytes` }
  }
  const line = bytes.toString('latin1', 0, end)
  const length = end + 2
  // Section 2.1: whatever follows UNKNOWN is ignored.
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { kind: 'complete', length, source: undefined }
  const [, family, from, to, fromPort, toPort, rest] = line.split(' ')
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : undefined
  if (isAddress === undefined) {
    return { kind: 'invalid', why: 'its family is not TCP4, TCP6 or UNKNOWN' }
  }
  if (rest !== undefined || !isAddress(from ?? '') || !isAddress(to ?? '')) {
    return { kind: 'invalid', why: `it does not have two addresses of ${family ?? ''}` }
  }
  const port = portOf(fromPort)
  if (port === undefined || portOf(toPort) === undefined) {
    return { kind: 'invalid', why: 'it does not have two ports' }
  }
  return { kind: 'complete', length, source: normalisePeer(plain(from ?? ''), port) }
}

function readBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < V2_FIXED_BYTES) return INCOMPLETE
  const versionAndCommand = bytes.readUInt8(12)
  const familyAndTransport = bytes.readUInt8(13)
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14)
  if (versionAndCommand !== 0x20 && versionAndCommand !== 0x21) {
    return { kind: 'invalid', why: 'its version is not 2, or its command is not LOCAL or PROXY' }
  }
  if (length > MAX_PROXY_HEADER_BYTES) {
    return { kind: 'invalid', why: `it is longer than ${MAX_PROXY_HEADER_BYTES} bytes` }
  }
  const addressBytes = familyAndTransport === 0 ? 0 : V2_ADDRESS_BYTES[familyAndTransport]
  const isLocal = versionAndCommand === 0x20
  // Section 2.2: the addresses of LOCAL are ignored, whatever they are.
  if (!isLocal && addressBytes === undefined) {
    return { kind: 'invalid', why: 'its addresses are not those of a stream' }
  }
  if (!isLocal && length < V2_FIXED_BYTES + (addressBytes ?? 0)) {
    return { kind: 'invalid', why: 'it is shorter than its addresses' }
  }
  if (bytes.length < length) return INCOMPLETE
  const source = isLocal ? undefined : binarySource(bytes, familyAndTransport)
  return { kind: 'complete', length, source }
}

function binarySource(bytes: Buffer, familyAndTransport: number): Peer | undefined {
  if (familyAndTransport === 0x11) {
    const address = bytes.subarray(16, 20).join('.')
    return normalisePeer(address, bytes.readUInt16BE(24))
  }
  if (familyAndTransport !== 0x21) return undefined // a unix socket, or not known
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(16 + at * 2).toString(16))
  return normalisePeer(plain(groups.join(':')), bytes.readUInt16BE(48))
}

/** The one spelling of an address: a list or a limit must not see two of the same. */
function plain(address: string): string {
  if (isIPv4(address)) return address
  return plainAddress(new URL(`http://[${address}]/`).hostname) ?? address
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:0|[1-9][0-9]{0,4})$/.test(text)) return undefined
  const port = Number(text)
  return port <= 65_535 ? port : undefined
}
