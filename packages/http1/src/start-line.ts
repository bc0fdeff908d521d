/** What request lines and status lines share: the version (RFC 9112 section 2.3). */

import { isDigit } from './character-classes.ts'
import { HttpError } from './errors.ts'
import type { HttpSide } from './faults.ts'

const DOT = 0x2e
const VERSION_LENGTH = 'HTTP/1.1'.length

/**
 * Reads "HTTP/1.0" or "HTTP/1.1", which must fill the range exactly.
 * @throws {HttpError} VERSION_UNSUPPORTED for another version, LINE_INVALID for anything else
 */
export function parseVersion(text: string, start: number, end: number, side: HttpSide): 0 | 1 {
  if (end - start !== VERSION_LENGTH || !text.startsWith('HTTP/', start)) {
    throw new HttpError(side, 'LINE_INVALID', 'no HTTP version in its place')
  }
  const major = text.charCodeAt(start + 5)
  const minor = text.charCodeAt(start + 7)
  if (!isDigit(major) || text.charCodeAt(start + 6) !== DOT || !isDigit(minor)) {
    throw new HttpError(side, 'LINE_INVALID', 'malformed HTTP version')
  }
  if (major === 0x31 && minor === 0x31) return 1
  if (major === 0x31 && minor === 0x30) return 0
  throw new HttpError(side, 'VERSION_UNSUPPORTED', text.slice(start, end))
}
