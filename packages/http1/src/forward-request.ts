/**
 * Rewrites the headers of a request for the next hop, once: headers of the visitor's connection
 * off, Piko credentials off, the truth about the visitor on. Framing headers stay, because the body
 * is spliced as it is.
 */

import { isVisible } from './character-classes.ts'
import { forwardedLines, type VisitorConnection } from './forwarded-for.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { listItems } from './header-list.ts'
import { HOP_HEADERS, namesInConnection } from './hop-headers.ts'
import { RequestHead } from './request-head.ts'
import { rewriteLines } from './rewrite-lines.ts'

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

// Always written anew, or for nobody behind the edge.
const ALWAYS_OFF: number =
  HOP_HEADERS |
  KIND.forwardedFor |
  KIND.forwardedProto |
  KIND.forwardedHost |
  KIND.pikoAuthorization |
  KIND.pikoForward |
  KIND.disguised

/**
 * Returns the head to send on for a request, as latin1 text. Always HTTP/1.1: an intermediary speaks
 * its own version.
 * @throws {TypeError} when clientAddress or requestId could not stand in a header
 * @throws {RangeError} when trustedHops is not an integer from 0
 */
export function rewriteRequestHead(head: RequestHead, options: ForwardRequestOptions): string {
  const trustedHops = options.trustedHops ?? 0
  if (!Number.isInteger(trustedHops) || trustedHops < 0) {
    throw new RangeError(`trustedHops must be an integer from 0, got ${String(trustedHops)}`)
  }
  const lines = RequestHead.linesOf(head)
  return rewriteLines(lines, {
    startLine: isLineKept(head, lines) ? undefined : `${head.method} ${head.target} HTTP/1.1`,
    off: kindsOff(head, options, trustedHops),
    named: namesInConnection(lines),
    added: addedLines(head, lines, options, trustedHops),
  })
}

/** Tells whether the request line that came is the one to send on. An absolute target became shorter. */
function isLineKept({ method, target, versionMinor }: RequestHead, lines: HeaderLines): boolean {
  const length = (lines.ends[0] ?? 0) - lines.startOf(0)
  return (
    versionMinor === 1 && length === method.length + target.length + ' '.length + ' HTTP/1.1'.length
  )
}

function kindsOff(head: RequestHead, options: ForwardRequestOptions, trustedHops: number): number {
  let off = ALWAYS_OFF
  if (options.authorizationConsumed === true) off |= KIND.authorization
  if (options.requestId !== undefined) off |= KIND.requestId
  if (trustedHops === 0) off |= KIND.forwarded | KIND.forwardedOther
  // RFC 9110 section 10.1.1: an expectation in an HTTP/1.0 request is to be ignored.
  if (head.versionMinor === 0) off |= KIND.expect
  return off
}

function addedLines(
  { host, upgrade }: RequestHead,
  lines: HeaderLines,
  options: ForwardRequestOptions,
  trustedHops: number,
): string {
  const { requestId } = options
  let added = forwardedLines(lines, options, host, trustedHops)
  if (requestId === undefined) added += 'x-piko-forward: true\r\n'
  else {
    if (!isVisible(requestId)) throw new TypeError('requestId is not visible ASCII')
    added += `x-piko-forward: true\r\nx-request-id: ${requestId}\r\n`
  }
  if (acceptsTrailers(lines)) added += 'TE: trailers\r\n'
  if (upgrade !== undefined) added += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  return added
}

function acceptsTrailers(lines: HeaderLines): boolean {
  const codings = lines.joined(KIND.te)
  return codings !== undefined && listItems(codings.toLowerCase()).includes('trailers')
}
