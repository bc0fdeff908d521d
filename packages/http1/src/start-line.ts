/** What request lines and status lines share: the version (RFC 9112 section 2.3). */

import { HttpError, type HttpSide } from './errors.ts'

/**
 * Reads "HTTP/1.0" or "HTTP/1.1", which must fill the range exactly.
 * @returns the minor version
 * @throws {HttpError} VERSION_UNSUPPORTED for another version, LINE_INVALID for anything else
 */
export function parseVersion(text: string, start: number, end: number, side: HttpSide): 0 | 1 {
  const version = text.slice(start, end)
  if (version === 'HTTP/1.1') return 1
  if (version === 'HTTP/1.0') return 0
  if (!/^HTTP\/\d\.\d$/.test(version)) {
    throw new HttpError(side, 'LINE_INVALID', 'no HTTP version in its place')
  }
  throw new HttpError(side, 'VERSION_UNSUPPORTED', version)
}
