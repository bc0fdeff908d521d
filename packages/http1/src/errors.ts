/**
 * The error for every message that this package rejects. The fault says what is wrong; the side says
 * who sent the bytes. The code joins both, so `HTTP_REQUEST_HEADER_FOLDED` and
 * `HTTP_RESPONSE_HEADER_FOLDED` can be counted separately. The error of a request has the status to
 * answer the visitor with; a bad response is always answered with 502. A retry does not help: the
 * same bytes are rejected again. Messages contain positions, lengths and limits, never header values,
 * because those can be credentials.
 *
 * Table: every fault with its meaning, status and hint. A test compares it with the README.
 */

/** Who sent the message: the visitor (request) or the service (response). */
export type HttpSide = 'request' | 'response'

/** Name of a fault: a key of {@link HTTP_FAULTS}. */
export type HttpFault =
  | 'BYTE_INVALID'
  | 'CR_BARE'
  | 'LF_BARE'
  | 'HEAD_TOO_LARGE'
  | 'HEADERS_TOO_MANY'
  | 'LINE_INVALID'
  | 'VERSION_UNSUPPORTED'
  | 'METHOD_INVALID'
  | 'METHOD_UNSUPPORTED'
  | 'TARGET_INVALID'
  | 'HEADER_FOLDED'
  | 'HEADER_NAME_EMPTY'
  | 'HEADER_NAME_SPACED'
  | 'HEADER_NAME_INVALID'
  | 'HOST_MISSING'
  | 'HOST_REPEATED'
  | 'HOST_INVALID'
  | 'HOST_MISMATCH'
  | 'CONTENT_LENGTH_INVALID'
  | 'CONTENT_LENGTH_REPEATED'
  | 'TRANSFER_ENCODING_UNSUPPORTED'
  | 'TRANSFER_ENCODING_VERSION'
  | 'FRAMING_CONFLICT'
  | 'UPGRADE_UNEXPECTED'
  | 'CHUNK_SIZE_INVALID'
  | 'CHUNK_EXTENSION_INVALID'
  | 'CHUNK_EXTENSION_TOO_LARGE'
  | 'CHUNK_END_INVALID'
  | 'TRAILERS_TOO_LARGE'
  | 'TRAILER_FORBIDDEN'

/** Code of an {@link HttpError}: the side and the fault, as in `HTTP_REQUEST_HOST_MISSING`. */
export type HttpErrorCode = `HTTP_${Uppercase<HttpSide>}_${HttpFault}`

/** One row of the table of faults. */
export interface HttpFaultInfo {
  /** What is wrong with the message. */
  readonly meaning: string
  /** Status to answer the visitor with when the request is wrong; a wrong response always gives 502. */
  readonly status: number
  /** Sides on which the fault can occur. */
  readonly sides: readonly HttpSide[]
  /** What the sender has to change. */
  readonly hint: string
}

const BOTH: readonly HttpSide[] = ['request', 'response']
const REQUEST: readonly HttpSide[] = ['request']
const RESPONSE: readonly HttpSide[] = ['response']

