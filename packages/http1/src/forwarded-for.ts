/**
 * The X-Forwarded family. A visitor can write anything into these headers, so what counts is how
 * many proxies of our own stand in front (`trustedHops`): each of them appended one entry, hence the
 * last n entries are theirs and everything before is hearsay. With no such proxy the incoming
 * values are worth nothing and are dropped.
 */

import { isVisible } from './character-classes.ts'
import { listItems } from './header-list.ts'
import { parseHost } from './host.ts'

/** What the edge itself knows about the connection a request came on. */
export interface VisitorConnection {
  /** Address of the peer, IPv4 or IPv6 without brackets, v4-mapped addresses already unmapped. */
  readonly clientAddress: string
  /** Whether the visitor spoke TLS to this edge. */
  readonly scheme: 'http' | 'https'
}

/** The three values to send on. */
export interface ForwardedValues {
  readonly for: string
  readonly proto: string
  readonly host: string
}

/** Incoming values, repeated headers joined to one list; undefined where absent. */
export interface IncomingForwarded {
  for: string | undefined
  proto: string | undefined
  host: string | undefined
}

/**
 * Returns what to send on.
 * @param host - Host of the request
 * @param trustedHops - number of trusted proxies in front; 0 drops all incoming values
 * @throws {TypeError} when clientAddress could not stand in a header
 */
export function forwardedValues(
  incoming: IncomingForwarded,
  connection: VisitorConnection,
  host: string,
  trustedHops: number,
): ForwardedValues {
  const { clientAddress, scheme } = connection
  if (!isVisible(clientAddress) || clientAddress.includes(',')) {
    throw new TypeError(`clientAddress is not an address: ${JSON.stringify(clientAddress)}`)
  }
  if (trustedHops === 0) return { for: clientAddress, proto: scheme, host }
  const kept = listItems(incoming.for ?? '').slice(-trustedHops)
  const proto = trustedItem(incoming.proto, trustedHops)?.toLowerCase()
  const forwardedHost = trustedItem(incoming.host, trustedHops)
  return {
    for: [...kept, clientAddress].join(', '),
    proto: proto === 'http' || proto === 'https' ? proto : scheme,
    host: forwardedHost !== undefined && parseHost(forwardedHost) ? forwardedHost : host,
  }
}

/**
 * Returns the entry that the outermost trusted proxy wrote. Most proxies replace these two headers
 * instead of appending, so there is usually one entry, and it is that one.
 */
function trustedItem(value: string | undefined, trustedHops: number): string | undefined {
  return value === undefined ? undefined : listItems(value).slice(-trustedHops)[0]
}
