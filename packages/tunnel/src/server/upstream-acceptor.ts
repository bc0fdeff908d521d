// Length: the handshakes of agents, and what is asked of all their sessions.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

import { type Session, WindowBudget } from '@proj/mux'

import {
  claimName,
  conflictDetails,
  conflictText,
  type NameConflict,
  type NameReservations,
  type RejectedName,
} from './claim-name.ts'
import {
  allowAll,
  type Authorize,
  type ClientCertificate,
  denialAnswer,
  type Grant,
  isDenial,
} from './authorization.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import { limit, WINDOW_BUDGET_BYTES } from '../limits.ts'
import { type Logger, silentLogger } from '../logger.ts'
import { type NameClaims, type NameLease, takeName } from './name-claims.ts'
import { noPublicPorts, type PublicPortSource } from './port-leases.ts'
import { protocolHeader, speaksAdit } from '../protocol/protocol-version.ts'
import {
  ANSWER_TEXTS,
  type HttpAnswer,
  jsonAnswer,
  retryAfterSeconds,
  sendAnswer,
  textAnswer,
} from '../protocol/http-answer.ts'
import { routeEndpoint, UPSTREAM_ROUTE } from '../protocol/routes.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import { UpstreamSession } from './upstream-session.ts'
import type { ReadVisitorRules, VisitorRules } from '../protocol/visitor-rules.ts'
import { checkHandshake, switchingProtocols } from '../websocket/handshake.ts'
import { WebSocketPipe } from '../websocket/pipe.ts'

/** Limits of an acceptor. */
export interface UpstreamAcceptorLimits {
  /** Agent sessions held at once, 1 or more; one more gets 503. Default 10 000. */
  readonly maxSessions?: number
  /** Endpoints one session of our protocol may register, 1 or more. Default 1000. */
  readonly maxEndpointsPerSession?: number
  /** Time an Adit agent has for its `hello`, ms; then its session ends. Default 10 000. */
  readonly helloTimeoutMs?: number
  /**
   * Time an agent has to answer a ping when another one asks for its name, ms, 50 to 60 000; then its
   * session ends. Default 2000.
   */
  readonly probeTimeoutMs?: number
  /** When another identity may ask again for a name that is served, ms, 100 to 300 000. Default 3000. */
  readonly nameRetryAfterMs?: number
}

/** What the server's app joins an acceptor with. */
export interface UpstreamAcceptorOptions<
  Rules extends VisitorRules = VisitorRules,
> extends UpstreamAcceptorLimits {
  /** Where endpoints are registered. */
  readonly registry: UpstreamRegistry<Rules>
  /** Judges handshakes. Default: everything is allowed. */
  readonly authorize?: Authorize
  /** Names that are held for identities. Default: none. */
  readonly reservations?: NameReservations
  /** Called for every name that is rejected because another identity has it. Default: not called. */
  readonly onNameRejected?: (rejected: RejectedName) => void
  /** Called with the socket of every peer that was let in, after its 101. Default: not called. */
  readonly onAccepted?: (socket: Duplex) => void
  /** URLs visitors can use for an endpoint, sent to Adit agents. Default: none. */
  readonly urls?: (endpoint: Endpoint) => readonly string[]
  /** Names this server to its agents. Default: random. */
  readonly node?: string
  /** Program and version, sent to Adit agents. Default `adit`. */
  readonly software?: string
  /** Delay sent to agents that are asked to connect elsewhere, ms, 0 to 300 000. Default 0. */
  readonly drainRetryAfterMs?: number
  /** The peer's address for logs and records. Default: that of the socket. */
  readonly addressOf?: (request: IncomingMessage) => string | undefined
  /** What the peer has shown on TLS, where certificates are asked for. Default: nothing. */
  readonly certificateOf?: (request: IncomingMessage) => ClientCertificate | undefined
  /**
   * Memory that the windows of all sessions may grow by together; acceptors may share a budget.
   * Default: 256 MiB.
   */
  readonly windowBudget?: WindowBudget
  /**
   * Understands the rules for visitors that agents send, for a server that enforces those of
   * `UpstreamRegistry.rules`. Default: agents that send rules are not told that they are in force, and serve nothing.
   */
  readonly readVisitorRules?: ReadVisitorRules<Rules>
  /**
   * Called when an agent that ends wants what has no end of its own closed, on the HTTP streams of one of its
   * sessions. Default: not called.
   */
  readonly onLongLivedOver?: (session: Session) => void
  /** Decides about names beyond this process. Default: this process alone does. */
  readonly claims?: NameClaims
  /** Gives out public TCP ports. Default: every request for one is rejected. */
  readonly publicPorts?: PublicPortSource
  /** Default: silent. */
  readonly logger?: Logger
}

