/**
 * Rewrites the headers of a response for the visitor: removes the headers of the service's
 * connection and adds those of the visitor's. Framing headers stay, because the body is forwarded
 * unchanged, except where the visitor could not read them, or there are none: see {@link addsChunks}.
 */

import type { BodyFraming } from './body-framing.ts'
import { HOP_HEADERS, namesInConnection } from './connection-header.ts'
import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'
import type { RequestHead } from './request-head.ts'
import { ResponseHead } from './response-head.ts'
import { rewriteLines } from './rewrite-lines.ts'

/** The part of a response that decides whether the visitor's connection can stay open; a {@link ResponseHead} fits. */
export interface ResponseOutline {
  /** Status of the final response, or 101. */
  readonly status: number
  /** How the end of its body is found. */
  readonly framing: BodyFraming
}

/**
 * Tells whether the visitor's connection can carry another request after this exchange. It cannot
 * when the visitor asked to close it, after a switch of protocols, and when only the end of the
 * connection ends the body, as it does for an HTTP/1.0 visitor where there is no length.
 */
export function visitorKeepAlive(
  request: Pick<RequestHead, 'keepAlive' | 'versionMinor'>,
  response: ResponseOutline,
): boolean {
  if (!request.keepAlive || response.status === 101) return false
  const { kind } = response.framing
  return kind === 'none' || kind === 'length' || request.versionMinor === 1
}

/**
 * Tells whether the body has to be sent in chunks that the service did not make: where it ends with the
 * connection of the service, an HTTP/1.1 visitor could not tell the end from a broken connection.
 */
export function addsChunks(framing: BodyFraming, versionMinor: 0 | 1): boolean {
  return framing.kind === 'until-close' && versionMinor === 1
}

/** What the edge has decided about the visitor's connection. */
export interface ForwardResponseOptions {
  /** Minor version of the request: 0 removes Transfer-Encoding and Trailer, since the body is sent without chunks. */
  readonly versionMinor: 0 | 1
  /** Whether the connection stays open, see {@link visitorKeepAlive}. */
  readonly keepAlive: boolean
  /** Lines of the edge's own, each with its CRLF. Default: none. */
  readonly added?: string | undefined
}

/**
 * Returns the response head for the visitor, as latin1 text. Always HTTP/1.1, also for HTTP/1.0
 * visitors (RFC 9112 section 2.3). Connection is set to close, to keep-alive for HTTP/1.0, or to
 * Upgrade for 101 and 426, and is otherwise left out. Framing headers are removed from 1xx and 204,
 * which must not have them (RFC 9112 section 6), and Transfer-Encoding is set where {@link addsChunks}.
 */
export function rewriteResponseHead(head: ResponseHead, options: ForwardResponseOptions): string {
  const lines = ResponseHead.linesOf(head)
  const { status } = head
  const isUpgrade = status === 101 || status === 426
  const upgrade = isUpgrade ? lines.last(KIND.upgrade) : undefined
  const connection = connectionValue(status, upgrade !== undefined, options)
  let added = upgrade === undefined ? '' : `Upgrade: ${upgrade}\r\n`
  if (connection !== undefined) added += `Connection: ${connection}\r\n`
  if (options.added !== undefined) added += options.added
  if (addsChunks(head.framing, options.versionMinor)) added += 'Transfer-Encoding: chunked\r\n'
  return rewriteLines(lines, {
    startLine: keepsLine(head, lines) ? undefined : `HTTP/1.1 ${status} ${head.reason}`,
    removed: removedKinds(status, options.versionMinor),
    removedNames: namesInConnection(lines),
    added,
  })
}

/** Tells whether the status line can be forwarded unchanged: some services leave out the last space. */
function keepsLine({ versionMinor }: ResponseHead, lines: HeaderLines): boolean {
  return versionMinor === 1 && (lines.ends[0] ?? 0) >= 'HTTP/1.1 200 '.length
}

/** Returns the kinds of header that the visitor must not get, or could not read. */
function removedKinds(status: number, versionMinor: 0 | 1): number {
  // The code says what Adit itself answered: a service must not write it.
  let removed = HOP_HEADERS | KIND.aditError
  if (status < 200 || status === 204) removed |= KIND.contentLength | KIND.transferEncoding
  if (versionMinor === 0) removed |= KIND.transferEncoding | KIND.trailer
  return removed
}

function connectionValue(
  status: number,
  isUpgrade: boolean,
  { versionMinor, keepAlive }: ForwardResponseOptions,
): string | undefined {
  if (status === 101) return 'Upgrade'
  // An interim response does not end the connection.
  if (status < 200) return undefined
  const options: string[] = []
  if (isUpgrade) options.push('Upgrade')
  if (!keepAlive) options.push('close')
  else if (versionMinor === 0) options.push('keep-alive')
  return options.length === 0 ? undefined : options.join(', ')
}
