import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { isLoopback } from '@proj/config/address'
import { type DialError, dialRawWebSocket, isDialError } from '@proj/dialer'

import { isTunnelError, TunnelError } from '../errors.ts'
import { limit } from '../limits.ts'
import { ANSWER_TEXTS } from '../protocol/http-answer.ts'
import { speaksAdit } from '../protocol/protocol-version.ts'
import { serverName } from './server-list.ts'
import { handshakeTo, type ServerAt } from './server-options.ts'
import { WebSocketPipe } from '../websocket/pipe.ts'

/** A connection with a server. */
export interface ServerPipe {
  /** Base URL it was dialed by. */
  readonly url: string
  readonly pipe: WebSocketPipe
  /** Wire agreed. */
  readonly protocol: 'piko' | 'adit'
}

/** What the pipe will carry: a mux session, or the bare bytes of one connection. */
export type PipeContent = 'session' | 'bytes'

/**
 * Dials a server, offers our protocol, and returns the byte pipe.
 *
 * @param route - path below the base URL, already percent-encoded.
 * @param content - on the baseline wire; the reader of `bytes` may pause for long and then answers no
 *   ping, so silence is no failure.
 * @throws {TunnelError} TUNNEL_UNAUTHORIZED when the server itself denies this peer, see `isOwnDenial`;
 *   TUNNEL_UPGRADE_REFUSED for other statuses that do not ask to come back soon.
 * @throws {DialError} when there was no HTTP answer, or one that asks to come back soon.
 */
export async function requestPipe(
  server: ServerAt,
  route: string,
  signal: AbortSignal,
  content: PipeContent = 'session',
): Promise<ServerPipe> {
  const { url, headers } = await handshakeTo(server, route, signal)
  try {
    const {
      socket,
      head,
      headers: answer,
    } = await dialRawWebSocket(url, {
      ...server.connect,
      headers,
      signal,
    })
    const protocol = speaksAdit(answer) ? 'adit' : 'piko'
    const pipe = new WebSocketPipe(socket, {
      role: 'client',
      head,
      pingIntervalMs: limit('pingIntervalMs', server.pingIntervalMs),
      mask: hasIntermediaries(url, socket) ? 'random' : 'zero',
      ...(content === 'bytes' && protocol === 'piko' && { missedPongs: Infinity }),
    })
    return { url: server.url, pipe, protocol }
  } catch (error) {
    throw isDialError(error) ? rejection(error, server.url) : error
  }
}

/**
 * Whether a consumer's request for a session was answered by a Piko server. An Adit server grants it or
 * has its header in the answer; Piko answers 502 for the unknown upstream, or 401 for a token that is
 * limited to other endpoints.
 */
export function answeredByPiko(error: unknown): boolean {
  const answer = isTunnelError(error) ? error.cause : error
  if (!isDialError(answer) || speaksAdit(answer.headers ?? {})) return false
  const { status } = answer
  const text = errorText(answer)
  return (
    (status === 502 && text === ANSWER_TEXTS.noUpstream) ||
    (status === 401 && text === ANSWER_TEXTS.notPermitted)
  )
}

/**
 * Whether an intermediary may read the bytes on the way to the server. The mask is there to keep payload from
 * being taken for HTTP by such an intermediary (RFC 6455 section 10.3); inside TLS, or on a
 * connection to this very machine, there is none, and masking would be a quarter of the work.
 */
function hasIntermediaries(url: string, socket: Duplex): boolean {
  const { protocol, port } = new URL(url)
  if (protocol === 'wss:') return false
  // A proxy on this machine also has a loopback address, but not the server's port.
  const { remoteAddress, remotePort } = socket as Partial<
    Pick<Socket, 'remoteAddress' | 'remotePort'>
  >
  return !(isLoopback(remoteAddress ?? '') && remotePort === Number(port || 80))
}

