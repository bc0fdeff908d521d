/**
 * One error class for everything this package refuses. A fault is what was wrong; the side says
 * whose bytes they were. The code joins both, so `HTTP_REQUEST_HEADER_FOLDED` and
 * `HTTP_RESPONSE_HEADER_FOLDED` can be counted apart while the parsers share every line. A faulty
 * request is the visitor's doing and carries the status to answer with; a faulty response is the
 * service's and is always answered with 502. The same bytes are refused again, so nothing here is
 * worth a retry. Messages hold positions, lengths and limits, never header values: those may be
 * credentials.
 *
 * Table: every fault with its meaning, status and hint; the README prints it, a test compares them.
 */

/** Whose message was refused. */
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

/** What is known about one fault. */
export interface HttpFaultInfo {
  /** What was wrong, for the table in the README. */
  readonly meaning: string
  /** Status to answer the visitor with when the fault is in a request; responses always give 502. */
  readonly status: number
  /** Where the fault can occur. */
  readonly sides: readonly HttpSide[]
  /** What the sender has to change. */
  readonly hint: string
}

const BOTH: readonly HttpSide[] = ['request', 'response']
const REQUEST: readonly HttpSide[] = ['request']
const RESPONSE: readonly HttpSide[] = ['response']

/** Every fault, in the order in which a message is read. */
export const HTTP_FAULTS: Readonly<Record<HttpFault, HttpFaultInfo>> = Object.freeze({
  BYTE_INVALID: {
    meaning: 'NUL, DEL or another control byte in a head, a trailer or a chunk-size line',
    status: 400,
    sides: BOTH,
    hint: 'send no control bytes except HTAB; TLS on a plain port also ends here',
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
    meaning: 'no end of head within maxHeadBytes',
    status: 431,
    sides: BOTH,
    hint: 'send fewer or shorter headers or a shorter target; cookies are the usual cause',
  },
  HEADERS_TOO_MANY: {
    meaning: 'more than maxHeaders lines in a head or a trailer section',
    status: 431,
    sides: BOTH,
    hint: 'send fewer headers',
  },
  LINE_INVALID: {
    meaning: 'request line or status line that does not follow the grammar, or a missing one',
    status: 400,
    sides: BOTH,
    hint: 'send "METHOD target HTTP/1.1" with single spaces, or "HTTP/1.1 200 reason"',
  },
  VERSION_UNSUPPORTED: {
    meaning: 'HTTP version other than 1.0 and 1.1',
    status: 505,
    sides: BOTH,
    hint: 'speak HTTP/1.1; a plain HTTP/2 preface also ends here',
  },
  METHOD_INVALID: {
    meaning: 'method that is not a token',
    status: 400,
    sides: REQUEST,
    hint: 'use a registered method name',
  },
  METHOD_UNSUPPORTED: {
    meaning: 'CONNECT, which this intermediary offers for no target',
    status: 501,
    sides: REQUEST,
    hint: 'this is not a forward proxy',
  },
  TARGET_INVALID: {
    meaning: 'target with a byte outside visible ASCII, or in no form that fits the method',
    status: 400,
    sides: REQUEST,
    hint: 'send an absolute path, percent-encoded',
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
    hint: 'name the header',
  },
  HEADER_NAME_SPACED: {
    meaning: 'space or HTAB between a header name and its colon',
    status: 400,
    sides: BOTH,
    hint: 'put the colon directly behind the name',
  },
  HEADER_NAME_INVALID: {
    meaning: 'header line without a colon, or a name that is not a token',
    status: 400,
    sides: BOTH,
    hint: 'use letters, digits and hyphens in names',
  },
  HOST_MISSING: {
    meaning: 'no Host header, in HTTP/1.0 too',
    status: 400,
    sides: REQUEST,
    hint: 'send Host',
  },
  HOST_REPEATED: {
    meaning: 'more than one Host header',
    status: 400,
    sides: REQUEST,
    hint: 'send Host once',
  },
  HOST_INVALID: {
    meaning: 'Host that is empty or not a name or address with an optional port',
    status: 400,
    sides: REQUEST,
    hint: 'send name, IPv4 or [IPv6], then :port; international names in their xn-- form',
  },
  HOST_MISMATCH: {
    meaning: 'absolute target that names another authority than Host',
    status: 400,
    sides: REQUEST,
    hint: 'make target and Host agree',
  },
  CONTENT_LENGTH_INVALID: {
    meaning: 'Content-Length that is not plain decimal digits up to 2^53 - 1',
    status: 400,
    sides: BOTH,
    hint: 'send the number of bytes once',
  },
  CONTENT_LENGTH_REPEATED: {
    meaning: 'more than one Content-Length header, equal or not',
    status: 400,
    sides: BOTH,
    hint: 'send the number of bytes once',
  },
  TRANSFER_ENCODING_UNSUPPORTED: {
    meaning: 'Transfer-Encoding other than one single "chunked"',
    status: 400,
    sides: BOTH,
    hint: 'use chunked alone; compress with Content-Encoding',
  },
  TRANSFER_ENCODING_VERSION: {
    meaning: 'Transfer-Encoding in an HTTP/1.0 message',
    status: 400,
    sides: BOTH,
    hint: 'send Content-Length or speak HTTP/1.1',
  },
  FRAMING_CONFLICT: {
    meaning: 'both Content-Length and Transfer-Encoding',
    status: 400,
    sides: BOTH,
    hint: 'send one of them',
  },
  UPGRADE_UNEXPECTED: {
    meaning: '101 in answer to a request that asked for no upgrade',
    status: 502,
    sides: RESPONSE,
    hint: 'the service must not switch protocols unasked',
  },
  CHUNK_SIZE_INVALID: {
    meaning: 'chunk size that is not 1 to 13 hexadecimal digits',
    status: 400,
    sides: BOTH,
    hint: 'send the size in hexadecimal without sign, prefix or spaces',
  },
  CHUNK_EXTENSION_INVALID: {
    meaning: 'chunk extension that does not follow the grammar',
    status: 400,
    sides: BOTH,
    hint: 'send no chunk extensions',
  },
  CHUNK_EXTENSION_TOO_LARGE: {
    meaning: 'chunk extensions of one chunk longer than maxChunkExtensionBytes',
    status: 400,
    sides: BOTH,
    hint: 'send no chunk extensions',
  },
  CHUNK_END_INVALID: {
    meaning: 'chunk data that is not followed by CR LF',
    status: 400,
    sides: BOTH,
    hint: 'send exactly as many bytes as the chunk size says',
  },
  TRAILERS_TOO_LARGE: {
    meaning: 'no end of the trailer section within maxTrailerBytes',
    status: 431,
    sides: BOTH,
    hint: 'send fewer or shorter trailers',
  },
  TRAILER_FORBIDDEN: {
    meaning: 'trailer that may only be a header: framing, routing, credentials or content type',
    status: 400,
    sides: BOTH,
    hint: 'send it as a header',
  },
})

