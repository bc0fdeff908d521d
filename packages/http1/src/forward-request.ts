/**
 * Rewrites the headers of a request for the next hop: removes the headers of the visitor's
 * connection and Piko credentials, and adds what the edge knows about the visitor. Framing headers
 * stay, because the body is forwarded unchanged.
 */

import { isVisible, parseDecimal } from './ascii.ts'
import { HOP_HEADERS, namesInConnection } from './connection-header.ts'
import {
  forwardedLines,
  schemeOf,
  type TrustedHeader,
  type VisitorConnection,
} from './forwarded-for.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { listItems } from './header-list.ts'
import { parseHost } from './host.ts'
import { RequestHead } from './request-head.ts'
import { rewriteLines } from './rewrite-lines.ts'

/** What the edge knows and has decided about a request. */
export interface ForwardRequestOptions extends VisitorConnection {
  /**
   * Number of trusted proxies in front of the edge, an integer from 0. That many of the last
   * X-Forwarded-For entries are kept, and X-Forwarded-Proto, X-Forwarded-Host, Forwarded and the
   * likes of X-Real-IP are trusted; with 0 all of them are removed. With a number that is too high, visitors can choose the
   * client address themselves.
   * @default 0
   */
  readonly trustedHops?: number
  /**
   * What these proxies write. With `forwarded` (RFC 7239) the X-Forwarded headers of the request are not read, and
   * its `Forwarded` is not sent on as it is.
   * @default 'x-forwarded-for'
   */
  readonly trustedHeader?: TrustedHeader
  /**
   * Whether the service gets `Forwarded` (RFC 7239) as well as the X-Forwarded headers.
   * @default false
   */
  readonly sendsForwarded?: boolean
  /**
   * Whether Authorization contained the Piko credential of this request. It is then removed, so that
   * the service cannot use the visitor's token.
   * @default false
   */
  readonly authorizationConsumed?: boolean
  /**
   * Identifier for the logs of all hops, sent as X-Request-Id instead of the one in the request.
   * @default undefined: the header is forwarded unchanged
   */
  readonly requestId?: string
  /**
   * Context of a trace (W3C Trace Context), sent as traceparent instead of the one in the request.
   * @default undefined: traceparent and tracestate are forwarded unchanged
   */
  readonly trace?: TraceForService | undefined
}

/** The context of a trace that the next hop gets. */
export interface TraceForService {
  /** Value of traceparent. */
  readonly parent: string
  /** Whether the trace begins here: then the tracestate of the request is removed, because it is of another one. */
  readonly isNew: boolean
}

// Headers that the edge writes itself, or that the service must not see.
const ALWAYS_REMOVED: number =
  HOP_HEADERS |
  KIND.forwardedFor |
  KIND.forwardedProto |
  KIND.forwardedHost |
  KIND.pikoAuthorization |
  KIND.pikoForward |
  KIND.aditHops |
  KIND.disguised

// Headers that a visitor could write anything into; a trusted proxy in front sets them.
const UNTRUSTED: number = KIND.forwarded | KIND.forwardedOther | KIND.clientAddress

/** Lines of every request that comes straight from its visitor. */
const FIRST_HOP = 'x-piko-forward: true\r\nadit-hops: 1\r\n'

const MAX_HOP_DIGITS = 3

/**
 * Returns how many Adit servers a request has passed: the value of `adit-hops`, which each of them
 * counts up. Infinity when it is not one number of at most 3 digits.
 */
export function hopsOf(head: RequestHead): number {
  return hopsIn(RequestHead.linesOf(head))
}

function hopsIn(lines: HeaderLines): number {
  const value = lines.joined(KIND.aditHops)
  if (value === undefined) return 0
  if (value === '' || value.length > MAX_HOP_DIGITS) return Infinity
  return parseDecimal(value) ?? Infinity
}

/**
 * Returns the request head for the next hop, as latin1 text. Always HTTP/1.1: an intermediary sends
 * its own version.
 * @throws {TypeError} when clientAddress, requestId or trace.parent is not valid in a header
 * @throws {RangeError} when trustedHops is not an integer from 0
 */
