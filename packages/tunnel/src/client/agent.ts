// Length: one state; links, endpoints and their rejections change together.
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'

import type { BackoffOptions } from '@proj/dialer'

import { abortable } from '../abortable.ts'
import { runAfter } from '../run-after.ts'
import { AgentLink } from './agent-link.ts'
import { type CloseOptions, ListenSession } from './listen-session.ts'
import type { Hello } from '../protocol/control-message.ts'
import { checkEndpointName } from '../protocol/endpoint.ts'
import { isTunnelError, TUNNEL_ERRORS, TunnelError } from '../errors.ts'
import { requestPipe } from './handshake-request.ts'
import { type AcceptChannel, Listener, type ListenOptions } from './listener.ts'
import { limit } from '../limits.ts'
import { type Logger, silentLogger } from '../logger.ts'
import { RetryLog } from './retry-log.ts'
import { routeTo, UPSTREAM_ROUTE } from '../protocol/routes.ts'
import { type ServerConnection, ServerList, serverName } from './server-list.ts'
import type { ServerOptions } from './server-options.ts'
import { ServerPresence } from './server-presence.ts'
import { ServerSpread } from './server-spread.ts'
import { checkVisitorRules } from '../protocol/visitor-rules.ts'

/** Options of an agent. */
export interface AgentOptions extends ServerOptions {
  /**
   * Parallel sessions with a server that speaks our protocol, 1 to 16, default 2: a bulk stream on
   * one does not delay the other, and one connection that dies costs only its streams. They are spread over
   * the servers where there are several. A Piko server gets one session per endpoint, as its wire demands.
   */
  readonly connections?: number
  /** Waits between attempts. Default: full jitter from 100 ms to 15 s, as far apart as Piko's. */
  readonly backoff?: BackoffOptions
  /** Program and version, sent to Adit servers. Default `adit`. */
  readonly software?: string
  /**
   * Id of the agent that this one replaces, from its `peer`: to a server both are one agent, so that they
   * serve the same endpoints side by side, exclusive ones too. Default: random.
   */
  readonly peer?: string
  /** Default: silent. */
  readonly logger?: Logger
}

/** Events of an agent. */
export interface AgentEvents {
  /** A session with the server is up. */
  connected: [info: { readonly protocol: 'piko' | 'adit' }]
  /** An attempt failed (with its error) or a session ended (without); the next attempt waits. */
  retry: [info: { readonly error: unknown; readonly delayMs: number }]
  /** The server rejected an endpoint; with `retryAfterMs` it is asked again after that, else it is final. */
  refused: [listener: Listener, error: TunnelError]
}

/**
 * The side beside the service: keeps sessions with a server and serves any number of endpoints over
 * them. The first link finds out what the server speaks; then there are `connections` links that
 * carry every endpoint each (our protocol), or one link per endpoint (Piko's).
 */
export class Agent extends EventEmitter<AgentEvents> {
  readonly #options: AgentOptions
  readonly #servers: ServerList
  readonly #spread: ServerSpread<ListenSession>
  readonly #connections: number
  readonly #helloTimeoutMs: number
  readonly #logger: Logger
  readonly #retryLog: RetryLog
  readonly #presence: ServerPresence
  readonly #identity: Omit<Hello, 'type'>
  readonly #listeners = new Map<string, Listener>()
  readonly #links = new Set<AgentLink>()
  /** Links that are closing: their streams have not finished yet. */
  readonly #closing = new Set<AgentLink>()
  /** Servers that have rejected a listener and are not asked again, by listener. */
  readonly #refusedBy = new WeakMap<Listener, Set<string>>()
  /** When a server rejected an exclusive listener that had not served first, times of `performance.now` by URL. */
  readonly #keptOffSince = new WeakMap<Listener, Map<string, number>>()
  /** The last rejection of each listener, so that it is logged once. */
  readonly #refusals = new WeakMap<Listener, string>()
  #nextPosition = 0
  #protocol: 'piko' | 'adit' | undefined
  #ended: Promise<void> | undefined