/** Says that a message was refused. The connection it came on cannot be used any further. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  /** Stable code: side and fault. */
  readonly code: HttpErrorCode
  /** Whose message was refused. */
  readonly side: HttpSide
  /** What was wrong: a key of {@link HTTP_FAULTS}. */
  readonly fault: HttpFault
  /** Status to answer the visitor with: 400, 431, 501 or 505, and 502 for every response. */
  readonly status: number
  /** Always false: the same bytes are refused again. */
  readonly retryable = false

  /**
   * Builds the error of one fault.
   * @param side - whose message it was
   * @param fault - key of {@link HTTP_FAULTS}
   * @param detail - where and against what limit; never a header value
   */
  constructor(side: HttpSide, fault: HttpFault, detail: string) {
    super(`${side} refused: ${HTTP_FAULTS[fault].meaning} (${detail})`)
    this.code = side === 'request' ? `HTTP_REQUEST_${fault}` : `HTTP_RESPONSE_${fault}`
    this.side = side
    this.fault = fault
    this.status = side === 'request' ? HTTP_FAULTS[fault].status : 502
  }
}

/** Tells whether a value is an {@link HttpError}, of the given code if one is given. Works across two copies of this package. */
export function isHttpError(value: unknown, code?: HttpErrorCode): value is HttpError {
  if (!(value instanceof Error) || value.name !== 'HttpError' || !('code' in value)) return false
  return code === undefined ? String(value.code).startsWith('HTTP_') : value.code === code
}