export function rewriteRequestHead(head: RequestHead, options: ForwardRequestOptions): string {
  const trustedHops = options.trustedHops ?? 0
  if (!Number.isInteger(trustedHops) || trustedHops < 0) {
    throw new RangeError(`trustedHops must be an integer from 0, got ${String(trustedHops)}`)
  }
  const lines = RequestHead.linesOf(head)
  return rewriteLines(lines, {
    startLine: keepsLine(head, lines) ? undefined : `${head.method} ${head.target} HTTP/1.1`,
    removed: removedKinds(head, options, trustedHops),
    removedNames: namesInConnection(lines),
    added: addedLines(head, lines, options, trustedHops),
  })
}

/**
 * Returns the scheme that the visitor used, as the next hop is told it in X-Forwarded-Proto.
 * @param options - those of {@link rewriteRequestHead}
 */
export function visitorScheme(
  head: RequestHead,
  {
    scheme,
    trustedHops = 0,
    trustedHeader = 'x-forwarded-for',
  }: Pick<ForwardRequestOptions, 'scheme' | 'trustedHops' | 'trustedHeader'>,
): 'http' | 'https' {
  return schemeOf(RequestHead.linesOf(head), scheme, trustedHops, trustedHeader)
}

/** Tells whether the request line can be forwarded unchanged: a target in absolute form cannot. */
function keepsLine({ method, target, versionMinor }: RequestHead, lines: HeaderLines): boolean {
  const length = (lines.ends[0] ?? 0) - lines.startOf(0)
  return (
    versionMinor === 1 && length === method.length + target.length + ' '.length + ' HTTP/1.1'.length
  )
}

function removedKinds(
  head: RequestHead,
  options: ForwardRequestOptions,
  trustedHops: number,
): number {
  let removed = ALWAYS_REMOVED
  if (options.authorizationConsumed === true) removed |= KIND.authorization
  if (options.requestId !== undefined) removed |= KIND.requestId
  if (options.trace !== undefined) {
    removed |= options.trace.isNew ? KIND.traceparent | KIND.tracestate : KIND.traceparent
  }
  if (trustedHops === 0) removed |= UNTRUSTED
  if (options.sendsForwarded === true || options.trustedHeader === 'forwarded') {
    removed |= KIND.forwarded
  }
  // RFC 9110 section 10.1.1: an expectation in an HTTP/1.0 request is to be ignored.
  if (head.versionMinor === 0) removed |= KIND.expect
  return removed
}

function addedLines(
  { host, upgrade }: RequestHead,
  lines: HeaderLines,
  options: ForwardRequestOptions,
  trustedHops: number,
): string {
  const { requestId, trace, trustedHeader = 'x-forwarded-for', sendsForwarded = false } = options
  let added = forwardedLines(lines, options, host, trustedHops, trustedHeader, sendsForwarded)
  if ((lines.seen & KIND.host) === 0) added += `Host: ${host === '' ? hostOf(lines) : host}\r\n`
  const hops = hopsIn(lines)
  if (hops === 0) added += FIRST_HOP
  else added += `x-piko-forward: true\r\nadit-hops: ${hops + 1}\r\n`
  if (requestId !== undefined) {
    if (!isVisible(requestId)) throw new TypeError('requestId is not visible ASCII')
    added += `x-request-id: ${requestId}\r\n`
  }
  if (trace !== undefined) {
    if (!isVisible(trace.parent)) throw new TypeError('trace.parent is not visible ASCII')
    added += `traceparent: ${trace.parent}\r\n`
  }
  if (acceptsTrailers(lines)) added += 'TE: trailers\r\n'
  if (upgrade !== undefined) added += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  return added
}

/**
 * The Host of an HTTP/1.0 request that names none: its endpoint, as from Piko's server, else an empty one (RFC
 * 9112 section 3.2).
 */
function hostOf(lines: HeaderLines): string {
  const endpoint = lines.value(KIND.pikoEndpoint)
  return endpoint !== undefined && parseHost(endpoint) !== undefined ? endpoint : ''
}

function acceptsTrailers(lines: HeaderLines): boolean {
  const codings = lines.joined(KIND.te)
  return codings !== undefined && listItems(codings.toLowerCase()).includes('trailers')
}
