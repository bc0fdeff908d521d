/**
 * Collects, in one pass over a flat header list, the headers that decide how a message is read:
 * framing, connection, host, upgrade, expectation. A header that must stand alone is refused when
 * it is repeated, even with equal values: the next hop may pick another one than we do.
 */

import { HttpError, type HttpSide } from './errors.ts'
import { joined, listItems } from './header-list.ts'

/** The headers that decide how a message is read; undefined where absent. */
export interface MessageFields {
  host: string | undefined
  contentLength: string | undefined
  transferEncoding: string | undefined
  /** All Connection headers as one list. */
  connection: string | undefined
  /** All Upgrade headers as one list. */
  upgrade: string | undefined
  expect: string | undefined
}

/**
 * Reads the deciding headers.
 * @throws {HttpError} HOST_REPEATED (requests), CONTENT_LENGTH_REPEATED, TRANSFER_ENCODING_UNSUPPORTED
 */
export function readMessageFields(headers: readonly string[], side: HttpSide): MessageFields {
  const fields: MessageFields = {
    host: undefined,
    contentLength: undefined,
    transferEncoding: undefined,
    connection: undefined,
    upgrade: undefined,
    expect: undefined,
  }
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    const value = headers[at + 1] ?? ''
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== 'host') break
        if (fields.host !== undefined && side === 'request') {
          throw new HttpError(side, 'HOST_REPEATED', 'equal or not')
        }
        fields.host = value
        break
      case 6:
        if (name.toLowerCase() === 'expect') fields.expect = joined(fields.expect, value)
        break
      case 7:
        if (name.toLowerCase() === 'upgrade') fields.upgrade = joined(fields.upgrade, value)
        break
      case 10:
        if (name.toLowerCase() === 'connection') {
          fields.connection = joined(fields.connection, value)
        }
        break
      case 14:
        if (name.toLowerCase() !== 'content-length') break
        if (fields.contentLength !== undefined) {
          throw new HttpError(side, 'CONTENT_LENGTH_REPEATED', 'equal or not')
        }
        fields.contentLength = value
        break
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break
        if (fields.transferEncoding !== undefined) {
          throw new HttpError(side, 'TRANSFER_ENCODING_UNSUPPORTED', 'more than one header')
        }
        fields.transferEncoding = value
        break
      default:
    }
  }
  return fields
}

/** What the Connection headers ask for. */
export interface ConnectionOptions {
  /** Whether the connection lasts beyond this message (RFC 9112 section 9.3). */
  readonly keepAlive: boolean
  /** Whether Upgrade is meant for the next hop. */
  readonly upgrade: boolean
}

const PERSISTENT: ConnectionOptions = Object.freeze({ keepAlive: true, upgrade: false })
const LAST: ConnectionOptions = Object.freeze({ keepAlive: false, upgrade: false })

/** Reads the Connection headers of a message. */
export function connectionOptions(
  connection: string | undefined,
  versionMinor: 0 | 1,
): ConnectionOptions {
  if (connection === undefined) return versionMinor === 1 ? PERSISTENT : LAST
  const items = listItems(connection.toLowerCase())
  const persistent = versionMinor === 1 || items.includes('keep-alive')
  return {
    keepAlive: persistent && !items.includes('close'),
    upgrade: items.includes('upgrade'),
  }
}
