import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'

import { allowAll, type Authorize, type Grant, isDenial } from './authorization.ts'
import { CONNECT_ROUTE, type ConnectRequest, connectRecord } from './connect-request.ts'
import { ConnectSession } from './connect-session.ts'
import { type Logger, silentLogger } from './logger.ts'
import { openUpstream } from './open-upstream.ts'
import { RESET_REASONS } from './reset-reason.ts'
import { SocketSplice } from './socket-splice.ts'
import { decodeSegment } from './upstream-acceptor.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import {
  checkHandshake,
  jsonRefusal,
  PROTOCOL_HEADER,
  PROTOCOL_VERSION,
  speaksAdit,
  switchingProtocols,
} from './websocket-handshake.ts'
import { WebSocketPipe } from './websocket-pipe.ts'

/** What the server's app joins the acceptor with. */
export interface ConnectAcceptorOptions {
  /** Where upstreams are found. */
  readonly registry: UpstreamRegistry
  /** Judges handshakes. Default: everyone may do everything. */
  readonly authorize?: Authorize
  /** Names this server. Default: random. */
  readonly node?: string
  /** Program and version. Default `adit`. */
  readonly software?: string
  /** Consumer sessions and connections held at once; one more gets 503. Default 10 000. */
  readonly maxSessions?: number
  /** Default: silent. */
  readonly logger?: Logger
}

/**
 * The connect route of the proxy port. A Piko forwarder gets what Piko gives: one WebSocket is one
 * TCP connection, raw bytes after 101. A consumer of ours gets a session instead, on which each
 * connection is a stream with half-close, a record ahead and a reason in its reset.
 */
export class ConnectAcceptor {
  readonly #options: Required<ConnectAcceptorOptions>
  readonly #sessions = new Set<ConnectSession>()
  readonly #pipes = new Set<SocketSplice>()
  #draining = false

  constructor(options: ConnectAcceptorOptions) {
    this.#options = {
      registry: options.registry,
      authorize: options.authorize ?? allowAll,
      node: options.node ?? randomBytes(4).toString('hex'),
      software: options.software ?? 'adit',
      maxSessions: options.maxSessions ?? 10_000,
      logger: options.logger ?? silentLogger,
    }
  }

  /** Whether a request is for this route; only GET is, as in Piko. */
  matches(method: string, path: string): boolean {
    return method === 'GET' && path.startsWith(CONNECT_ROUTE)
  }

  /** Connections and sessions held now. */
  get size(): number {
    return this.#sessions.size + this.#pipes.size
  }

  /** Takes a matching request's socket over; answers every outcome on it. */
  async handle(request: ConnectRequest, socket: Duplex, head: Buffer): Promise<void> {
    const ignore = (): void => {}
    socket.on('error', ignore)
    const refusal = await this.#accept(request, socket, head)
    if (refusal === undefined) socket.off('error', ignore)
    else socket.end(refusal)
  }

  /** Lets what runs finish, tells consumers of ours to expect the end, and refuses new ones. */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#draining = true
    await Promise.all([...this.#sessions].map((session) => session.drain(signal)))
  }

  /** Ends everything now. */
  destroy(): void {
    this.#draining = true
    for (const session of this.#sessions) session.abort()
    for (const splice of this.#pipes) splice.abort('draining')
  }

  async #accept(
    request: ConnectRequest,
    socket: Duplex,
    head: Buffer,
  ): Promise<string | undefined> {
    const { registry, authorize, logger, maxSessions } = this.#options
    const adit = speaksAdit(request.headers)
    const echo: Record<string, string> = adit ? { [PROTOCOL_HEADER]: PROTOCOL_VERSION } : {}
    const endpoint = decodeSegment(request.path.slice(CONNECT_ROUTE.length))
    if (endpoint === undefined) return jsonRefusal(400, 'missing endpoint id', echo)
    let grant: Grant
    try {
      const { headers, remoteAddress } = request
      const verdict = await authorize({ headers, action: 'connect', endpoint, remoteAddress })
      if (isDenial(verdict)) return jsonRefusal(verdict.status, verdict.error, echo)
      grant = verdict
    } catch (error) {
      logger.error({ err: error }, 'authorisation failed to decide')
      return jsonRefusal(500, 'internal error', echo)
    }
    if (this.#draining) return jsonRefusal(503, 'server is shutting down', echo)
    if (this.size >= maxSessions) return jsonRefusal(503, 'too many connections', echo)
    if (!adit && !grant.permits('connect', endpoint)) {
      return jsonRefusal(401, 'endpoint not permitted')
    }
    const handshake = checkHandshake(request.method, request.headers)
    if (!handshake.ok) return handshake.response

    if (adit) {
      if (socket.destroyed) return undefined
      socket.write(switchingProtocols(handshake.accept, true))
      const pipe = new WebSocketPipe(socket, { role: 'server', head })
      const session = new ConnectSession(pipe, grant, request, this.#options)
      this.#sessions.add(session)
      void session.closed.then(() => this.#sessions.delete(session))
      return undefined
    }
    const opened = openUpstream(registry, connectRecord(endpoint, request))
    if (opened === undefined) return jsonRefusal(502, 'no available upstreams')
    if (socket.destroyed) {
      opened.reset(RESET_REASONS.consumerGone)
      return undefined
    }
    const splice = new SocketSplice(opened, {
      resetReason: () => 'consumerGone',
      onClose: () => this.#pipes.delete(splice),
    })
    this.#pipes.add(splice)
    opened.attach(splice)
    socket.write(switchingProtocols(handshake.accept, false))
    splice.connect(new WebSocketPipe(socket, { role: 'server', head }))
    return undefined
  }
}
