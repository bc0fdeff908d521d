/**
 * Responses that the intermediary itself sends. The body has Piko's form, `{"error":"..."}` and a
 * newline, so that Piko's clients can read it. The header `adit-error` adds a stable code, because
 * Piko sends the same text on every hop.
 */

import { STATUS_CODES } from 'node:http'
import { isToken } from './ascii.ts'
import { formatResponseHead } from './format-head.ts'

/** A response that the edge makes itself. */
export interface ErrorResponse {
  /** Status, 400 to 599. */
  readonly status: number
  /** Text for a person, in the body. */
  readonly message: string
  /** Stable code for programs, in the header `adit-error`; a token. */
  readonly code: string
  /** Whether the connection stays open; it must not after a rejected head. */
  readonly keepAlive: boolean
  /**
   * Method of the request; HEAD gets the head without the body.
   * @default undefined, when the request could not be read
   */
  readonly method?: string | undefined
  /**
   * Values of `www-authenticate`, one header each (RFC 9110 section 15.5.2). Written without a check.
   * @default none
   */
  readonly challenges?: readonly string[] | undefined
  /**
   * When it helps to ask again, ms from 0. Sent as `retry-after`: whole seconds, at least one, never
   * too early (RFC 9110 section 10.2.3).
   * @default undefined: no such header
   */
  readonly retryAfterMs?: number | undefined
  /**
   * Another body than Piko's, with the headers that belong to it: names and values in turn. Written without a
   * check; none of them may be one that this response has anyway.
   * @default undefined: `{"error": message}`
   */
  readonly content?: ErrorContent | undefined
}

/** Body of an {@link ErrorResponse}. */
export interface ErrorContent {
  /** Value of `content-type`. */
  readonly type: string
  /** The bytes. */
  readonly body: Buffer
  /** Further headers: name, value, name, value. */
  readonly headers: readonly string[]
}

/**
 * Returns the bytes of the response.
 * @throws {RangeError} when status is not an integer from 400 to 599
 * @throws {TypeError} when code is not a token
 */
export function formatErrorResponse(response: ErrorResponse): Buffer {
  const { status, code, keepAlive, challenges = [], retryAfterMs, content } = response
  if (!Number.isInteger(status) || status < 400 || status > 599) {
    throw new RangeError(`status must be an integer from 400 to 599, got ${String(status)}`)
  }
  if (!isToken(code)) throw new TypeError(`code must be a token, got ${JSON.stringify(code)}`)
  const body = content?.body ?? Buffer.from(`${JSON.stringify({ error: response.message })}\n`)
  const head = formatResponseHead({
    status,
    reason: STATUS_CODES[status] ?? '',
    headers: [
      'content-type',
      content?.type ?? 'application/json',
      'x-content-type-options',
      'nosniff',
      'adit-error',
      code,
      ...(content?.headers ?? []),
      ...challenges.flatMap((challenge) => ['www-authenticate', challenge]),
      ...(retryAfterMs === undefined ? [] : ['retry-after', retryAfterSeconds(retryAfterMs)]),
      'content-length',
      String(body.length),
      'connection',
      keepAlive ? 'keep-alive' : 'close',
    ],
  })
  const headBytes = Buffer.from(head, 'latin1')
  return response.method === 'HEAD' ? headBytes : Buffer.concat([headBytes, body])
}

function retryAfterSeconds(delayMs: number): string {
  return String(Math.max(1, Math.ceil(delayMs / 1000)))
}
