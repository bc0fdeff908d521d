import type { WebSocketDialOptions } from '@proj/dialer'

import { abortable } from '../abortable.ts'
import type { NetworkChanges } from './network-watch.ts'
import { protocolHeader } from '../protocol/protocol-version.ts'
import {
  CONNECT_ROUTE,
  type EndpointAction,
  routeTo,
  SESSION_ENDPOINT,
  UPSTREAM_ROUTE,
} from '../protocol/routes.ts'

/** How a server is reached, for agents and consumers alike. */
export interface ServerOptions {
  /**
   * Base URL of the server's upstream port (agents) or proxy port (consumers): `http:`, `https:`,
   * `ws:` or `wss:`, without credentials; a path is kept as a prefix. Several, at most 16, are those of
   * several servers: connections are spread over them, and each goes to another one when its server is lost.
   */
  readonly url: string | readonly string[]
  /** Bearer token, or a function that is called for each handshake. Default: none. */
  readonly token?: string | (() => string | Promise<string>)
  /** Piko's tenant id. Default: none. */
  readonly tenantId?: string
  /** Everything about getting a socket to the server: source address, proxy, TLS, timeouts. */
  readonly connect?: Omit<WebSocketDialOptions, 'headers' | 'signal'>
  /**
   * Time an Adit server has for its `hello`, ms, at least 1; then the session ends and a new one is
   * made. Default 10 000.
   */
  readonly helloTimeoutMs?: number
  /**
   * Time between two pings, ms, at least 100: shorter than the idle timeout of any device on the way.
   * When nothing has come from the server for two and a half of these, the session ends. Default 5000.
   */
  readonly pingIntervalMs?: number
  /**
   * Tells when the addresses of this machine change: a connection from an address that is gone is replaced,
   * and one that waits for its next attempt tries at once. Default: they are read once a second.
   */
  readonly network?: NetworkChanges
  /**
   * Time between attempts to reach another server while several connections have the same one, ms, at least
   * 100, or Infinity for none; after four attempts it doubles, up to 120 times. Default 5000.
   */
  readonly spreadIntervalMs?: number
}

/** One server, and how it is reached. */
export interface ServerAt extends ServerOptions {
  /** Its base URL. */
  readonly url: string
}

/** Most servers of one agent or consumer. */
export const MAX_SERVERS = 16

/** An opening handshake; its headers contain the token. */
export interface Handshake {
  /** Where to: `ws:` or `wss:`. */
  readonly url: string
  /** What to send besides what every WebSocket handshake has. */
  readonly headers: Readonly<Record<string, string>>
}

/**
 * The URLs of the servers, each once; checked when an agent or consumer is made.
 *
 * @throws {TypeError} for none, more than MAX_SERVERS, what is no http, https, ws or wss URL, or one with
 *   credentials: Piko's client refuses them too, and a token has its own option. The text never repeats
 *   the URL.
 */
export function serverUrls(url: string | readonly string[]): readonly string[] {
  const urls = [...new Set(typeof url === 'string' ? [url] : url)]
  if (urls.length === 0 || urls.length > MAX_SERVERS) {
    throw new TypeError(`url must be 1 to ${MAX_SERVERS} URLs, got ${urls.length}`)
  }
  for (const one of urls) checkServerUrl(one)
  return urls
}

function checkServerUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !['http:', 'https:', 'ws:', 'wss:'].includes(parsed.protocol)) {
    throw new TypeError('url must be a URL that begins with http:, https:, ws: or wss:')
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw new TypeError('url must not hold a user name or password: use token')
  }
}

/**
 * The handshake that asks a server for a session and touches no endpoint: what `diagnose` tries.
 *
 * @param server - one server.
 * @param action - `listen` for an upstream port, `connect` for a proxy port.
 */
export async function sessionHandshake(
  server: ServerAt,
  action: EndpointAction,
): Promise<Handshake> {
  const route = action === 'listen' ? UPSTREAM_ROUTE : CONNECT_ROUTE
  return await handshakeTo(server, routeTo(route, SESSION_ENDPOINT), new AbortController().signal)
}

/**
 * The handshake for a route: its URL, our protocol's offer and the credentials.
 *
 * @param route - path below the base URL, already percent-encoded.
 */
export async function handshakeTo(
  { url, token, tenantId }: ServerAt,
  route: string,
  signal: AbortSignal,
): Promise<Handshake> {
  const headers: Record<string, string> = { ...protocolHeader(true) }
  const bearer =
    typeof token === 'function' ? await abortable(Promise.resolve(token()), signal) : token
  if (bearer !== undefined && bearer !== '') headers['authorization'] = `Bearer ${bearer}`
  if (tenantId !== undefined) headers['x-piko-tenant-id'] = tenantId
  return { url: routeUrl(url, route), headers }
}

/** The WebSocket URL of a route; `http` becomes `ws`, the base's path stays in front. */
function routeUrl(base: string, route: string): string {
  const url = new URL(base)
  if (url.protocol === 'http:') url.protocol = 'ws:'
  else if (url.protocol === 'https:') url.protocol = 'wss:'
  url.pathname = `${url.pathname.replace(/\/+$/, '')}${route}`
  url.search = ''
  url.hash = ''
  return url.href
}
