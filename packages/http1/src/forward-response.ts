/**
 * Rewrites the headers of a response for the visitor: headers of the service's connection off, what
 * the visitor's connection needs on. Framing headers stay with the spliced body, except where the
 * visitor could not read them.
 */

import type { BodyFraming } from './body-framing.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import { HOP_HEADERS, namesInConnection } from './hop-headers.ts'
import type { RequestHead } from './request-head.ts'
import { ResponseHead } from './response-head.ts'
import { rewriteLines } from './rewrite-lines.ts'

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
 * Returns the head to send on for a response, as latin1 text. Always HTTP/1.1, to HTTP/1.0 visitors
 * too (RFC 9112 section 2.3). Connection is set to close, to keep-alive for HTTP/1.0, or to Upgrade
 * for 101 and 426, and is otherwise left out. A 1xx or 204 loses framing headers, which it must not
 * have (RFC 9112 section 6).
 */
export function rewriteResponseHead(head: ResponseHead, options: ForwardResponseOptions): string {
  const lines = ResponseHead.linesOf(head)
  const { status } = head
  const isUpgrade = status === 101 || status === 426
  const upgrade = isUpgrade ? lines.last(KIND.upgrade) : undefined
  const connection = connectionValue(status, upgrade !== undefined, options)
  let added = upgrade === undefined ? '' : `Upgrade: ${upgrade}\r\n`
  if (connection !== undefined) added += `Connection: ${connection}\r\n`
  return rewriteLines(lines, {
    startLine: isLineKept(head, lines) ? undefined : `HTTP/1.1 ${status} ${head.reason}`,
    off: kindsOff(status, options.versionMinor),
    named: namesInConnection(lines),
    added,
  })
}

/** Tells whether the status line that came is the one to send on: services leave out the last space. */
function isLineKept({ versionMinor }: ResponseHead, lines: HeaderLines): boolean {
  return versionMinor === 1 && (lines.ends[0] ?? 0) >= 'HTTP/1.1 200 '.length
}

/** What the visitor must not get, or could not read. */
function kindsOff(status: number, versionMinor: 0 | 1): number {
  let off = HOP_HEADERS
  if (status < 200 || status === 204) off |= KIND.contentLength | KIND.transferEncoding
  if (versionMinor === 0) off |= KIND.transferEncoding | KIND.trailer
  return off
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