/**
 * The upstream port: agents' handshakes in, sessions out. Answers are Piko's to the letter, so that
 * its agents retry and stop as they do against their own server (docs/protocol.md, "Handshake").
 *
 * Connect it to a `node:http` server: `server.on('upgrade', acceptor.handleUpgrade)` and
 * `server.on('request', acceptor.handleRequest)`.
 */
export class UpstreamAcceptor<Rules extends VisitorRules = VisitorRules> {
  readonly #options: Required<Omit<UpstreamAcceptorOptions, 'readVisitorRules' | 'claims'>> & {
    readonly readVisitorRules: ReadVisitorRules | undefined
    readonly claims: NameClaims | undefined
  }
  readonly #sessions = new Set<UpstreamSession>()
  #draining = false

  /** @throws {RangeError} naming a limit that is out of its range. */
  constructor(options: UpstreamAcceptorOptions<Rules>) {
    this.#options = {
      registry: options.registry,
      authorize: options.authorize ?? allowAll,
      reservations: options.reservations ?? { find: () => undefined },
      onNameRejected: options.onNameRejected ?? (() => {}),
      onAccepted: options.onAccepted ?? (() => {}),
      onLongLivedOver: options.onLongLivedOver ?? (() => {}),
      publicPorts: options.publicPorts ?? noPublicPorts,
      claims: options.claims,
      urls: options.urls ?? (() => []),
      node: options.node ?? randomBytes(4).toString('hex'),
      software: options.software ?? 'adit',
      drainRetryAfterMs: limit('drainRetryAfterMs', options.drainRetryAfterMs),
      maxSessions: limit('maxSessions', options.maxSessions),
      addressOf: options.addressOf ?? ((request) => request.socket.remoteAddress),
      certificateOf: options.certificateOf ?? (() => undefined),
      maxEndpointsPerSession: limit('maxEndpointsPerSession', options.maxEndpointsPerSession),
      helloTimeoutMs: limit('helloTimeoutMs', options.helloTimeoutMs),
      probeTimeoutMs: limit('probeTimeoutMs', options.probeTimeoutMs),
      nameRetryAfterMs: limit('nameRetryAfterMs', options.nameRetryAfterMs),
      windowBudget: options.windowBudget ?? new WindowBudget(WINDOW_BUDGET_BYTES),
      readVisitorRules: options.readVisitorRules,
      logger: options.logger ?? silentLogger,
    }
  }

  /** Sessions that are open now. */
  get sessions(): ReadonlySet<UpstreamSession> {
    return this.#sessions
  }

  /** Handler of the `upgrade` event. */
  readonly handleUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Until a pipe owns the socket, a reset by the peer needs no reaction.
    const ignore = (): void => {}
    socket.on('error', ignore)
    void this.#judge(request).then(async (verdict) => {
      const answer =
        'status' in verdict ? verdict : await this.#accept(request, verdict, socket, head)
      if (answer !== undefined) sendAnswer(socket, answer)
      else socket.off('error', ignore)
    })
  }

  /** Handler of the `request` event: everything but a WebSocket handshake is rejected. */
  readonly handleRequest = (request: IncomingMessage, response: ServerResponse): void => {
    void this.#judge(request).then((verdict) => {
      const handshake = checkHandshake('', {})
      const answer = 'status' in verdict ? verdict : handshake.ok ? undefined : handshake.answer
      response.shouldKeepAlive = false
      response.writeHead(answer?.status ?? 400, answer?.headers).end(answer?.body)
    })
  }

  /**
   * Asks Adit agents to connect elsewhere; visitors are routed to them until they have. New agents get
   * 503 from now on. Call it when the server begins to stop, before its visitors are drained.
   *
   * @param options.perSecond - agents that move in one second. Default: all at once.
   * @param options.keep - route visitors to those that have moved as well, until `letGo`.
   */
  askToMove(options: { readonly perSecond?: number; readonly keep?: boolean } = {}): void {
    const { perSecond = Infinity, keep = false } = options
    this.#draining = true
    let index = 0
    for (const session of this.#sessions) {
      const delayMs = this.#options.drainRetryAfterMs + Math.floor((index * 1_000) / perSecond)
      session.askToMove({ delayMs: Math.min(delayMs, MAX_MOVE_DELAY_MS), keep })
      index += 1
    }
  }

  /**
   * Asks the agents of some sessions to connect elsewhere; visitors are routed to them until they have. The server
   * goes on to accept agents, these too.
   *
   * @param count - sessions to ask; those that were asked before do not count.
   * @param options.signal - aborted: streams of Piko agents that are still open are cut off.
   * @returns how many were asked.
   */
  moveSome(count: number, options: { readonly signal: AbortSignal }): number {
    let asked = 0
    for (const session of this.#sessions) {
      if (asked >= count) break
      if (session.isMoving) continue
      asked += 1
      if (session.protocol === 'piko') void session.drain(options)
      else session.askToMove()
    }
    return asked
  }

  /** The name of an endpoint belongs to another identity now; see `UpstreamSession.loseName`. */
  loseName({ tenant, name }: Endpoint): void {
    for (const session of this.#sessions) if (session.tenant === tenant) session.loseName(name)
  }

  /**
   * Asks all sessions of one agent to connect elsewhere; visitors are routed to it until it has. Piko's agents cannot
   * be asked: theirs end when their streams are over.
   *
   * @param agentId - `Upstream.agentId` of the agent.
   * @param options.signal - ends the wait for streams of Piko's agents.
   * @returns how many sessions there are.
   */
  drainAgent(agentId: string, options: { readonly signal: AbortSignal }): number {
    const sessions = this.#sessionsOf(agentId)
    for (const session of sessions) {
      if (session.protocol === 'piko') void session.drain(options)
      else session.askToMove()
    }
    return sessions.length
  }

  /**
   * Ends all sessions of one agent now, in a way that makes it come back.
   *
   * @param agentId - `Upstream.agentId` of the agent.
   * @param why - for the log.
   * @returns how many sessions there were.
   */
  disconnectAgent(agentId: string, why: string): number {
    const sessions = this.#sessionsOf(agentId)
    for (const session of sessions) session.end(why)
    return sessions.length
  }

  #sessionsOf(agentId: string): UpstreamSession[] {
    return [...this.#sessions].filter((session) => session.agentId === agentId)
  }

  /** Agents that `askToMove` has kept may go: no visitor needs them here any more. */
  letGo(): void {
    for (const session of this.#sessions) session.letGo()
  }

  /**
   * Makes every agent connect again, to another process that has taken this server's ports: Adit agents
   * are asked to, and those of Piko come back when their streams have ended. New agents get 503 from now on.
   *
   * @param options.signal - aborted: streams of Piko agents that are still open are cut off.
   */
  moveAway(options: { readonly signal: AbortSignal }): void {
    this.askToMove()
    for (const session of this.#sessions) {
      if (session.protocol === 'piko') void session.drain(options)
    }
  }

  /**
   * Ends every agent's session in good order; see `UpstreamSession.drain`. New agents get 503 from now
   * on.
   *
   * @param options.signal - ends the wait: streams that are still open are then cut off.
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

  /**
   * Authorises and routes. Piko judges before it routes: an unknown path of an unauthorised peer is a
   * 401, not a 404.
   */
  async #judge(request: IncomingMessage): Promise<Admission | HttpAnswer> {
    const { path, query } = targetOf(request)
    const endpoint = routeEndpoint(UPSTREAM_ROUTE, path)
    // By this header an Adit agent knows that the answer is a server's and not a proxy's.
    const echo = protocolHeader(speaksAdit(request.headers))
    let grant: Grant
    try {
      const certificate = this.#options.certificateOf(request)
      const verdict = await this.#options.authorize({
        headers: request.headers,
        action: 'listen',
        endpoint: endpoint ?? '',
        remoteAddress: this.#options.addressOf(request),
        ...(certificate !== undefined && { certificate }),
      })
      if (isDenial(verdict)) return denialAnswer(verdict, echo)
      grant = verdict
    } catch (error) {
      this.#options.logger.error({ err: error }, 'authorisation failed to decide')
      return jsonAnswer(500, 'internal error', echo)
    }
    if (request.method === 'GET') {
      if (endpoint !== undefined) return { endpoint, grant }
      const slashless = path.replace(/\/$/, '')
      if (routeEndpoint(UPSTREAM_ROUTE, slashless) !== undefined) {
        return textAnswer(301, 'Moved Permanently', { location: slashless + query })
      }
    }
    return textAnswer(404, '404 page not found')
  }

  /** @returns the answer to send, or undefined when the socket now belongs to a session. */
  #accept(
    request: IncomingMessage,
    { endpoint, grant }: Admission,
    socket: Duplex,
    head: Buffer,
  ): HttpAnswer | undefined | Promise<HttpAnswer | undefined> {
    const options = this.#options
    const adit = speaksAdit(request.headers)
    const echo = protocolHeader(adit)
    const remoteAddress = options.addressOf(request)
    const handshake = checkHandshake('GET', request.headers)
    if (!handshake.ok) return handshake.answer
    if (!grant.permits('listen', endpoint)) {
      const allowed = grant.describe?.('listen')
      return jsonAnswer(401, ANSWER_TEXTS.notPermitted, echo, { allowed })
    }
    const refused = this.#refusal(echo, remoteAddress)
    if (refused !== undefined) return refused
    // On our wire, names are registered by message; the route names only the first endpoint.
    const taken = adit ? undefined : this.#nameConflict(endpoint, grant, remoteAddress)
    if (taken !== undefined) return taken
    if (socket.destroyed) return undefined
    const open = (lease?: NameLease): undefined => {
      socket.write(switchingProtocols(handshake.accept, adit))
      options.onAccepted(socket)
      const session = new UpstreamSession(new WebSocketPipe(socket, { role: 'server', head }), {
        ...options,
        id: randomBytes(6).toString('hex'),
        protocol: adit ? 'adit' : 'piko',
        endpoint,
        lease,
        grant,
        remoteAddress,
        maxEndpoints: options.maxEndpointsPerSession,
      })
      this.#sessions.add(session)
      void session.closed.then(() => this.#sessions.delete(session))
    }
    if (adit || options.claims === undefined) return open()
    return this.#claim(options.claims, endpoint, grant, remoteAddress, socket, open)
  }

  /** Why no further session is accepted now; undefined: one is. */
  #refusal(
    echo: Readonly<Record<string, string>>,
    remoteAddress: string | undefined,
  ): HttpAnswer | undefined {
    if (this.#draining) return jsonAnswer(503, 'server is shutting down', echo)
    if (this.#sessions.size < this.#options.maxSessions) return undefined
    this.#options.logger.warn({ remoteAddress }, 'agent refused: maxSessions reached')
    return jsonAnswer(503, 'too many sessions', echo)
  }

  /** Claims the name of a Piko agent before its handshake is answered. */
  async #claim(
    claims: NameClaims,
    name: string,
    grant: Grant,
    remoteAddress: string | undefined,
    socket: Duplex,
    open: (lease: NameLease) => undefined,
  ): Promise<HttpAnswer | undefined> {
    const { logger } = this.#options
    const { tenant, identity } = grant
    const gone = new AbortController()
    socket.once('close', () => gone.abort())
    const claim = { endpoint: { tenant, name }, identity, isExclusive: false }
    const answer = await takeName(claims, claim, gone.signal, logger)
    if ('code' in answer) {
      const { message, retryAfterMs = 0, code } = answer
      return laterAnswer(message, retryAfterMs, { code, retryAfterMs })
    }
    if ('holder' in answer) return this.#rejectName(name, grant, remoteAddress, answer)
    // Since then the server may have begun to stop, or another identity may have got the name here.
    const refused = this.#refusal({}, remoteAddress)
    const rejected = refused ?? this.#nameConflict(name, grant, remoteAddress)
    if (rejected === undefined && !socket.destroyed) return open(answer)
    answer.release()
    return rejected
  }

  /** Piko's agents come back after 503 and give up after 409. */
  #nameConflict(
    name: string,
    grant: Grant,
    remoteAddress: string | undefined,
  ): HttpAnswer | undefined {
    const { identity, tenant } = grant
    const claim = { endpoint: { tenant, name }, identity, isExclusive: false }
    let conflict: NameConflict | undefined
    try {
      conflict = claimName(claim, this.#options)
    } catch (err) {
      this.#options.logger.error({ err, endpoint: name }, 'the holder of a name cannot be read')
      return jsonAnswer(500, 'internal error')
    }
    if (conflict === undefined) return undefined
    return this.#rejectName(name, grant, remoteAddress, conflict)
  }

  #rejectName(
    name: string,
    { identity, tenant }: Grant,
    remoteAddress: string | undefined,
    conflict: NameConflict,
  ): HttpAnswer {
    const { logger, onNameRejected } = this.#options
    onNameRejected({ endpoint: { tenant, name }, identity, remoteAddress, conflict })
    const { retryAfterMs } = conflict
    const text = conflictText(name, conflict)
    const details = conflictDetails(conflict)
    logger.warn({ endpoint: name, identity, remoteAddress, code: details.code }, 'endpoint refused')
    if (retryAfterMs === undefined) return jsonAnswer(409, text, {}, details)
    return laterAnswer(text, retryAfterMs, details)
  }
}

function laterAnswer(text: string, delayMs: number, details: object): HttpAnswer {
  return jsonAnswer(503, text, { 'retry-after': retryAfterSeconds(delayMs) }, details)
}

/** Longest time an agent is told to wait before it moves, ms. */
const MAX_MOVE_DELAY_MS = 20_000

/** A peer that may have a session. */
interface Admission {
  readonly endpoint: string
  readonly grant: Grant
}

function targetOf({ url = '/' }: IncomingMessage): { path: string; query: string } {
  const at = url.indexOf('?')
  return at < 0 ? { path: url, query: '' } : { path: url.slice(0, at), query: url.slice(at) }
}