/** Texts of Piko's 401, each about the right of the peer (docs/protocol.md, "Handshake"). */
const PIKO_DENIALS: ReadonlySet<string> = new Set([
  'missing authorization',
  'invalid authorization',
  'unsupported auth type',
  'invalid token',
  'expired token',
  'unknown tenant',
  ANSWER_TEXTS.notPermitted,
])

function rejection(error: DialError, url: string): Error {
  // An answer of an HTTP proxy is not the server's: the DialError has its own hint.
  if (error.status === undefined || error.leg !== 'server' || error.retry === 'yes') return error
  const text = errorText(error)
  const options = {
    cause: error,
    status: error.status,
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
  }
  const allowed = allowedText(error)
  const message = `${error.status}: ${text}${allowed === undefined ? '' : `: ${allowed}`}`
  // Before its credentials: the port for operators asks for other ones.
  const wrong = wrongPort(url, error.headers ?? {}, options)
  if (wrong !== undefined) return wrong
  if (isOwnDenial(error)) {
    const isOfEndpoint = text === ANSWER_TEXTS.notPermitted
    return new TunnelError('TUNNEL_UNAUTHORIZED', message, { ...options, isOfEndpoint })
  }
  // A client certificate that the server itself rejected; the dialer read that from its header.
  if (error.retry === 'no') return error
  return new TunnelError('TUNNEL_UPGRADE_REFUSED', message, options)
}

/**
 * The error of an answer from another port of an Adit server than that for agents; undefined: it is not known to be
 * from one.
 *
 * @param url - where the request was sent.
 */
export function wrongPort(
  url: string,
  headers: IncomingHttpHeaders,
  options: { readonly status: number; readonly cause?: unknown },
): TunnelError | undefined {
  const users = usersOfPort(headers)
  if (users === undefined) return undefined
  const text = `${serverName(url)} is the port for ${users} of a server, not its port for agents`
  return new TunnelError('TUNNEL_WRONG_PORT', text, options)
}

/**
 * Whom the port is for. The port for visitors is known by an URL without an endpoint: any other answer may be that of
 * a server behind an endpoint.
 */
function usersOfPort(headers: IncomingHttpHeaders): 'visitors' | 'operators' | undefined {
  if (headers['adit-port'] === 'admin') return 'operators'
  return headers['adit-error'] === 'endpoint_missing' ? 'visitors' : undefined
}

/**
 * Whether an Adit or Piko server denies this peer. Any other answer may come from an intermediary in
 * front of the server while it restarts. An Adit server has its protocol header in the answer; Piko
 * answers 401 with a JSON body and one of seven texts.
 */
function isOwnDenial(error: DialError): boolean {
  if (error.status !== 401) return false
  if (speaksAdit(error.headers ?? {})) return true
  const isJson = error.headers?.['content-type']?.startsWith('application/json') === true
  return isJson && PIKO_DENIALS.has(errorText(error))
}

/** What the credentials allow instead, as an Adit server tells. */
function allowedText(error: DialError): string | undefined {
  if (!speaksAdit(error.headers ?? {})) return undefined
  try {
    const parsed: unknown = JSON.parse(error.bodyText ?? '')
    if (typeof parsed !== 'object' || parsed === null || !('allowed' in parsed)) return undefined
    return typeof parsed.allowed === 'string' ? parsed.allowed.slice(0, 300) : undefined
  } catch {
    return undefined // an older server
  }
}

/** Piko's error body is `{"error": text}`; other text is shown as it came, shortened, and of a page its program. */
function errorText(error: DialError): string {
  const { headers = {} } = error
  if (headers['content-type']?.startsWith('text/html') === true) {
    const { server } = headers
    return server === undefined ? 'a web page' : `a web page of ${server.slice(0, 60)}`
  }
  const body = error.bodyText ?? ''
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null && 'error' in parsed) {
      return String(parsed.error)
    }
  } catch {
    // not JSON: an intermediary answered
  }
  return body.trim().slice(0, 200) || 'the server refused the connection'
}
