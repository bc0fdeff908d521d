import { EventEmitter, setMaxListeners } from 'node:events'
import type { Duplex } from 'node:stream'

import type { BackoffOptions } from '@proj/dialer'
import type { Channel, ChannelSink } from '@proj/mux'

import { abortable, underSignals } from '../abortable.ts'
import { ConsumerLink, firstServing } from './consumer-link.ts'
import { DialSession } from './dial-session.ts'
import { checkEndpointName } from '../protocol/endpoint.ts'
import type { EndpointState } from './dial-session.ts'
import { TunnelError } from '../errors.ts'
import { answeredByPiko, requestPipe, type ServerPipe } from './handshake-request.ts'
import { Demand, type Departure, keepConnected, type KeptConnection } from './keep-connected.ts'
import { limit } from '../limits.ts'
import { type Logger, silentLogger } from '../logger.ts'
import { RetryLog } from './retry-log.ts'
import { CONNECT_ROUTE, routeTo, SESSION_ENDPOINT } from '../protocol/routes.ts'
import { type ServerConnection, ServerList } from './server-list.ts'
import type { ServerOptions } from './server-options.ts'
import { ServerPresence } from './server-presence.ts'
import { ServerSpread } from './server-spread.ts'

/** Sessions of one consumer at once: with so many servers, the loss of one delays no connection. */
const MAX_CONSUMER_SERVERS = 2

/** Options of a consumer. */
export interface ConsumerOptions extends ServerOptions {
  /** Waits between attempts. Default: full jitter from 100 ms to 15 s. */
  readonly backoff?: BackoffOptions
  /** Program and version, sent to Adit servers. Default `adit`. */
  readonly software?: string
  /** Default: silent. */
  readonly logger?: Logger
}

/** Events of a consumer. */
export interface ConsumerEvents {
  /** The server was reached. */
  connected: [info: { readonly protocol: 'piko' | 'adit' }]
  /** An attempt failed (with its error) or the session ended (without); the next attempt waits. */
  retry: [info: { readonly error: unknown; readonly delayMs: number }]
}

/** A connection to an endpoint: a channel on the session with an Adit server, or a pipe of its own. */
export type Way =
  | { readonly protocol: 'adit'; readonly channel: Channel }
  | { readonly protocol: 'piko'; readonly pipe: Duplex }

/**
 * The side away from the service: reaches endpoints through a server's proxy port. With a server of
 * ours every connection is a stream on one session; with a Piko server, a WebSocket of its own. With several
 * servers there are sessions with two of them, and a connection goes to the first that says an agent serves its endpoint.
 */
export class Consumer extends EventEmitter<ConsumerEvents> {
  /** Rejects when the server rejects this consumer and a retry cannot change that; otherwise never settles. */
  readonly failed: Promise<never>

  readonly #options: ConsumerOptions
  readonly #servers: ServerList
  readonly #spread: ServerSpread<DialSession>
  readonly #links: readonly ConsumerLink[]
  readonly #helloTimeoutMs: number
  readonly #logger: Logger
  readonly #retryLog: RetryLog
  readonly #presence: ServerPresence
  readonly #stop = new AbortController()
  readonly #sessions = new Set<DialSession>()
  /** Calls that wait for the server. */
  readonly #waiting = new Set<() => void>()
  readonly #demand = new Demand()
  #done: Promise<unknown> | undefined
  #fail: (error: Error) => void = () => {}

