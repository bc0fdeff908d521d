/** Rules that request heads and response heads share. */

import { HttpError, type HttpSide } from './errors.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'

const SINGLE_IN_RESPONSE: number = KIND.contentLength | KIND.transferEncoding
const SINGLE_IN_REQUEST: number = SINGLE_IN_RESPONSE | KIND.host

/**
 * Reads "HTTP/1.0" or "HTTP/1.1", which must fill the range exactly (RFC 9112 section 2.3).
 * @returns the minor version
 * @throws {HttpError} VERSION_UNSUPPORTED for another version, LINE_INVALID for anything else
 */
export function parseVersion(text: string, start: number, end: number, side: HttpSide): 0 | 1 {
  const version = text.slice(start, end)
  if (version === 'HTTP/1.1') return 1
  if (version === 'HTTP/1.0') return 0
  if (!/^HTTP\/\d\.\d$/.test(version)) {
    throw new HttpError(side, 'LINE_INVALID', 'no HTTP version in the start line')
  }
  throw new HttpError(side, 'VERSION_UNSUPPORTED', version)
}

/**
 * Rejects a message that repeats a header which decides how the message is read. Equal values are
 * rejected too: the next hop may use another one of them than we do.
 * @throws {HttpError} HOST_REPEATED (requests), CONTENT_LENGTH_REPEATED, TRANSFER_ENCODING_UNSUPPORTED
 */
export function rejectRepeatedHeaders(lines: HeaderLines, side: HttpSide): void {
  const single = side === 'request' ? SINGLE_IN_REQUEST : SINGLE_IN_RESPONSE
  if ((lines.repeated & single) === 0) return
  let seen = 0
  for (const kind of lines.kinds) {
    switch (kind & single & seen) {
      case 0:
        seen |= kind
        break
      case KIND.host:
        throw new HttpError(side, 'HOST_REPEATED', 'more than one header')
      case KIND.contentLength:
        throw new HttpError(side, 'CONTENT_LENGTH_REPEATED', 'more than one header')
      default:
        throw new HttpError(side, 'TRANSFER_ENCODING_UNSUPPORTED', 'more than one header')
    }
  }
}
