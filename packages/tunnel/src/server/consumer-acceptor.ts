import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'

import { WindowBudget } from '@proj/mux'

import { onAborted } from '../abortable.ts'
import {
  allowAll,
  type Authorize,
  type ClientCertificate,
  denialAnswer,
  type Grant,
  isDenial,
} from './authorization.ts'
import { ConsumerSession, type ConsumerStatus } from './consumer-session.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import { limit, WINDOW_BUDGET_BYTES } from '../limits.ts'
import { type Logger, silentLogger } from '../logger.ts'
import {
  type ConnectionRejection,
  openConnection,
  rejectConnection,
  tellRejected,
  type TcpVisitor,
} from './open-connection.ts'
import { protocolHeader, speaksAdit } from '../protocol/protocol-version.ts'
import { ANSWER_TEXTS, type HttpAnswer, jsonAnswer, sendAnswer } from '../protocol/http-answer.ts'
import { CONNECT_ROUTE, routeEndpoint } from '../protocol/routes.ts'
import { OpenSplices } from '../io/open-splices.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import { checkHandshake, switchingProtocols } from '../websocket/handshake.ts'
import { WebSocketPipe } from '../websocket/pipe.ts'

/** A handshake for the connect route, read by the owner of the proxy port. */
export interface ConnectRequest extends TcpVisitor {
  /** As sent; only GET is accepted. */
  readonly method: string
  /** Path without the query. */
  readonly path: string
  /** Lower-case names. */
  readonly headers: IncomingHttpHeaders
  /** What the peer has shown on TLS. */
  readonly certificate?: ClientCertificate
}

/** What the server's app joins the acceptor with. */
export interface ConsumerAcceptorOptions {
  /** Where upstreams are found. */
  readonly registry: UpstreamRegistry
  /** Judges handshakes. Default: everything is allowed. */
  readonly authorize?: Authorize
  /** Called with the socket of every peer that was let in, after its 101. Default: not called. */
  readonly onAccepted?: (socket: Duplex) => void
  /** Names this server. Default: random. */
  readonly node?: string
  /** Program and version. Default `adit`. */
  readonly software?: string
  /** Consumer sessions and connections held at once; one more gets 503. Default 10 000. */
  readonly maxSessions?: number
  /** Time an Adit consumer has for its `hello`, ms; then its session ends. Default 10 000. */
  readonly helloTimeoutMs?: number
  /**
   * Memory that the windows of all sessions may grow by together; acceptors may share a budget.
   * Default: 256 MiB.
   */
  readonly windowBudget?: WindowBudget
  /** Default: silent. */
  readonly logger?: Logger
}

/**
 * The connect route of the proxy port. A Piko forwarder gets what Piko gives: one WebSocket is one
 * TCP connection, raw bytes after 101. An Adit consumer gets a session instead, on which each
 * connection is a stream with half-close, a record ahead and a reason in its reset.
 */
export class ConsumerAcceptor {
  readonly #options: Required<ConsumerAcceptorOptions>
  readonly #sessions = new Set<ConsumerSession>()
  readonly #pipes = new OpenSplices()
  #draining = false

