/**
 * The Connection header and what depends on it: whether the connection persists (RFC 9112 section
 * 9.3), whether the message is an upgrade (RFC 9110 section 7.8), and which headers are for this hop
 * only (RFC 9110 section 7.6.1).
 */

import { equalsIgnoreCase } from './ascii.ts'
import { KIND, kindNamed } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { listItems } from './header-list.ts'

/** What the Connection headers ask for. */
export interface ConnectionOptions {
  /** Whether the connection persists after this message. */
  readonly keepAlive: boolean
  /** Whether Upgrade is meant for the next hop. */
  readonly upgrade: boolean
}

const PERSISTENT: ConnectionOptions = Object.freeze({ keepAlive: true, upgrade: false })
const LAST: ConnectionOptions = Object.freeze({ keepAlive: false, upgrade: false })

/**
 * Kinds that never go to the next hop. Where TE and Upgrade are allowed they are added again.
 * Transfer-Encoding and Trailer are not here: a body is forwarded with its framing, so the headers
 * that describe the framing go with it.
 */
export const HOP_HEADERS: number =
  KIND.connection |
  KIND.keepAlive |
  KIND.proxyAuthenticate |
  KIND.proxyAuthorization |
  KIND.proxyConnection |
  KIND.te |
  KIND.upgrade

// Headers that Connection cannot remove: a visitor writes Connection, and the next hop needs these to
// read the message or to know who sent it. Such a name is ignored and the header stays; rejecting the
// message would not be safer.
const NEVER_REMOVED: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'forwarded',
  'host',
  'set-cookie',
  'trailer',
  'transfer-encoding',
])

/**
 * Reads the Connection headers of a message.
 * @param connection - the values of all of them as one list
 */
export function connectionOptions(
  connection: string | undefined,
  versionMinor: 0 | 1,
): ConnectionOptions {
  if (connection === undefined) return versionMinor === 1 ? PERSISTENT : LAST
  if (equalsIgnoreCase(connection, 'keep-alive')) return PERSISTENT
  if (equalsIgnoreCase(connection, 'close')) return LAST
  const items = listItems(connection.toLowerCase())
  const persistent = versionMinor === 1 || items.includes('keep-alive')
  return {
    keepAlive: persistent && !items.includes('close'),
    upgrade: items.includes('upgrade'),
  }
}

/**
 * Returns the protocols that a message offers, or undefined if it is not an upgrade. Every protocol
 * is forwarded except h2c: after an upgrade to h2c a visitor could send requests that the edge does
 * not read, with any forwarding headers. RFC 9113 removed h2c and a server may ignore the offer, so
 * the request is forwarded as plain HTTP/1.1.
 * @param upgrade - value of Upgrade
 * @param isNamed - whether Connection names Upgrade
 */
export function upgradeOf(
  upgrade: string | undefined,
  isNamed: boolean,
  versionMinor: 0 | 1,
): string | undefined {
  // RFC 9110 section 7.8: a server must ignore Upgrade in an HTTP/1.0 request.
  if (upgrade === undefined || !isNamed || versionMinor === 0) return undefined
  const protocols = listItems(upgrade.toLowerCase())
  return protocols.length === 0 || protocols.includes('h2c') ? undefined : upgrade
}

/** Returns the names, in lower case, that the Connection headers remove besides {@link HOP_HEADERS}. */
export function namesInConnection(lines: HeaderLines): ReadonlySet<string> | undefined {
  const value = lines.joined(KIND.connection)
  if (value === undefined) return undefined
  // Nearly every Connection header has one of these two values.
  if (equalsIgnoreCase(value, 'keep-alive') || equalsIgnoreCase(value, 'close')) return undefined
  const names = listItems(value.toLowerCase()).filter(
    (item) => !isOption(item) && !isProtected(item),
  )
  return names.length === 0 ? undefined : new Set(names)
}

function isOption(item: string): boolean {
  return item === 'close' || ((kindNamed(item) ?? 0) & HOP_HEADERS) !== 0
}

// More of them: who sent the message, and what only an Adit server writes.
const PROTECTED: number = KIND.clientAddress | KIND.requestId | KIND.aditError | KIND.aditHops

function isProtected(name: string): boolean {
  if (((kindNamed(name) ?? 0) & PROTECTED) !== 0) return true
  return NEVER_REMOVED.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-piko-')
}
