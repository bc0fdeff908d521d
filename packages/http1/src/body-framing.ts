/**
 * How the end of a message body is found (RFC 9112 section 6). If two parsers disagree about it, one
 * request can hide inside another. So nothing is repaired: a message has one Content-Length of plain
 * digits, or one Transfer-Encoding that is exactly "chunked", and never both. RFC 9112 allows other
 * codings before the final "chunked"; they are rejected because no common client sends them and every
 * hop would have to know them.
 */

import { equalsIgnoreCase, parseDecimal } from './ascii.ts'
import { HttpError, type HttpFault, type HttpSide } from './errors.ts'
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

/** Receives payload bytes in order. A piece is a part of the scanned chunk, not a copy. */
export type PayloadSink = (piece: Buffer) => void

/** Reads the body of one message, as far as its framing says. */
export interface BodyReader {
  /** Whether the last byte of the message was seen; never true for a body that ends with its connection. */
  readonly done: boolean
  /** Bytes of the message that are still to come; Infinity where that is not known. */
  readonly leftBytes: number
  /**
   * Whether bytes are to come that were announced: the rest of a length, of a chunk or of the end behind the last
   * chunk. Before a chunk nothing is announced: its sender may be waiting for something to send.
   */
  readonly isOwed: boolean
  /**
   * Takes the bytes of chunk from offset on, as far as they are part of this message.
   * @param onPayload - receives the payload without its framing, for a peer that gets other framing
   * @returns index just past the last byte of this message in chunk: the length of the chunk while
   * the body goes on, and offset when the body was done before
   * @throws {HttpError} for a malformed chunked body; the reader must not be used again
   */
  scan(chunk: Buffer, offset: number, onPayload?: PayloadSink): number
  /** The first fault that was repaired, or undefined; see `Strictness`. */
  readonly repaired: HttpFault | undefined
  /**
   * Returns what is to be sent for the bytes of the last scan, from its offset to its end; undefined for these
   * bytes themselves, as always without repairs.
   * @param chunk - that of the last scan
   */
  rewritten(chunk: Buffer): Buffer | undefined
}

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