/** All faults, in the order in which a message is read. */
export const HTTP_FAULTS: Readonly<Record<HttpFault, HttpFaultInfo>> = Object.freeze({
  BYTE_INVALID: {
    meaning: 'NUL, DEL or another control byte in a head, a trailer or a chunk-size line',
    status: 400,
    sides: BOTH,
    hint: 'send no control bytes except HTAB; a TLS client on a port without TLS also causes this',
  },
  CR_BARE: {
    meaning: 'CR that is not followed by LF',
    status: 400,
    sides: BOTH,
    hint: 'end every line with CR LF',
  },
  LF_BARE: {
    meaning: 'LF that does not follow CR',
    status: 400,
    sides: BOTH,
    hint: 'end every line with CR LF',
  },
  HEAD_TOO_LARGE: {
    meaning: 'head longer than maxHeadBytes',
    status: 431,
    sides: BOTH,
    hint: 'send fewer or shorter headers or a shorter target; large cookies are the usual cause',
  },
  HEADERS_TOO_MANY: {
    meaning: 'more than maxHeaders lines in a head or a trailer section',
    status: 431,
    sides: BOTH,
    hint: 'send fewer headers',
  },
  LINE_INVALID: {
    meaning: 'request line or status line that is missing or does not follow the grammar',
    status: 400,
    sides: BOTH,
    hint: 'send "METHOD target HTTP/1.1" with single spaces, or "HTTP/1.1 200 reason"',
  },
  VERSION_UNSUPPORTED: {
    meaning: 'HTTP version other than 1.0 and 1.1',
    status: 505,
    sides: BOTH,
    hint: 'use HTTP/1.1; an HTTP/2 preface without TLS also causes this',
  },
  METHOD_INVALID: {
    meaning: 'method that is not a token',
    status: 400,
    sides: REQUEST,
    hint: 'use a registered method name',
  },
  METHOD_UNSUPPORTED: {
    meaning: 'CONNECT, which this server does not support for any target',
    status: 501,
    sides: REQUEST,
    hint: 'this server is not a forward proxy',
  },
  TARGET_INVALID: {
    meaning: 'target with a byte outside visible ASCII, or in a form that does not fit the method',
    status: 400,
    sides: REQUEST,
    hint: 'send an absolute path and percent-encode special characters',
  },
  HEADER_FOLDED: {
    meaning: 'line that starts with a space or HTAB: an obsolete folded header',
    status: 400,
    sides: BOTH,
    hint: 'write each header on one line',
  },
  HEADER_NAME_EMPTY: {
    meaning: 'header line that starts with a colon',
    status: 400,
    sides: BOTH,
    hint: 'put a name before the colon',
  },
  HEADER_NAME_SPACED: {
    meaning: 'space or HTAB between a header name and its colon',
    status: 400,
    sides: BOTH,
    hint: 'put the colon directly after the name',
  },
  HEADER_NAME_INVALID: {
    meaning: 'header line without a colon, or a name that is not a token',
    status: 400,
    sides: BOTH,
    hint: 'use letters, digits and hyphens in names',
  },
  HOST_MISSING: {
    meaning: 'no Host header in an HTTP/1.1 request',
    status: 400,
    sides: REQUEST,
    hint: 'send a Host header',
  },
  HOST_REPEATED: {
    meaning: 'more than one Host header',
    status: 400,
    sides: REQUEST,
    hint: 'send one Host header',
  },
  HOST_INVALID: {
    meaning: 'Host that is empty, or is not a name or an address with an optional port',
    status: 400,
    sides: REQUEST,
    hint: 'send a name, IPv4 or [IPv6] address, then optionally :port; write international names as xn--',
  },
  HOST_MISMATCH: {
    meaning: 'absolute target with another name or port than Host',
    status: 400,
    sides: REQUEST,
    hint: 'use the same name and port in target and Host',
  },
  CONTENT_LENGTH_INVALID: {
    meaning: 'Content-Length that is not a decimal number up to 2^53 - 1',
    status: 400,
    sides: BOTH,
    hint: 'send one Content-Length with the number of bytes',
  },
  CONTENT_LENGTH_REPEATED: {
    meaning: 'more than one Content-Length header, also with equal values',
    status: 400,
    sides: BOTH,
    hint: 'send one Content-Length with the number of bytes',
  },
  TRANSFER_ENCODING_UNSUPPORTED: {
    meaning: 'Transfer-Encoding other than a single "chunked"',
    status: 400,
    sides: BOTH,
    hint: 'use only chunked; compress with Content-Encoding',
  },
  TRANSFER_ENCODING_VERSION: {
    meaning: 'Transfer-Encoding in an HTTP/1.0 message',
    status: 400,
    sides: BOTH,
    hint: 'send Content-Length or use HTTP/1.1',
  },
  FRAMING_CONFLICT: {
    meaning: 'both Content-Length and Transfer-Encoding',
    status: 400,
    sides: BOTH,
    hint: 'send only one of them',
  },
  UPGRADE_UNEXPECTED: {
    meaning: '101 in response to a request without an upgrade',
    status: 502,
    sides: RESPONSE,
    hint: 'the service must not switch protocols without a request for it',
  },
  CHUNK_SIZE_INVALID: {
    meaning: 'chunk size that is not 1 to 16 hexadecimal digits, or is not below 2^52',
    status: 400,
    sides: BOTH,
    hint: 'send the size in hexadecimal, without sign, prefix or spaces',
  },
  CHUNK_EXTENSION_INVALID: {
    meaning: 'chunk extension that does not follow the grammar',
    status: 400,
    sides: BOTH,
    hint: 'send no chunk extensions',
  },
  CHUNK_EXTENSION_TOO_LARGE: {
    meaning: 'extensions of one chunk longer than maxChunkExtensionBytes',
    status: 400,
    sides: BOTH,
    hint: 'send no chunk extensions',
  },
  CHUNK_END_INVALID: {
    meaning: 'chunk data that is not followed by CR LF',
    status: 400,
    sides: BOTH,
    hint: 'send exactly the number of bytes that the chunk size says',
  },
  TRAILERS_TOO_LARGE: {
    meaning: 'trailer section longer than maxTrailerBytes',
    status: 431,
    sides: BOTH,
    hint: 'send fewer or shorter trailers',
  },
  TRAILER_FORBIDDEN: {
    meaning:
      'trailer that is only allowed as a header: framing, routing, credentials or content type',
    status: 400,
    sides: BOTH,
    hint: 'send it as a header',
  },
})

/** The error for a rejected message. Its connection must not be used for another message. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  /** Stable code: side and fault. */
  readonly code: HttpErrorCode
  /** Who sent the message. */
  readonly side: HttpSide
  /** What is wrong: a key of {@link HTTP_FAULTS}. */
  readonly fault: HttpFault
  /** Status to answer the visitor with: 400, 431, 501 or 505, and 502 for every response. */
  readonly status: number
  /** Always false: the same bytes are rejected again. */
  readonly retryable = false

  /**
   * Makes the error of one fault.
   * @param side - who sent the message
   * @param fault - key of {@link HTTP_FAULTS}
   * @param detail - the position, the length or the limit; never a header value
   */
  constructor(side: HttpSide, fault: HttpFault, detail: string) {
    super(`${side} rejected: ${HTTP_FAULTS[fault].meaning} (${detail})`)
    this.code = side === 'request' ? `HTTP_REQUEST_${fault}` : `HTTP_RESPONSE_${fault}`
    this.side = side
    this.fault = fault
    this.status = side === 'request' ? HTTP_FAULTS[fault].status : 502
  }
}

/**
 * Tells whether a value is an {@link HttpError}, also one made by another copy of this package.
 * @param code - when given, the error must have this code
 */
export function isHttpError(value: unknown, code?: HttpErrorCode): value is HttpError {
  if (!(value instanceof Error) || value.name !== 'HttpError' || !('code' in value)) return false
  return code === undefined ? String(value.code).startsWith('HTTP_') : value.code === code
}
