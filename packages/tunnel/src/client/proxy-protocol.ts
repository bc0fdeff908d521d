import { isIPv4, isIPv6 } from 'node:net'

import { ipv6Groups } from '@proj/config/address'

import type { StreamRecord } from '../protocol/stream-record.ts'

/**
 * The header that tells a TCP service who the visitor is, ahead of the visitor's bytes (the PROXY
 * protocol of HAProxy, versions 1 and 2). The service must expect it: to one that does not, it is
 * the beginning of the visitor's request.
 */
export type ProxyProtocolVersion = 'v1' | 'v2'

/** Where the connection went, for the header's second address. */
export interface ProxyDestination {
  readonly address: string | undefined
  readonly port: number | undefined
}

/** Section 2.2: what no other protocol begins with. */
const V2_SIGNATURE: Buffer = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** Section 2.2: version 2 in the high nibble; LOCAL says nothing of a visitor, PROXY does. */
const V2_LOCAL = 0x20
const V2_PROXY = 0x21

/** Section 2.2: family in the high nibble, STREAM in the low one. */
const V2_TCP4 = 0x11
const V2_TCP6 = 0x21

/** Section 2.2.5: an identifier of the connection, at most 128 bytes. */
const V2_UNIQUE_ID = 0x05
const MAX_UNIQUE_ID_BYTES = 128

/**
 * Encodes the header for a stream. A visitor whose address is not known gives `PROXY UNKNOWN` (v1) or
 * a LOCAL header (v2), which services take as "the address of the connection itself".
 *
 * @param record - names the visitor; undefined on sessions with a Piko server, which has no records.
 * @param destination - the service's address; when its family is not the visitor's, the unspecified
 *   address of the visitor's family takes its place, because the header has one family.
 */
export function proxyHeader(
  version: ProxyProtocolVersion,
  record: StreamRecord | undefined,
  destination: ProxyDestination,
): Buffer {
  const source = record?.visitorAddress
  const family =
    source === undefined ? undefined : isIPv4(source) ? 4 : isIPv6(source) ? 6 : undefined
  if (source === undefined || family === undefined) {
    return version === 'v1'
      ? Buffer.from('PROXY UNKNOWN\r\n')
      : Buffer.concat([V2_SIGNATURE, Buffer.of(V2_LOCAL, 0, 0, 0)])
  }
  const sameFamily = family === 4 ? isIPv4 : isIPv6
  const address = destination.address ?? ''
  const target = sameFamily(address) ? address : family === 4 ? '0.0.0.0' : '::'
  const ports = [record?.visitorPort ?? 0, destination.port ?? 0] as const
  if (version === 'v1') {
    return Buffer.from(`PROXY TCP${family} ${source} ${target} ${ports[0]} ${ports[1]}\r\n`)
  }
  const toBytes = family === 4 ? ipv4Bytes : ipv6Bytes
  const unique = Buffer.from(record?.requestId ?? '').subarray(0, MAX_UNIQUE_ID_BYTES)
  const tlv = unique.length === 0 ? [] : [Buffer.of(V2_UNIQUE_ID, 0, unique.length), unique]
  const body = Buffer.concat([
    toBytes(source),
    toBytes(target),
    uint16(ports[0]),
    uint16(ports[1]),
    ...tlv,
  ])
  const head = Buffer.of(V2_PROXY, family === 4 ? V2_TCP4 : V2_TCP6)
  return Buffer.concat([V2_SIGNATURE, head, uint16(body.length), body])
}

function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff)
}

function ipv4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

function ipv6Bytes(address: string): Buffer {
  return Buffer.concat(ipv6Groups(address).map(uint16))
}