  /** @throws {RangeError} naming a limit that is out of its range. */
  constructor(options: ConsumerAcceptorOptions) {
    this.#options = {
      registry: options.registry,
      authorize: options.authorize ?? allowAll,
      onAccepted: options.onAccepted ?? (() => {}),
      node: options.node ?? randomBytes(4).toString('hex'),
      software: options.software ?? 'adit',
      maxSessions: limit('maxSessions', options.maxSessions),
      helloTimeoutMs: limit('helloTimeoutMs', options.helloTimeoutMs),
      windowBudget: options.windowBudget ?? new WindowBudget(WINDOW_BUDGET_BYTES),
      logger: options.logger ?? silentLogger,
    }
  }

  /** Whether a request is for this route; only GET with one segment behind it is, as in Piko. */
  matches(method: string, path: string): boolean {
    return method === 'GET' && routeEndpoint(CONNECT_ROUTE, path) !== undefined
  }

  /** Connections and sessions held now. */
  get size(): number {
    return this.#sessions.size + this.#pipes.size
  }

  /** Connections to endpoints that are open now. */
  get connections(): number {
    let count = this.#pipes.size
    for (const session of this.#sessions) count += session.streams
    return count
  }

  /** The consumers whose sessions are open; each connection of a Piko forwarder is none. */
  get consumers(): readonly ConsumerStatus[] {
    return [...this.#sessions].map(({ status }) => status)
  }

  /** Takes a matching request's socket over; answers every outcome on it. */
  async handle(request: ConnectRequest, socket: Duplex, head: Buffer): Promise<void> {
    const ignore = (): void => {}
    socket.on('error', ignore)
    socket.pause() // until the request has been judged
    const answer = await this.#accept(request, socket, head)
    if (answer !== undefined) sendAnswer(socket, answer)
    else socket.off('error', ignore)
  }

  /**
   * Lets open connections finish, asks Adit consumers to connect elsewhere, and rejects new ones.
   *
   * @param options.signal - ends the wait: connections that are still open are then cut off.
   */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#draining = true
    await Promise.all([
      ...[...this.#sessions].map((session) => session.drain(signal)),
      this.#pipes.drained(signal),
    ])
    this.#pipes.abort('draining')
  }

  /** Resets the connections that are open; their sessions stay. */
  endConnections(): void {
    for (const session of this.#sessions) session.resetStreams('draining')
    this.#pipes.abort('draining')
  }

  /** Destroys all sessions and connections without a drain. */
  destroy(): void {
    this.#draining = true
    for (const session of this.#sessions) session.abort()
    this.#pipes.abort('draining')
  }

  /** @returns the answer to send, or undefined when the socket has an owner now. */
  async #accept(
    request: ConnectRequest,
    socket: Duplex,
    head: Buffer,
  ): Promise<HttpAnswer | undefined> {
    const { registry, authorize, logger, maxSessions } = this.#options
    const { headers, remoteAddress, certificate } = request
    const adit = speaksAdit(headers)
    const echo = protocolHeader(adit)
    const endpoint = routeEndpoint(CONNECT_ROUTE, request.path)
    if (endpoint === undefined) return jsonAnswer(400, 'missing endpoint id', echo)
    let grant: Grant
    try {
      const verdict = await authorize({
        headers,
        action: 'connect',
        endpoint,
        remoteAddress,
        ...(certificate !== undefined && { certificate }),
      })
      if (isDenial(verdict)) return denialAnswer(verdict, echo)
      grant = verdict
    } catch (error) {
      logger.error({ err: error }, 'authorisation failed to decide')
      return jsonAnswer(500, 'internal error', echo)
    }
    if (this.#draining) return jsonAnswer(503, 'server is shutting down', echo)
    if (this.size >= maxSessions) return jsonAnswer(503, 'too many connections', echo)
    if (!adit) {
      const named = { tenant: grant.tenant, name: endpoint }
      if (!grant.permits('connect', endpoint)) {
        tellRejected(registry, named, request, 'notPermitted')
        return jsonAnswer(401, ANSWER_TEXTS.notPermitted)
      }
      // Piko looks for an upstream before it looks at the handshake.
      const rejection = rejectConnection(registry, named, request)
      const isExpected = rejection === 'noUpstream' && registry.waits.expects(named)
      if (rejection !== undefined && !isExpected) {
        tellRejected(registry, named, request, rejection)
        return rejectionAnswer(rejection)
      }
    }
    const handshake = checkHandshake(request.method, headers)
    if (!handshake.ok) return handshake.answer
    if (socket.destroyed) return undefined
    if (!adit) {
      const named = { tenant: grant.tenant, name: endpoint }
      return await this.#connect(named, grant, request, handshake.accept, socket, head)
    }
    socket.write(switchingProtocols(handshake.accept, true))
    this.#options.onAccepted(socket)
    const pipe = new WebSocketPipe(socket, { role: 'server', head })
    const session = new ConsumerSession(pipe, grant, request, this.#options)
    this.#sessions.add(session)
    void session.closed.then(() => this.#sessions.delete(session))
    return undefined
  }

  /** One connection of a Piko forwarder: bare bytes after 101. */
  async #connect(
    endpoint: Endpoint,
    grant: Grant,
    request: ConnectRequest,
    accept: string,
    socket: Duplex,
    head: Buffer,
  ): Promise<HttpAnswer | undefined> {
    const { registry, logger } = this.#options
    const gone = new AbortController()
    const end = (): void => gone.abort()
    socket.once('close', end)
    const connection = await openConnection(registry, endpoint, request, logger, gone.signal)
    socket.off('close', end)
    if (typeof connection === 'string') return rejectionAnswer(connection)
    if (socket.destroyed || this.#draining) {
      connection.abandon()
      return jsonAnswer(503, 'server is shutting down')
    }
    let over = (): void => {}
    const closed = new Promise<void>((resolve) => (over = resolve))
    const splice = connection.toSocket(() => {
      over()
      this.#pipes.delete(splice)
    })
    this.#pipes.add(splice)
    onAborted(grant.ended, closed, () => splice.abort('notPermitted'))
    socket.write(switchingProtocols(accept, false))
    this.#options.onAccepted(socket)
    // The reader of bare bytes may pause for long and then answers no ping: silence is no failure.
    splice.connect(new WebSocketPipe(socket, { role: 'server', head, missedPongs: Infinity }))
    return undefined
  }
}

const REJECTIONS: Readonly<Record<ConnectionRejection, readonly [status: number, text: string]>> = {
  notPermitted: [403, 'the rules of the endpoint deny this connection'],
  noUpstream: [502, ANSWER_TEXTS.noUpstream],
  limitReached: [503, 'too many connections'],
}

function rejectionAnswer(rejection: ConnectionRejection): HttpAnswer {
  return jsonAnswer(...REJECTIONS[rejection])
}
