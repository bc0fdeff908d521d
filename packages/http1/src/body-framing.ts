/**
 * How the end of a message body is found (RFC 9112 section 6). Where two parsers disagree on that,
 * one request hides inside another, so nothing is repaired: one Content-Length of plain digits, or
 * one Transfer-Encoding that is exactly "chunked", and never both. RFC 9112 would let other final
 * codings pass; they are refused because nobody sends them and each hop would have to know them.
 */

import { decimalOf } from './character-classes.ts'
import { HttpError, type HttpSide } from './errors.ts'
import { equalsFolded } from './folded-text.ts'

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

/** The framing of a chunked body. */
export const CHUNKED_BODY: BodyFraming = Object.freeze({ kind: 'chunked' })

/** The framing of a response that ends with its connection. */
export const UNTIL_CLOSE_BODY: BodyFraming = Object.freeze({ kind: 'until-close' })

// 2^53 - 1 has 16 digits; longer numbers, leading zeros included, are not worth an argument.
const MAX_LENGTH_DIGITS = 16

/**
 * Returns the framing that Content-Length and Transfer-Encoding declare, undefined if neither is there.
 * @param contentLength - value of the only Content-Length header
 * @param transferEncoding - value of the only Transfer-Encoding header
 * @throws {HttpError} FRAMING_CONFLICT, CONTENT_LENGTH_INVALID, TRANSFER_ENCODING_UNSUPPORTED or
 * TRANSFER_ENCODING_VERSION
 */
export function declaredFraming(
  contentLength: string | undefined,
  transferEncoding: string | undefined,
  versionMinor: 0 | 1,
  side: HttpSide,
): BodyFraming | undefined {
  if (transferEncoding !== undefined) {
    if (contentLength !== undefined) {
      throw new HttpError(side, 'FRAMING_CONFLICT', 'neither can be trusted')
    }
    if (versionMinor === 0) {
      throw new HttpError(side, 'TRANSFER_ENCODING_VERSION', 'HTTP/1.0 has no chunks')
    }
    if (!equalsFolded(transferEncoding, 'chunked')) {
      throw new HttpError(side, 'TRANSFER_ENCODING_UNSUPPORTED', 'value is not "chunked"')
    }
    return CHUNKED_BODY
  }
  if (contentLength === undefined) return undefined
  return { kind: 'length', bytes: parseContentLength(contentLength, side) }
}

function parseContentLength(value: string, side: HttpSide): number {
  const isShort = value !== '' && value.length <= MAX_LENGTH_DIGITS
  const bytes = isShort ? decimalOf(value) : undefined
  if (bytes === undefined) {
    throw new HttpError(side, 'CONTENT_LENGTH_INVALID', `${value.length} characters`)
  }
  if (!Number.isSafeInteger(bytes)) {
    throw new HttpError(side, 'CONTENT_LENGTH_INVALID', `above ${Number.MAX_SAFE_INTEGER}`)
  }
  return bytes
}