  /**
   * @throws {TypeError} for a URL that cannot be used.
   * @throws {RangeError} for `helloTimeoutMs` or `pingIntervalMs` out of range.
   */
  constructor(options: ConsumerOptions) {
    super()
    setMaxListeners(0, this.#stop.signal) // one per waiting call; the caller bounds their number
    this.#options = options
    this.#helloTimeoutMs = limit('helloTimeoutMs', options.helloTimeoutMs)
    limit('pingIntervalMs', options.pingIntervalMs)
    this.#logger = options.logger ?? silentLogger
    this.#servers = new ServerList({
      url: options.url,
      renewsCredentials: typeof options.token === 'function',
      logger: this.#logger,
    })
    const count = Math.min(this.#servers.urls.length, MAX_CONSUMER_SERVERS)
    this.#links = Array.from({ length: count }, (_, position) => new ConsumerLink(position))
    this.#spread = new ServerSpread<DialSession>({
      servers: this.#servers,
      links: () => this.#links,
      connect: (_, url, signal) => this.#dialOther(url, signal),
      intervalMs: limit('spreadIntervalMs', options.spreadIntervalMs),
      logger: this.#logger,
    })
    this.#retryLog = new RetryLog(this.#logger)
    this.#presence = new ServerPresence(this.#servers.urls, this.#logger)
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {}) // without a listener the error comes from open()
  }

  /** Wire spoken with the server; undefined while there is no connection. */
  get protocol(): 'piko' | 'adit' | undefined {
    const [first] = this.#live()
    if (first === undefined) return undefined
    return first === 'piko' ? 'piko' : 'adit'
  }

  /** The sessions that are open now, with their servers; none with a Piko server. */
  get connections(): readonly ServerConnection[] {
    return this.#sessionsNow().map(({ url, serverId }) => ({ url, serverId }))
  }

  /** Servers of several that have rejected this consumer, by URL; they are not tried again. */
  get refusedServers(): ReadonlyMap<string, Error> {
    return this.#servers.refused
  }

  /** Starts to connect and keeps at it; calling again changes nothing. */
  start(): void {
    if (this.#stop.signal.aborted) return
    this.#done ??= Promise.all(this.#links.map((link) => this.#keep(link)))
  }

  /**
   * Waits until the server was reached.
   *
   * @throws the error that cannot be mended, or `signal.reason`.
   */
  async ready(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    options.signal?.throwIfAborted()
    this.#stop.signal.throwIfAborted()
    this.start()
    if (this.#live().length === 0) await this.#under(options, (signal) => this.#server(signal))
  }

  /**
   * Opens a way to an endpoint. With an Adit server a rejection arrives as a reset with a reason;
   * with a Piko server it is the handshake that fails.
   *
   * @param options.signal - ends the wait for the server.
   * @throws {TunnelError} TUNNEL_ENDPOINT_INVALID, TUNNEL_UNAUTHORIZED, TUNNEL_UPGRADE_REFUSED,
   *   TUNNEL_CLOSED after `close`.
   * @throws {DialError} from a Piko server that has no upstream for it.
   */
  async open(
    endpoint: string,
    options: { readonly signal?: AbortSignal; readonly sink?: ChannelSink } = {},
  ): Promise<Way> {
    checkEndpointName(endpoint)
    await this.ready(options)
    return await this.#under(options, async (signal) => {
      for (;;) {
        const server = await this.#serverOf(endpoint, signal)
        if (server === 'piko') {
          const route = routeTo(CONNECT_ROUTE, endpoint)
          const { pipe } = await this.#servers.connect(
            this.#servers.order(0, () => 0),
            (url, either) => requestPipe({ ...this.#options, url }, route, either, 'bytes'),
            signal,
          )
          return { protocol: 'piko', pipe }
        }
        const channel = await server.open(endpoint, options.sink, signal)
        if (channel !== undefined) return { protocol: 'adit', channel }
      }
    })
  }

  /**
   * Asks how an endpoint fares: who serves it, and what became of the last stream to its service. Of several
   * servers, one that an agent serves it at is the one to tell.
   *
   * @returns undefined when the server cannot say (Piko) or is not there.
   */
  async query(
    endpoint: string,
    options: { readonly signal: AbortSignal },
  ): Promise<EndpointState | undefined> {
    const sessions = this.#sessionsNow()
    const [only] = sessions
    if (sessions.length <= 1) return await only?.query(endpoint, options.signal)
    const asked = sessions.map((session) =>
      session.query(endpoint, options.signal).catch(() => undefined),
    )
    const states = (await Promise.all(asked)).filter((state) => state !== undefined)
    return states.find(({ upstreams }) => upstreams > 0) ?? states[0]
  }

  /** Ends the consumer: open connections finish first. */
  async close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#spread.stop()
    this.#presence.stop()
    this.#stop.abort(new TunnelError('TUNNEL_CLOSED', 'the consumer was closed'))
    for (const { next } of this.#links) next?.destroy()
    await Promise.all([...this.#sessions].map((session) => session.close(options)))
    await this.#done
  }

  /** Ends the consumer now. */
  destroy(): void {
    this.#spread.stop()
    this.#presence.stop()
    this.#stop.abort(new TunnelError('TUNNEL_CLOSED', 'the consumer was closed'))
    for (const { next } of this.#links) next?.destroy()
    for (const session of this.#sessions) session.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.#done
  }

  /** Keeps one connection up. */
  async #keep(link: ConsumerLink): Promise<void> {
    try {
      await keepConnected<KeptConnection>({
        connect: (signal) => this.#connect(link, signal),
        onConnected: () => this.#onConnected(),
        onRetry: (error, delayMs) => {
          this.#retryLog.retry(error, delayMs)
          this.#tell(() => this.emit('retry', { error, delayMs }))
        },
        isOver: (connection, error) => this.#isOver(connection, error),
        renewsCredentials: typeof this.#options.token === 'function',
        backoff: this.#options.backoff ?? {},
        network: this.#options.network,
        demand: this.#demand,
        signal: this.#stop.signal,
      })
    } catch (error) {
      if (this.#stop.signal.aborted) return
      const reason = error instanceof Error ? error : new Error(String(error))
      this.#logger.error(
        { err: reason },
        'the server rejected this consumer, it does not try again',
      )
      this.#fail(reason)
      this.#stop.abort(reason)
    }
  }

  async #connect(link: ConsumerLink, signal: AbortSignal): Promise<KeptConnection> {
    const { next } = link
    link.next = undefined
    const uses = (url: string): number =>
      this.#links.filter((one) => one !== link && one.target === url).length
    const made =
      next ??
      (await this.#servers.connect(
        this.#servers.order(link.position, uses),
        (url, either) => {
          link.target = url
          return this.#dial(url, either)
        },
        signal,
      ))
    if (made === 'piko') return this.#usePiko(link)
    if (signal.aborted) made.destroy()
    link.current = made
    this.#presence.connected(made)
    void made.greeted.then(() => this.#spread.update())
    void made.left.then(({ isReplaced }) => {
      if (link.current === made) link.current = undefined
      if (isReplaced === undefined) this.#spread.lost()
    })
    return made
  }

  /** A session with a server; `piko` when that is the one it is from. */
  async #dial(url: string, signal: AbortSignal): Promise<DialSession | 'piko'> {
    let server: ServerPipe
    try {
      const route = routeTo(CONNECT_ROUTE, SESSION_ENDPOINT)
      server = await requestPipe({ ...this.#options, url }, route, signal)
    } catch (error) {
      if (answeredByPiko(error)) return 'piko'
      throw error
    }
    if (server.protocol === 'piko') {
      // An agent of that Piko server serves an endpoint of this name; it is not for us.
      server.pipe.destroy()
      return 'piko'
    }
    const software = this.#options.software ?? 'adit'
    const session = new DialSession(server, software, this.#helloTimeoutMs)
    this.#sessions.add(session)
    void session.closed.then(() => this.#sessions.delete(session))
    return session
  }

  /** A session with another server, to be exchanged for a current one. */
  async #dialOther(url: string, signal: AbortSignal): Promise<DialSession> {
    const made = await this.#dial(url, signal)
    if (made !== 'piko') return made
    throw new TunnelError('TUNNEL_UPGRADE_REFUSED', 'a Piko server answered, unlike the other ones')
  }

  /** A Piko server has no sessions with consumers: there is nothing to keep open. */
  #usePiko(link: ConsumerLink): KeptConnection {
    const { signal } = this.#stop
    link.current = 'piko'
    return {
      left: new Promise<Departure>((resolve) =>
        signal.addEventListener('abort', () => resolve({}), { once: true }),
      ),
    }
  }

  /** A server has ended a session and its right: that is the end where no other server is left. */
  #isOver(connection: KeptConnection, error: unknown): boolean {
    if (connection instanceof DialSession && error instanceof Error) {
      this.#servers.refuse(connection.url, error)
    }
    return this.#servers.urls.length === 1 || !this.#servers.hasUsable
  }

  #onConnected(): void {
    const { protocol } = this
    if (protocol === undefined) return // lost again already
    this.#retryLog.connected()
    for (const wake of this.#waiting) wake()
    this.#tell(() => this.emit('connected', { protocol }))
  }

  /** The servers that can be used now. */
  #live(): (DialSession | 'piko')[] {
    return this.#links.flatMap(({ current }) => current ?? [])
  }

  /** The sessions that can be used now. */
  #sessionsNow(): DialSession[] {
    return this.#live().filter((one) => one !== 'piko')
  }

  /** A server for a connection to an endpoint, as soon as there is one. */
  async #serverOf(endpoint: string, signal: AbortSignal): Promise<DialSession | 'piko'> {
    const first = await this.#server(signal)
    const sessions = this.#sessionsNow()
    return sessions.length <= 1 ? first : await firstServing(sessions, endpoint, signal)
  }

  /** The server, as soon as there is one. */
  async #server(signal: AbortSignal): Promise<DialSession | 'piko'> {
    for (;;) {
      const [first] = this.#live()
      if (first !== undefined) return first
      let wake = (): void => {}
      const woken = new Promise<void>((resolve) => (wake = resolve))
      this.#waiting.add(wake)
      this.#demand.begin()
      try {
        await abortable(woken, signal)
      } finally {
        this.#waiting.delete(wake)
        this.#demand.end()
      }
    }
  }

  /** Runs something until it is done, the caller's signal aborts or the consumer ends. */
  async #under<T>(
    { signal }: { readonly signal?: AbortSignal },
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const ended = this.#stop.signal
    return await underSignals([ended, signal], run)
  }

  /** Emits in the next tick: what a user's listener throws must not break a session. */
  #tell(emit: () => void): void {
    process.nextTick(emit)
  }
}
