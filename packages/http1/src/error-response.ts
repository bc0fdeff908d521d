/**
 * The answers the intermediary gives itself. The body is Piko's, `{"error":"..."}` and a newline,
 * so its clients understand it; `adit-error` adds a stable code, because Piko's texts are the same
 * on every hop.
 */

import { STATUS_CODES } from 'node:http'
import { isToken } from './character-classes.ts'
import { formatResponseHead } from './format-head.ts'

/** One answer. */
export interface ErrorResponse {
  /** Status, 400 to 599. */
  readonly status: number
  /** Text for people, in the body. */
  readonly message: string
  /** Stable code for programs, in the header `adit-error`; a token. */
  readonly code: string
  /** Whether the connection stays open afterwards; after a refused head it must not. */
  readonly keepAlive: boolean
  /**
   * Method of the request; HEAD gets the head without the body.
   * @default undefined, when the request could not be read
   */
  readonly method?: string | undefined
  /**
   * Further headers, name, value, name, value, such as `retry-after`. Written as they are.
   * @default none
   */
  readonly headers?: readonly string[]
}

/**
 * Returns the bytes of the answer.
 * @throws {RangeError} when status is not an integer from 400 to 599
 * @throws {TypeError} when code is not a token
 */
export function formatErrorResponse(response: ErrorResponse): Buffer {
  const { status, code, keepAlive } = response
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`status must be an integer from 400 to 599, got ${String(status)}`)
  }
  if (!isToken(code)) throw new TypeError(`code must be a token, got ${JSON.stringify(code)}`)
  const body = Buffer.from(`${JSON.stringify({ error: response.message })}\n`)
  const head = formatResponseHead({
    status,
    reason: STATUS_CODES[status] ?? '',
    headers: [
      'content-type',
      'application/json',
      'x-content-type-options',
      'nosniff',
      'adit-error',
      code,
      ...(response.headers ?? []),
      'content-length',
      String(body.length),
      'connection',
      keepAlive ? 'keep-alive' : 'close',
    ],
  })
  const headBytes = Buffer.from(head, 'latin1')
  return response.method === 'HEAD' ? headBytes : Buffer.concat([headBytes, body])
}
