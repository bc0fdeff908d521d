import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { allowAll, type Authorize, type Grant, isDenial } from './authorization.ts'
import { type Logger, silentLogger } from './logger.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import { UpstreamSession } from './upstream-session.ts'
import {
  checkHandshake,
  jsonRefusal,
  PROTOCOL_HEADER,
  PROTOCOL_VERSION,
  speaksAdit,
  switchingProtocols,
  textResponse,
} from './websocket-handshake.ts'
import { WebSocketPipe } from './websocket-pipe.ts'

/** Limits of an acceptor. */
export interface UpstreamAcceptorLimits {
  /** Agent sessions held at once; one more is told to come back later (503). Default 10 000. */
  readonly maxSessions?: number
  /** Endpoints one session of our protocol may register. Default 1000. */
  readonly maxEndpointsPerSession?: number
}

/** What the server's app joins an acceptor with. */
export interface UpstreamAcceptorOptions extends UpstreamAcceptorLimits {
  /** Where endpoints are registered. */
  readonly registry: UpstreamRegistry
  /** Judges handshakes. Default: everyone may do everything. */
  readonly authorize?: Authorize
  /** URLs visitors can use for an endpoint, told to agents of ours. Default: none. */
  readonly urls?: (endpoint: string) => readonly string[]
  /** Names this server to its agents. Default: random. */
  readonly node?: string
  /** Program and version, told to agents of ours. Default `adit`. */
  readonly software?: string
  /** Delay agents are advised to keep when told to leave, ms. Default 0. */
  readonly drainRetryAfterMs?: number
  /** The peer's address as it shall be shown. Default: as the socket says. */
  readonly addressOf?: (request: IncomingMessage) => string | undefined
  /** Default: silent. */
  readonly logger?: Logger
}

const ROUTE = '/piko/v1/upstream/'

/**
 * The upstream port: agents' handshakes in, sessions out. Answers are Piko's to the letter, so that
 * its agents retry and stop as they do against their own server (docs/protocol.md, "Handshake").
 *
 * Connect it to a `node:http` server: `server.on('upgrade', acceptor.handleUpgrade)` and
 * `server.on('request', acceptor.handleRequest)`.
 */
export class UpstreamAcceptor {
  readonly #options: Required<UpstreamAcceptorOptions>
  readonly #sessions = new Set<UpstreamSession>()
  #draining = false

