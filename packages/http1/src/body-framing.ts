/**
 * How the end of a message body is found (RFC 9112 section 6). If two parsers disagree about it, one
 * request can hide inside another. So nothing is repaired: a message has one Content-Length of plain
 * digits, or one Transfer-Encoding that is exactly "chunked", and never both. RFC 9112 allows other
 * codings before the final "chunked"; they are rejected because no common client sends them and every
 * hop would have to know them.
 */

import { equalsIgnoreCase, parseDecimal } from './ascii.ts'
import { HttpError, type HttpSide } from './errors.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'

/** Framing of one body. */
export type BodyFraming =
  /** There is no body. */
  | { readonly kind: 'none' }
  /** Exactly that many bytes. */
  | { readonly kind: 'length'; readonly bytes: number }
  /** Chunks up to the empty one, then trailers. */
  | { readonly kind: 'chunked' }
  /** Everything until the connection ends; only in responses. */
  | { readonly kind: 'until-close' }

/** The framing of a message without a body. */
export const NO_BODY: BodyFraming = Object.freeze({ kind: 'none' })

/** Tells whether a response has no body, whatever its headers say (RFC 9112 section 6.3). */
export function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status < 200 || status === 204 || status === 304
}

/** The framing of a response that ends with its connection. */
export const UNTIL_CLOSE_BODY: BodyFraming = Object.freeze({ kind: 'until-close' })

const CHUNKED_BODY: BodyFraming = Object.freeze({ kind: 'chunked' })

const FRAMING: number = KIND.contentLength | KIND.transferEncoding

// 2^53 - 1 has 16 digits. Longer numbers are rejected, also when the first digits are zeros.
const MAX_LENGTH_DIGITS = 16

/**
 * Returns the framing that the headers declare, undefined if they declare none. Neither header is
 * there more than once: see rejectRepeatedHeaders.
 * @throws {HttpError} FRAMING_CONFLICT, CONTENT_LENGTH_INVALID, TRANSFER_ENCODING_UNSUPPORTED or
 * TRANSFER_ENCODING_VERSION
 */
export function framingOf(
  lines: HeaderLines,
  versionMinor: 0 | 1,
  side: HttpSide,
): BodyFraming | undefined {
  if ((lines.seen & FRAMING) === 0) return undefined
  const contentLength = lines.value(KIND.contentLength)
  const transferEncoding = lines.value(KIND.transferEncoding)
  if (transferEncoding !== undefined) {
    if (contentLength !== undefined) {
      throw new HttpError(side, 'FRAMING_CONFLICT', 'neither can be trusted')
    }
    if (versionMinor === 0) {
      throw new HttpError(side, 'TRANSFER_ENCODING_VERSION', 'HTTP/1.0 has no chunks')
    }
    if (!equalsIgnoreCase(transferEncoding, 'chunked')) {
      throw new HttpError(side, 'TRANSFER_ENCODING_UNSUPPORTED', 'value is not "chunked"')
    }
    return CHUNKED_BODY
  }
  if (contentLength === undefined) return undefined
  return { kind: 'length', bytes: parseContentLength(contentLength, side) }
}

function parseContentLength(value: string, side: HttpSide): number {
  const isShort = value !== '' && value.length <= MAX_LENGTH_DIGITS
  const bytes = isShort ? parseDecimal(value) : undefined
  if (bytes === undefined) {
    throw new HttpError(side, 'CONTENT_LENGTH_INVALID', `${value.length} characters`)
  }
  if (!Number.isSafeInteger(bytes)) {
    throw new HttpError(side, 'CONTENT_LENGTH_INVALID', `above ${Number.MAX_SAFE_INTEGER}`)
  }
  return bytes
}
