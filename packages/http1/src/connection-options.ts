/** What the Connection headers of a message say about the connection (RFC 9112 section 9.3). */

import { equalsFolded } from './folded-text.ts'
import { listItems } from './header-list.ts'

/** What the Connection headers ask for. */
export interface ConnectionOptions {
  /** Whether the connection lasts beyond this message (RFC 9112 section 9.3). */
  readonly keepAlive: boolean
  /** Whether Upgrade is meant for the next hop. */
  readonly upgrade: boolean
}

const PERSISTENT: ConnectionOptions = Object.freeze({ keepAlive: true, upgrade: false })
const LAST: ConnectionOptions = Object.freeze({ keepAlive: false, upgrade: false })

/**
 * Reads the Connection headers of a message.
 * @param connection - all of them as one list
 */
export function connectionOptions(
  connection: string | undefined,
  versionMinor: 0 | 1,
): ConnectionOptions {
  if (connection === undefined) return versionMinor === 1 ? PERSISTENT : LAST
  if (equalsFolded(connection, 'keep-alive')) return PERSISTENT
  if (equalsFolded(connection, 'close')) return LAST
  const items = listItems(connection.toLowerCase())
  const persistent = versionMinor === 1 || items.includes('keep-alive')
  return {
    keepAlive: persistent && !items.includes('close'),
    upgrade: items.includes('upgrade'),
  }
}

/** Tells whether the Connection headers are nothing but one of the options nearly everybody sends. */
export function isUsualOption(connection: string): boolean {
  return equalsFolded(connection, 'keep-alive') || equalsFolded(connection, 'close')
}
