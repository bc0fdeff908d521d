/**
 * Rewrites the headers of a response for the visitor: headers of the service's connection off, what
 * the visitor's connection needs on. Framing headers stay with the spliced body, except where the
 * visitor could not read them.
 */

import type { BodyFraming } from './body-framing.ts'
import { HOP_HEADERS, namesInConnection } from './hop-headers.ts'
import type { RequestHead } from './request-head.ts'
import type { ResponseHead } from './response-head.ts'

/** What of a response decides about the visitor's connection; a {@link ResponseHead} fits. */
export interface ResponseOutline {
  /** Status of the final response, or 101. */
  readonly status: number
  /** How its body ends. */
  readonly framing: BodyFraming
}

/**
 * Tells whether the visitor's connection can carry another request after this exchange. It cannot
 * when the visitor asked to close, after a switch of protocols, and when only the end of the
 * connection says where the body ends: always so for an HTTP/1.0 visitor and a chunked body.
 */
export function visitorKeepAlive(
  request: Pick<RequestHead, 'keepAlive' | 'versionMinor'>,
  response: ResponseOutline,
): boolean {
  if (!request.keepAlive || response.status === 101) return false
  const { kind } = response.framing
  return kind !== 'until-close' && (kind !== 'chunked' || request.versionMinor === 1)
}

/** What the edge decided about the visitor's connection. */
export interface ForwardResponseOptions {
  /** Version of the request: 0 takes Transfer-Encoding and Trailer off, the body is sent dechunked. */
  readonly versionMinor: 0 | 1
  /** Whether the connection stays open afterwards, see {@link visitorKeepAlive}. */
  readonly keepAlive: boolean
}

/**
 * Returns the headers to send on with a response: name, value, name, value. Connection is set to
 * close, to keep-alive for HTTP/1.0, or to Upgrade for 101 and 426, and is otherwise left out. A
 * 1xx or 204 loses framing headers, which it must not have (RFC 9112 section 6).
 */
export function forwardResponseHeaders(
  head: ResponseHead,
  options: ForwardResponseOptions,
): string[] {
  const named = namesInConnection(head.headers)
  const isBodiless = head.status < 200 || head.status === 204
  const isUpgrade = head.status === 101 || head.status === 426
  const headers: string[] = []
  let upgrade: string | undefined
  for (let at = 0; at < head.headers.length; at += 2) {
    const original = head.headers[at] ?? ''
    const value = head.headers[at + 1] ?? ''
    const name = original.toLowerCase()
    if (HOP_HEADERS.has(name)) {
      if (name === 'upgrade' && isUpgrade) upgrade = value
    } else if (!named.has(name) && !isUnreadable(name, isBodiless, options.versionMinor)) {
      headers.push(original, value)
    }
  }
  if (upgrade !== undefined) headers.push('Upgrade', upgrade)
  const connection = connectionValue(head.status, upgrade !== undefined, options)
  if (connection !== undefined) headers.push('Connection', connection)
  return headers
}

function isUnreadable(name: string, isBodiless: boolean, versionMinor: 0 | 1): boolean {
  if (name === 'content-length') return isBodiless
  if (name === 'transfer-encoding') return isBodiless || versionMinor === 0
  return name === 'trailer' && versionMinor === 0
}

function connectionValue(
  status: number,
  isUpgrade: boolean,
  { versionMinor, keepAlive }: ForwardResponseOptions,
): string | undefined {
  if (status === 101) return 'Upgrade'
  // The connection is not over with an interim response, whatever follows it.
  if (status < 200) return undefined
  const options: string[] = []
  if (isUpgrade) options.push('Upgrade')
  if (!keepAlive) options.push('close')
  else if (versionMinor === 0) options.push('keep-alive')
  return options.length === 0 ? undefined : options.join(', ')
}
