/**
 * The X-Forwarded headers, and Forwarded. A visitor can write anything into them, so only the entries of trusted
 * proxies in front of the edge (`trustedHops`) are used: each proxy appends one entry, so the last n
 * entries are theirs. Without such a proxy the values of the request are ignored.
 */

import { isIP } from 'node:net'

import { isVisible } from './ascii.ts'
import { type ForwardedElement, formatForwarded, forwardedElements } from './forwarded.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { listItems } from './header-list.ts'
import { parseHost } from './host.ts'

const TRUSTED: number = KIND.forwardedFor | KIND.forwardedProto | KIND.forwardedHost

/** Who connected to the proxies, and how, is not known. */
const UNREADABLE: ForwardedElement = Object.freeze({
  for: undefined,
  host: undefined,
  proto: undefined,
})

/** What the edge knows about the visitor's connection. */
export interface VisitorConnection {
  /** Address of the peer, IPv4 or IPv6 without brackets; IPv4 in IPv6 form already converted to IPv4. */
  readonly clientAddress: string
  /** `https` when the visitor used TLS to this edge. */
  readonly scheme: 'http' | 'https'
}

/** The headers that the trusted proxies in front write: the three of `x-forwarded-`, or `Forwarded`. */
export type TrustedHeader = 'x-forwarded-for' | 'forwarded'

/**
 * Returns the header lines for the next hop, each with its CR LF.
 * @param incoming - the header lines of the request
 * @param host - Host of the request; empty: there is none to forward
 * @param trustedHops - number of trusted proxies in front of the edge; 0 ignores the values of the request
 * @param trustedHeader - what these proxies write; the other is not read
 * @param sendsForwarded - whether the next hop gets `Forwarded` as well
 * @throws {TypeError} when clientAddress is not valid in a header
 */
export function forwardedLines(
  incoming: HeaderLines,
  connection: VisitorConnection,
  host: string,
  trustedHops: number,
  trustedHeader: TrustedHeader,
  sendsForwarded: boolean,
): string {
  const { clientAddress, scheme } = connection
  if (!isVisible(clientAddress) || clientAddress.includes(',')) {
    throw new TypeError(`clientAddress is not an address: ${JSON.stringify(clientAddress)}`)
  }
  const kinds = trustedHeader === 'forwarded' ? KIND.forwarded : TRUSTED
  if (trustedHops === 0 || (incoming.seen & kinds) === 0) {
    const lines = linesOf(clientAddress, scheme, host)
    return sendsForwarded ? lines + elementsOf([], clientAddress, scheme, host) : lines
  }
  const {
    kept,
    proto,
    host: given,
  } = trustedHeader === 'forwarded'
    ? fromForwarded(incoming, trustedHops)
    : fromXForwarded(incoming, trustedHops)
  const trustedProto = proto === 'http' || proto === 'https' ? proto : undefined
  const trustedHost = given !== undefined && parseHost(given) ? given : undefined
  const lines = linesOf(
    [...kept, clientAddress].join(', '),
    trustedProto ?? scheme,
    trustedHost ?? host,
  )
  if (!sendsForwarded) return lines
  const first = { proto: trustedProto, host: trustedHost ?? '' }
  return lines + elementsOf(kept, clientAddress, scheme, host, first)
}

/** The scheme that the visitor used: that of its connection, or what the trusted proxies in front say. */
export function schemeOf(
  incoming: HeaderLines,
  scheme: 'http' | 'https',
  trustedHops: number,
  trustedHeader: TrustedHeader,
): 'http' | 'https' {
  if (trustedHops === 0) return scheme
  const { proto } =
    trustedHeader === 'forwarded'
      ? fromForwarded(incoming, trustedHops)
      : fromXForwarded(incoming, trustedHops)
  return proto === 'http' || proto === 'https' ? proto : scheme
}

/** What the trusted proxies say, the outermost first: addresses, and scheme and host that it was asked by. */
interface TrustedValues {
  readonly kept: readonly string[]
  readonly proto: string | undefined
  readonly host: string | undefined
}

function fromXForwarded(incoming: HeaderLines, trustedHops: number): TrustedValues {
  return {
    kept: listItems(incoming.joined(KIND.forwardedFor) ?? '').slice(-trustedHops),
    proto: trustedItem(incoming.joined(KIND.forwardedProto), trustedHops)?.toLowerCase(),
    host: trustedItem(incoming.joined(KIND.forwardedHost), trustedHops),
  }
}

function fromForwarded(incoming: HeaderLines, trustedHops: number): TrustedValues {
  const value = incoming.joined(KIND.forwarded) ?? ''
  // A visitor may have made it unreadable, so that the proxy would be taken for the client.
  const elements = forwardedElements(value) ?? [UNREADABLE]
  const trusted = elements.slice(-trustedHops)
  const [first] = trusted
  return {
    kept: trusted.map((one) => addressOfNode(one.for)),
    proto: first?.proto?.toLowerCase(),
    host: first?.host,
  }
}

/** The address of a node (RFC 7239 section 6) as X-Forwarded-For has it: without brackets and port. */
function addressOfNode(node: string | undefined): string {
  const address = /^\[([^\]]*)\](?::\w+)?$/.exec(node ?? '')?.[1] ?? node?.replace(/:\w+$/, '')
  return address !== undefined && isIP(address) !== 0 ? address : 'unknown'
}

function elementsOf(
  kept: readonly string[],
  clientAddress: string,
  scheme: string,
  host: string,
  first?: { readonly proto: string | undefined; readonly host: string },
): string {
  const elements = kept.map((node, at) =>
    at === 0 ? formatForwarded(node, first?.host ?? '', first?.proto) : formatForwarded(node, ''),
  )
  return `forwarded: ${[...elements, formatForwarded(clientAddress, host, scheme)].join(', ')}\r\n`
}

function linesOf(addresses: string, proto: 'http' | 'https', host: string): string {
  if (host === '') return `x-forwarded-for: ${addresses}\r\nx-forwarded-proto: ${proto}\r\n`
  return proto === 'http'
    ? `x-forwarded-for: ${addresses}\r\nx-forwarded-proto: http\r\nx-forwarded-host: ${host}\r\n`
    : `x-forwarded-for: ${addresses}\r\nx-forwarded-proto: https\r\nx-forwarded-host: ${host}\r\n`
}

/**
 * Returns the entry of the first trusted proxy on the way. Most proxies replace these two headers
 * instead of appending to them, so there is usually only one entry.
 */
function trustedItem(value: string | undefined, trustedHops: number): string | undefined {
  return value === undefined ? undefined : listItems(value).slice(-trustedHops)[0]
}
