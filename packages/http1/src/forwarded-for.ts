/**
 * The X-Forwarded family. A visitor can write anything into these headers, so what counts is how
 * many proxies of our own stand in front (`trustedHops`): each of them appended one entry, hence the
 * last n entries are theirs and everything before is hearsay. With no such proxy the incoming
 * values are worth nothing and are dropped.
 */

import { isVisible } from './character-classes.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { listItems } from './header-list.ts'
import { parseHost } from './host.ts'

const BELIEVED: number = KIND.forwardedFor | KIND.forwardedProto | KIND.forwardedHost

/** What the edge itself knows about the connection a request came on. */
export interface VisitorConnection {
  /** Address of the peer, IPv4 or IPv6 without brackets, v4-mapped addresses already unmapped. */
  readonly clientAddress: string
  /** Whether the visitor spoke TLS to this edge. */
  readonly scheme: 'http' | 'https'
}

/**
 * Returns the lines to send on, each with its CR LF.
 * @param incoming - what came with the request
 * @param host - Host of the request
 * @param trustedHops - number of trusted proxies in front; 0 drops all incoming values
 * @throws {TypeError} when clientAddress could not stand in a header
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
  if (trustedHops === 0 || (incoming.seen & BELIEVED) === 0) {
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
  return proto === 'http'
    ? `x-forwarded-for: ${addresses}\r\nx-forwarded-proto: http\r\nx-forwarded-host: ${host}\r\n`
    : `x-forwarded-for: ${addresses}\r\nx-forwarded-proto: https\r\nx-forwarded-host: ${host}\r\n`
}

/**
 * Returns the entry that the outermost trusted proxy wrote. Most proxies replace these two headers
 * instead of appending, so there is usually one entry, and it is that one.
 */
function trustedItem(value: string | undefined, trustedHops: number): string | undefined {
  return value === undefined ? undefined : listItems(value).slice(-trustedHops)[0]
}
