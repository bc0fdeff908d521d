import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import {
  type DialError,
  dialRawWebSocket,
  isDialError,
  type WebSocketDialOptions,
} from '@proj/dialer'

import { TunnelError } from './errors.ts'
import { PROTOCOL_HEADER, PROTOCOL_VERSION, speaksAdit } from './websocket-handshake.ts'
import { WebSocketPipe } from './websocket-pipe.ts'

/** How a server is reached, for agents and consumers alike. */
export interface ServerOptions {
  /**
   * Base URL of the server's upstream port (agents) or proxy port (consumers): `http:`, `https:`,
   * `ws:` or `wss:`; a path is kept as a prefix.
   */
  readonly url: string
  /** Bearer token, or what yields one for each handshake. Default: none. */
  readonly token?: string | (() => string | Promise<string>)
  /** Piko's tenant id. Default: none. */
  readonly tenantId?: string
  /** Everything about getting a socket to the server: source address, proxy, TLS, timeouts. */
  readonly connect?: Omit<WebSocketDialOptions, 'headers' | 'signal'>
}

/** A finished handshake. */
export interface ServerPipe {
  readonly pipe: WebSocketPipe
  /** Wire agreed. */
  readonly protocol: 'piko' | 'adit'
}

/**
 * Dials a server, offers our protocol, and returns the byte pipe.
 *
 * @param route - path below the base URL, already percent-encoded.
 * @throws {TunnelError} TUNNEL_UNAUTHORIZED (401), TUNNEL_UPGRADE_REFUSED for other final statuses.
 * @throws {DialError} when there was no HTTP answer, or one that invites to come back.
 */
export async function requestPipe(
  server: ServerOptions,
  route: string,
  signal: AbortSignal,
): Promise<ServerPipe> {
  const token = typeof server.token === 'function' ? await server.token() : server.token
  const url = routeUrl(server.url, route)
  const headers: Record<string, string> = { [PROTOCOL_HEADER]: PROTOCOL_VERSION }
  if (token !== undefined && token !== '') headers['authorization'] = `Bearer ${token}`
  if (server.tenantId !== undefined) headers['x-piko-tenant-id'] = server.tenantId
  try {
    const raw = await dialRawWebSocket(url, { ...server.connect, headers, signal })
    const mask = hasIntermediaries(url, raw.socket) ? 'random' : 'zero'
    return {
      pipe: new WebSocketPipe(raw.socket, { role: 'client', head: raw.head, mask }),
      protocol: speaksAdit(raw.headers) ? 'adit' : 'piko',
    }
  } catch (error) {
    throw isDialError(error) ? refusal(error) : error
  }
}

/** The WebSocket URL of a route; `http` becomes `ws`, the base's path stays in front. */
export function routeUrl(base: string, route: string): string {
  const url = new URL(base)
  if (url.protocol === 'http:') url.protocol = 'ws:'
  else if (url.protocol === 'https:') url.protocol = 'wss:'
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${route}`
  url.search = ''
  url.hash = ''
  return url.href
}

/**
 * Whether somebody between us and the server reads the bytes. The mask is there to keep payload from
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
  const loopback = /^(127\.|::1$|::ffff:127\.)/.test(remoteAddress ?? '')
  return !(loopback && remotePort === Number(port || 80))
}

function refusal(error: DialError): Error {
  if (error.status === undefined || error.retryable) return error
  const text = errorText(error)
  const code = error.status === 401 ? 'TUNNEL_UNAUTHORIZED' : 'TUNNEL_UPGRADE_REFUSED'
  return new TunnelError(code, `${error.status}: ${text}`, { cause: error, status: error.status })
}

/** Piko's error body is `{"error": text}`; anything else is shown as it came, shortened. */
function errorText(error: DialError): string {
  const body = error.bodyText ?? ''
  try {
    const parsed: unknown = JSON.parse(body)
    if (typeof parsed === 'object' && parsed !== null && 'error' in parsed)
      return String(parsed.error)
  } catch {
    // not JSON: an intermediary answered
  }
  return body.trim().slice(0, 200) || 'the server refused the connection'
}
