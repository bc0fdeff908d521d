/**
 * Rewrites the headers of a request for the next hop, once: headers of the visitor's connection
 * off, Piko credentials off, the truth about the visitor on. Framing headers stay, because the body
 * is spliced as it is.
 */

import { isVisible } from './character-classes.ts'
import { forwardedValues, type IncomingForwarded, type VisitorConnection } from './forwarded-for.ts'
import { joined, listItems } from './header-list.ts'
import { HOP_HEADERS, namesInConnection } from './hop-headers.ts'
import type { RequestHead } from './request-head.ts'

/** What the edge knows and decided about a request. */
export interface ForwardRequestOptions extends VisitorConnection {
  /**
   * Trusted proxies in front of the edge, an integer from 0. That many of the last X-Forwarded-For
   * entries are kept, and X-Forwarded-Proto, X-Forwarded-Host and Forwarded are believed; at 0 all
   * of them are dropped. Too high a number lets visitors write the client address themselves.
   * @default 0
   */
  readonly trustedHops?: number
  /**
   * Whether Authorization held the Piko credential that let this request in. It is then taken off,
   * so that the service cannot use the visitor's token.
   * @default false
   */
  readonly authorizationConsumed?: boolean
  /**
   * Identifier that logs of every hop share, sent as X-Request-Id in place of whatever came.
   * @default undefined: the header goes on as it came
   */
  readonly requestId?: string
}

// What this function sets or takes off. CGI-style services cannot tell X_Forwarded_For from
// X-Forwarded-For, so the spelling with underscores is always taken off.
const OWNED: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-piko-authorization',
  'x-piko-forward',
  'x-request-id',
])

/**
 * Returns the headers to send on with a request: name, value, name, value.
 * @throws {TypeError} when clientAddress or requestId could not stand in a header
 * @throws {RangeError} when trustedHops is not an integer from 0
 */
export function forwardRequestHeaders(head: RequestHead, options: ForwardRequestOptions): string[] {
  const trustedHops = options.trustedHops ?? 0
  if (!Number.isInteger(trustedHops) || trustedHops < 0) {
    throw new RangeError(`trustedHops must be an integer from 0, got ${String(trustedHops)}`)
  }
  const named = namesInConnection(head.headers)
  const incoming: IncomingForwarded = { for: undefined, proto: undefined, host: undefined }
  const headers: string[] = []
  let acceptsTrailers = false
  for (let at = 0; at < head.headers.length; at += 2) {
    const original = head.headers[at] ?? ''
    const value = head.headers[at + 1] ?? ''
    const name = original.toLowerCase()
    if (HOP_HEADERS.has(name)) {
      if (name === 'te') acceptsTrailers ||= listItems(value.toLowerCase()).includes('trailers')
    } else if (collectForwarded(incoming, name, value) || named.has(name)) {
      continue
    } else if (!isTakenOff(name, head, options, trustedHops)) {
      headers.push(original, value)
    }
  }
  const forwarded = forwardedValues(incoming, options, head.host, trustedHops)
  headers.push('x-forwarded-for', forwarded.for, 'x-forwarded-proto', forwarded.proto)
  headers.push('x-forwarded-host', forwarded.host, 'x-piko-forward', 'true')
  if (options.requestId !== undefined) {
    if (!isVisible(options.requestId)) throw new TypeError('requestId is not visible ASCII')
    headers.push('x-request-id', options.requestId)
  }
  if (acceptsTrailers) headers.push('TE', 'trailers')
  if (head.upgrade !== undefined) headers.push('Connection', 'Upgrade', 'Upgrade', head.upgrade)
  return headers
}

function isTakenOff(
  name: string,
  head: RequestHead,
  options: ForwardRequestOptions,
  trustedHops: number,
): boolean {
  switch (name) {
    case 'authorization':
      return options.authorizationConsumed ?? false
    case 'expect':
      // RFC 9110 section 10.1.1: an expectation in an HTTP/1.0 request is to be ignored.
      return head.versionMinor === 0
    case 'forwarded':
      return trustedHops === 0
    case 'x-request-id':
      return options.requestId !== undefined
    case 'x-piko-authorization':
    case 'x-piko-forward':
      return true
    default:
      if (trustedHops === 0 && name.startsWith('x-forwarded-')) return true
      return name.includes('_') && OWNED.has(name.replaceAll('_', '-'))
  }
}

function collectForwarded(incoming: IncomingForwarded, name: string, value: string): boolean {
  switch (name) {
    case 'x-forwarded-for':
      incoming.for = joined(incoming.for, value)
      return true
    case 'x-forwarded-proto':
      incoming.proto = joined(incoming.proto, value)
      return true
    case 'x-forwarded-host':
      incoming.host = joined(incoming.host, value)
      return true
    default:
      return false
  }
}
