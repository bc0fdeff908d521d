/**
 * One error class for everything this package refuses. A fault is what was wrong; the side says
 * whose bytes they were. The code joins both, so `HTTP_REQUEST_HEADER_FOLDED` and
 * `HTTP_RESPONSE_HEADER_FOLDED` can be counted apart while the parsers share every line. A faulty
 * request is the visitor's doing and carries the status to answer with; a faulty response is the
 * service's and is always answered with 502. The same bytes are refused again, so nothing here is
 * worth a retry. Messages hold positions, lengths and limits, never header values: those may be
 * credentials.
 */

import { HTTP_FAULTS, type HttpFault, type HttpSide } from './faults.ts'

/** Code of an {@link HttpError}: the side and the fault, as in `HTTP_REQUEST_HOST_MISSING`. */
export type HttpErrorCode = `HTTP_${Uppercase<HttpSide>}_${HttpFault}`

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