  /**
   * @throws {TypeError} for a URL that cannot be used.
   * @throws {RangeError} for `connections`, `helloTimeoutMs` or `pingIntervalMs` out of range.
   */
  constructor(options: AgentOptions) {
    super()
    this.#options = options
    this.#connections = limit('connections', options.connections)
    this.#helloTimeoutMs = limit('helloTimeoutMs', options.helloTimeoutMs)
    limit('pingIntervalMs', options.pingIntervalMs)
    this.#logger = options.logger ?? silentLogger
    this.#servers = new ServerList({
      url: options.url,
      renewsCredentials: typeof options.token === 'function',
      logger: this.#logger,
    })
    this.#spread = new ServerSpread<ListenSession>({
      servers: this.#servers,
      links: () => this.#links,
      connect: (link, url, signal) => this.#dial(link as AgentLink, url, signal),
      intervalMs: limit('spreadIntervalMs', options.spreadIntervalMs),
      logger: this.#logger,
    })
    this.#retryLog = new RetryLog(this.#logger)
    this.#presence = new ServerPresence(this.#servers.urls, this.#logger)
    this.#identity = {
      software: options.software ?? 'adit',
      peer: options.peer ?? randomBytes(8).toString('hex'),
    }
  }

  /** Wire spoken with the server; undefined before the first session. */
  get protocol(): 'piko' | 'adit' | undefined {
    return this.#protocol
  }

  /** Sessions open now, those that are being left included. */
  get sessions(): number {
    return this.#allLinks().reduce((sum, link) => sum + link.sessions.size, 0)
  }

  /** The connections that are open now, with their servers. */
  get connections(): readonly ServerConnection[] {
    const sessions = this.#allLinks().flatMap((link) => [...link.sessions])
    return sessions.map(({ url, serverId }) => ({ url, serverId }))
  }

  /** Servers of several that have rejected this agent, by URL; they are not tried again. */
  get refusedServers(): ReadonlyMap<string, Error> {
    return this.#servers.refused
  }

  /** Joins the sessions of this agent at Adit servers; what they call it to operators is an id of their own. */
  get peer(): string {
    return this.#identity.peer
  }

  /** Endpoints served or being asked for. */
  get endpoints(): readonly Listener[] {
    return [...this.#listeners.values()]
  }

  /**
   * Serves an endpoint; connections arrive as `connection` events of the listener. Returns at once:
   * `await listener.ready()` waits for the server.
   *
   * @throws {TunnelError} TUNNEL_ENDPOINT_INVALID for a name that cannot be used or is used here
   *   already, TUNNEL_VISITORS_INVALID for rules that are too long, TUNNEL_CLOSED after `close`.
   */
  listen(endpoint: string, options: ListenOptions = {}): Listener {
    return this.#add(endpoint, options)
  }

  /** Serves an endpoint with a channel handler of the caller's; see `forward`. */
  listenChannels(endpoint: string, options: ListenOptions, accept: AcceptChannel): Listener {
    return this.#add(endpoint, { ...options, accept })
  }

  /**
   * Resolves when so many servers have answered for every endpoint.
   *
   * @throws `signal.reason`.
   */
  async reached(servers: number, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const connected = once(this, 'connected', { signal })
      connected.catch(() => {}) // awaited below, if at all
      const sessions = this.#allLinks().flatMap((link) => [...link.sessions])
      const answered = await abortable(
        Promise.all(sessions.map(async (one) => ((await one.answered()) ? one : undefined))),
        signal,
      )
      const ids = new Set(
        answered.flatMap((one) => one?.serverId ?? (one?.protocol === 'piko' ? 'piko' : [])),
      )
      if (ids.size >= servers) return
      await connected
    }
  }

  /**
   * Ends the agent: the server routes nothing more to it, open streams finish.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#ended ??= this.#close(options)
    return this.#ended
  }

  /** Ends the agent now. */
  destroy(): void {
    this.#ended ??= Promise.resolve()
    this.#spread.stop()
    this.#presence.stop()
    this.#failAll(closedError())
    for (const link of this.#allLinks()) void link.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await Promise.all(this.#allLinks().map((link) => link.destroy()))
  }

  #add(endpoint: string, options: ListenOptions & { readonly accept?: AcceptChannel }): Listener {
    if (this.#ended !== undefined) throw closedError()
    checkEndpointName(endpoint)
    if (options.visitors !== undefined) checkVisitorRules(options.visitors)
    checkPublicPort(options)
    if (this.#listeners.has(endpoint)) {
      throw new TunnelError(
        'TUNNEL_ENDPOINT_INVALID',
        `endpoint ${JSON.stringify(endpoint)} is served by this agent already`,
      )
    }
    const listener = new Listener(endpoint, options, (ended) => this.#release(ended))
    this.#listeners.set(endpoint, listener)
    if (this.#protocol === 'adit') {
      for (const link of this.#links) {
        for (const session of link.sessions) session.register(listener)
      }
    }
    this.#reconcile()
    return listener
  }

  async #release(listener: Listener): Promise<void> {
    if (this.#listeners.get(listener.endpoint) === listener) {
      this.#listeners.delete(listener.endpoint)
    }
    const sessions = this.#allLinks().flatMap((link) => [...link.sessions])
    const released = sessions.map((session) => session.release(listener))
    this.#reconcile()
    await Promise.all(released)
  }

  /** Brings the links in line with the wire spoken and the endpoints served. */
  #reconcile(): void {
    const listeners = [...this.#listeners.values()]
    const [first] = listeners
    if (this.#ended !== undefined || first === undefined) {
      for (const link of this.#links) this.#closeLink(link)
      return
    }
    if (this.#protocol === 'piko') {
      const wanted = new Set(listeners)
      for (const link of this.#links) if (!wanted.delete(link.primary)) this.#closeLink(link)
      for (const listener of wanted) this.#startLink(listener)
    } else {
      const wanted = this.#protocol === 'adit' ? this.#connections : 1
      for (let missing = wanted - this.#links.size; missing > 0; missing--) this.#startLink(first)
      for (const link of [...this.#links].slice(wanted)) this.#closeLink(link)
      // A reconnect must not ask for an endpoint that is no longer served.
      for (const link of this.#links) {
        if (this.#listeners.get(link.primary.endpoint) !== link.primary) link.primary = first
      }
    }
  }

  #startLink(primary: Listener): void {
    const link = new AgentLink(primary, this.#nextPosition++, {
      connect: (one, signal) => this.#connect(one, signal),
      onConnected: (one, session) => this.#onConnected(one, session),
      onRetry: (error, delayMs) => this.#onRetry(error, delayMs),
      onFatal: (one, error) => this.#onFatal(one, error),
      isOver: (session, error) => this.#isOver(session, error),
      renewsCredentials: typeof this.#options.token === 'function',
      backoff: this.#options.backoff ?? {},
      network: this.#options.network,
    })
    this.#links.add(link)
  }

  #closeLink(link: AgentLink): void {
    this.#links.delete(link)
    this.#closing.add(link)
    void link.close().then(() => this.#closing.delete(link))
  }

  #allLinks(): AgentLink[] {
    return [...this.#links, ...this.#closing]
  }

  async #connect(link: AgentLink, signal: AbortSignal): Promise<ListenSession> {
    const others = [...this.#links].filter((one) => one !== link)
    const uses = (url: string): number => others.filter(({ target }) => target === url).length
    return await this.#servers.connect(
      this.#servers.order(link.position, uses),
      (url, either) => {
        link.target = url
        return this.#dial(link, url, either)
      },
      signal,
    )
  }

  async #dial(link: AgentLink, url: string, signal: AbortSignal): Promise<ListenSession> {
    const route = routeTo(UPSTREAM_ROUTE, link.primary.endpoint)
    const server = await requestPipe({ ...this.#options, url }, route, signal)
    const isOther = ({ session }: AgentLink): boolean =>
      session !== undefined && session.protocol !== server.protocol
    if (this.#servers.urls.length > 1 && [...this.#links].some(isOther)) {
      server.pipe.destroy()
      const message = 'Piko and Adit servers cannot be mixed in one list'
      throw new TunnelError('TUNNEL_UPGRADE_REFUSED', message)
    }
    return new ListenSession(server, {
      identity: this.#identity,
      helloTimeoutMs: this.#helloTimeoutMs,
      serverHost: new URL(url).hostname,
      find: (record) =>
        record === undefined ? link.primary : this.#listeners.get(record.endpoint),
      onRefused: (listener, error) => this.#onRefused(url, listener, error),
    })
  }

  #onConnected(link: AgentLink, session: ListenSession): void {
    const { protocol } = session
    this.#logger.info({ protocol, ...this.#serverField(session.url) }, 'connected to server')
    this.#presence.connected(session)
    void session.greeted.then(() => this.#spread.update())
    void session.left.then(({ isReplaced }) => {
      if (isReplaced === undefined) this.#spread.lost()
    })
    this.#retryLog.connected()
    this.#tell(() => this.emit('connected', { protocol }))
    if (protocol === 'piko') session.register(link.primary)
    else for (const listener of this.#listeners.values()) session.register(listener)
    if (this.#protocol !== protocol) {
      this.#protocol = protocol
      this.#reconcile()
    }
  }

  #onRetry(error: unknown, delayMs: number): void {
    this.#retryLog.retry(error, delayMs)
    this.#tell(() => this.emit('retry', { error, delayMs }))
  }

  /** Trying again does not help: the link's endpoint ends with the reason, or all of them. */
  #onFatal(link: AgentLink, error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    this.#links.delete(link)
    // The token may be good for other endpoints; every other error concerns the agent.
    if (isTunnelError(reason) && reason.isOfEndpoint) this.#drop(link.primary, reason)
    else this.#failAll(reason)
    this.#reconcile()
  }

  /** A server has ended a session and its right: that is the end where no other server is left. */
  #isOver({ url }: ListenSession, error: unknown): boolean {
    if (error instanceof Error) this.#servers.refuse(url, error)
    return this.#servers.urls.length === 1 || !this.#servers.hasUsable
  }

  /** For logs: which server, where there are several. */
  #serverField(url: string): { readonly server?: string } {
    return this.#servers.urls.length === 1 ? {} : { server: serverName(url) }
  }

  #onRefused(url: string, listener: Listener, error: TunnelError): void {
    const { code, message, retryAfterMs } = error
    // A name in use is asked for again every few seconds: the reason is logged once.
    const server = this.#serverField(url)
    const refusal = `${server.server ?? ''} ${message}`
    const level = this.#refusals.get(listener) === refusal ? 'debug' : 'warn'
    this.#refusals.set(listener, refusal)
    const { hint } = TUNNEL_ERRORS[code]
    this.#logger[level](
      { endpoint: listener.endpoint, code, retryAfterMs, hint, ...server },
      message,
    )
    this.#tell(() => this.emit('refused', listener, error))
    if (retryAfterMs !== undefined && !this.#isKeptOff(url, listener, retryAfterMs, code)) return
    const refusedBy = this.#refusedBy.get(listener) ?? new Set()
    this.#refusedBy.set(listener, refusedBy.add(url))
    // The other servers may grant what this one does not.
    const { urls, refused } = this.#servers
    if (urls.every((one) => refusedBy.has(one) || refused.has(one))) this.#drop(listener, error)
  }

  /**
   * Whether an exclusive listener that has not served yet has been rejected for so long that the other agent is
   * there: the server pings it at the first request, and says when the answer is known.
   */
  #isKeptOff(url: string, listener: Listener, retryAfterMs: number, code: string): boolean {
    const isFirst = listener.exclusive && !listener.hasServed
    if (!isFirst || code !== 'TUNNEL_NAME_IN_USE') return false
    const nowMs = performance.now()
    // Each server finds out by itself whether the agents that it knows are there.
    const since = this.#keptOffSince.get(listener) ?? new Map<string, number>()
    const sinceMs = since.get(url) ?? nowMs
    this.#keptOffSince.set(listener, since.set(url, sinceMs))
    // Every session asks; a timer may be early by less than a tenth.
    return nowMs - sinceMs >= retryAfterMs * 0.9
  }

  #drop(listener: Listener, error: Error): void {
    if (listener.fail(error)) void this.#release(listener)
  }

  #failAll(error: Error): void {
    for (const listener of this.#listeners.values()) listener.fail(error)
    this.#listeners.clear()
  }

  /** Emits in the next tick: what a user's listener throws must not break a session. */
  #tell(emit: () => void): void {
    process.nextTick(emit)
  }

  async #close(options: CloseOptions): Promise<void> {
    this.#spread.stop()
    this.#presence.stop()
    using _ = runAfter(options.longLivedMs ?? Infinity, () => {
      for (const listener of this.#listeners.values()) listener.endConnections()
    })
    await Promise.all(this.#allLinks().map((link) => link.close(options)))
    this.#links.clear()
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()))
  }
}

function checkPublicPort({ publicPort, kind }: ListenOptions): void {
  if (publicPort === undefined) return
  if (kind !== 'tcp') throw new TypeError('publicPort goes with kind tcp, http has the proxy port')
  if (Number.isInteger(publicPort) && publicPort >= 0 && publicPort <= 65_535) return
  throw new RangeError(`publicPort must be a whole number from 0 to 65535, got ${publicPort}`)
}

function closedError(): TunnelError {
  return new TunnelError('TUNNEL_CLOSED', 'the agent was closed')
}
