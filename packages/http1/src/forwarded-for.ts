/**
 * The X-Forwarded headers. A visitor can write anything into them, so only the entries of trusted
 * proxies in front of the edge (`trustedHops`) are used: each proxy appends one entry, so the last n
 * entries are theirs. Without such a proxy the values of the request are ignored.
 */

import { isVisible } from './ascii.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { listItems } from './header-list.ts'
import { parseHost } from './host.ts'

const TRUSTED: number = KIND.forwardedFor | KIND.forwardedProto | KIND.forwardedHost

/** What the edge knows about the visitor's connection. */
export interface VisitorConnection {
  /** Address of the peer, IPv4 or IPv6 without brackets; IPv4 in IPv6 form already converted to IPv4. */
  readonly clientAddress: string
  /** `https` when the visitor used TLS to this edge. */
  readonly scheme: 'http' | 'https'
}

/**
 * Returns the header lines for the next hop, each with its CR LF.
 * @param incoming - the header lines of the request
 * @param host - Host of the request; empty: there is none to forward
 * @param trustedHops - number of trusted proxies in front of the edge; 0 ignores the values of the request
 * @throws {TypeError} when clientAddress is not valid in a header
 */
export function forwardedLines(
  incoming: HeaderLines,
  connection: VisitorConnection,
  host: string,
  trustedHops: number,
): string {
  const { clientAddress, scheme } = connection
  if (!isVisible(clientAddress) || clientAddress.includes(',')) {
    throw new TypeError(`clientAddress is not an address: ${JSON.stringify(clientAddress)}`)
  }
  if (trustedHops === 0 || (incoming.seen & TRUSTED) === 0) {
    return linesOf(clientAddress, scheme, host)
  }
  const kept = listItems(incoming.joined(KIND.forwardedFor) ?? '').slice(-trustedHops)
  const proto = trustedItem(incoming.joined(KIND.forwardedProto), trustedHops)?.toLowerCase()
  const forwardedHost = trustedItem(incoming.joined(KIND.forwardedHost), trustedHops)
  return linesOf(
    [...kept, clientAddress].join(', '),
    proto === 'http' || proto === 'https' ? proto : scheme,
    forwardedHost !== undefined && parseHost(forwardedHost) ? forwardedHost : host,
  )
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