  constructor(options: UpstreamAcceptorOptions) {
    this.#options = {
      registry: options.registry,
      authorize: options.authorize ?? allowAll,
      urls: options.urls ?? (() => []),
      node: options.node ?? randomBytes(4).toString('hex'),
      software: options.software ?? 'adit',
      drainRetryAfterMs: options.drainRetryAfterMs ?? 0,
      maxSessions: options.maxSessions ?? 10_000,
      addressOf: options.addressOf ?? ((request) => request.socket.remoteAddress),
      maxEndpointsPerSession: options.maxEndpointsPerSession ?? 1000,
      logger: options.logger ?? silentLogger,
    }
  }

  /** Sessions held now. */
  get sessions(): ReadonlySet<UpstreamSession> {
    return this.#sessions
  }

  /** Handler of the `upgrade` event. */
  readonly handleUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Until a pipe owns the socket, a reset by the peer is nobody's news.
    const ignore = (): void => {}
    socket.on('error', ignore)
    void this.#accept(request, socket, head).then((refusal) => {
      if (refusal === undefined) socket.off('error', ignore)
      else socket.end(refusal)
    })
  }

  /** Handler of the `request` event: everything that is no WebSocket handshake is refused. */
  readonly handleRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const path = pathOf(request)
    response.shouldKeepAlive = false
    if (path.startsWith(ROUTE) && path.endsWith('/') && path.length > ROUTE.length) {
      response.writeHead(301, { location: path.slice(0, -1) }).end()
    } else if (request.method === 'GET' && routeEndpoint(path) !== undefined) {
      response.writeHead(400, {
        'content-type': 'text/plain; charset=utf-8',
        'sec-websocket-version': '13',
      })
      response.end('Bad Request\n')
    } else {
      response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
      response.end('404 page not found\n')
    }
  }

  /**
   * Sends every agent away in good order; see `UpstreamSession.drain`. New agents are told to come
   * back later (503) from now on.
   */
  async drain(options: { readonly signal: AbortSignal }): Promise<void> {
    this.#draining = true
    await Promise.all([...this.#sessions].map((session) => session.drain(options)))
  }

  /** Ends every session now. */
  destroy(): void {
    this.#draining = true
    for (const session of this.#sessions) session.abort()
  }

  /** @returns the refusal to send, or undefined when the socket now belongs to a session. */
  async #accept(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<string | undefined> {
    const path = pathOf(request)
    const remoteAddress = this.#options.addressOf(request)
    // Our header on every answer tells an agent of ours that it was us who refused.
    const adit = speaksAdit(request.headers)
    const echo: Record<string, string> = adit ? { [PROTOCOL_HEADER]: PROTOCOL_VERSION } : {}
    const endpoint = routeEndpoint(path)
    // Piko judges before it routes: an unknown path of an unauthorised peer is a 401, not a 404.
    let grant: Grant
    try {
      const verdict = await this.#options.authorize({
        headers: request.headers,
        action: 'listen',
        endpoint: endpoint ?? '',
        remoteAddress,
      })
      if (isDenial(verdict)) return jsonRefusal(verdict.status, verdict.error, echo)
      grant = verdict
    } catch (error) {
      this.#options.logger.error({ err: error }, 'authorisation failed to decide')
      return jsonRefusal(500, 'internal error', echo)
    }
    if (endpoint === undefined) {
      return path.startsWith(ROUTE) && path.endsWith('/') && path.length > ROUTE.length
        ? textResponse(301, 'Moved Permanently', { location: path.slice(0, -1) })
        : textResponse(404, '404 page not found')
    }
    const handshake = checkHandshake(request.method ?? '', request.headers)
    if (!handshake.ok) return handshake.response
    if (!grant.permits('listen', endpoint)) return jsonRefusal(401, 'endpoint not permitted', echo)
    if (this.#draining) return jsonRefusal(503, 'server is shutting down', echo)
    if (this.#sessions.size >= this.#options.maxSessions) {
      this.#options.logger.warn({ remoteAddress }, 'agent refused: maxSessions reached')
      return jsonRefusal(503, 'too many sessions', echo)
    }
    if (socket.destroyed) return undefined
    socket.write(switchingProtocols(handshake.accept, adit))
    const session = new UpstreamSession(new WebSocketPipe(socket, { role: 'server', head }), {
      id: randomBytes(6).toString('hex'),
      protocol: adit ? 'adit' : 'piko',
      endpoint,
      grant,
      remoteAddress,
      registry: this.#options.registry,
      urls: this.#options.urls,
      node: this.#options.node,
      software: this.#options.software,
      maxEndpoints: this.#options.maxEndpointsPerSession,
      drainRetryAfterMs: this.#options.drainRetryAfterMs,
      logger: this.#options.logger,
    })
    this.#sessions.add(session)
    void session.closed.then(() => this.#sessions.delete(session))
    return undefined
  }
}

function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/'
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

/** The endpoint of a route, percent-decoded; undefined when the path is another or holds a slash. */
function routeEndpoint(path: string): string | undefined {
  if (!path.startsWith(ROUTE)) return undefined
  return decodeSegment(path.slice(ROUTE.length))
}

/** Decodes one path segment; undefined when it is empty, malformed or holds a slash. */
export function decodeSegment(segment: string): string | undefined {
  try {
    const decoded = decodeURIComponent(segment)
    return decoded === '' || decoded.includes('/') ? undefined : decoded
  } catch {
    return undefined
  }
}
