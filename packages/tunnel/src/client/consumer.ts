import { EventEmitter, setMaxListeners } from 'node:events'
import type { Duplex } from 'node:stream'

import type { BackoffOptions } from '@proj/dialer'
import type { Channel, ChannelSink } from '@proj/mux'

import { abortable, underSignals } from '../abortable.ts'
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
import { checkServerUrl, type ServerOptions } from './server-options.ts'

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
 * ours every connection is a stream on one session; with a Piko server, a WebSocket of its own.
 */
export class Consumer extends EventEmitter<ConsumerEvents> {
  /** Rejects when the server rejects this consumer and a retry cannot change that; otherwise never settles. */
  readonly failed: Promise<never>

  readonly #options: ConsumerOptions
  readonly #helloTimeoutMs: number
  readonly #logger: Logger
  readonly #retryLog: RetryLog
  readonly #stop = new AbortController()
  readonly #sessions = new Set<DialSession>()
  /** Calls that wait for the server. */
  readonly #waiting = new Set<() => void>()
  readonly #demand = new Demand()
  #current: DialSession | 'piko' | undefined
  #done: Promise<void> | undefined
  #fail: (error: Error) => void = () => {}

  /**
   * @throws {TypeError} for a URL that cannot be used.
   * @throws {RangeError} for `helloTimeoutMs` or `pingIntervalMs` out of range.
   */
  constructor(options: ConsumerOptions) {
    super()
    checkServerUrl(options.url)
    setMaxListeners(0, this.#stop.signal) // one per waiting call; the caller bounds their number
    this.#options = options
    this.#helloTimeoutMs = limit('helloTimeoutMs', options.helloTimeoutMs)
    limit('pingIntervalMs', options.pingIntervalMs)
    this.#logger = options.logger ?? silentLogger
    this.#retryLog = new RetryLog(this.#logger)
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {}) // without a listener the error comes from open()
  }

  /** Wire spoken with the server; undefined while there is no connection. */
  get protocol(): 'piko' | 'adit' | undefined {
    if (this.#current === undefined) return undefined
    return this.#current === 'piko' ? 'piko' : 'adit'
  }

  /** Starts to connect and keeps at it; calling again changes nothing. */
  start(): void {
    if (this.#stop.signal.aborted) return
    this.#done ??= keepConnected<KeptConnection>({
      connect: (signal) => this.#connect(signal),
      onConnected: () => this.#onConnected(),
      onRetry: (error, delayMs) => {
        this.#retryLog.retry(error, delayMs)
        this.#tell(() => this.emit('retry', { error, delayMs }))
      },
      renewsCredentials: typeof this.#options.token === 'function',
      backoff: this.#options.backoff ?? {},
      network: this.#options.network,
      demand: this.#demand,
      signal: this.#stop.signal,
    }).catch((error: unknown) => {
      const reason = error instanceof Error ? error : new Error(String(error))
      this.#logger.error(
        { err: reason },
        'the server rejected this consumer, it does not try again',
      )
      this.#fail(reason)
      this.#stop.abort(reason)
    })
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
    if (this.#current === undefined) await this.#under(options, (signal) => this.#server(signal))
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
        const server = await this.#server(signal)
        if (server === 'piko') {
          const route = routeTo(CONNECT_ROUTE, endpoint)
          const { pipe } = await requestPipe(this.#options, route, signal, 'bytes')
          return { protocol: 'piko', pipe }
        }
        const channel = await server.open(endpoint, options.sink, signal)
        if (channel !== undefined) return { protocol: 'adit', channel }
      }
    })
  }

  /**
   * Asks how an endpoint fares: who serves it, and what became of the last stream to its service.
   *
   * @returns undefined when the server cannot say (Piko) or is not there.
   */
  async query(
    endpoint: string,
    options: { readonly signal: AbortSignal },
  ): Promise<EndpointState | undefined> {
    if (!(this.#current instanceof DialSession)) return undefined
    return await this.#current.query(endpoint, options.signal)
  }

  /** Ends the consumer: open connections finish first. */
  async close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#stop.abort(new TunnelError('TUNNEL_CLOSED', 'the consumer was closed'))
    await Promise.all([...this.#sessions].map((session) => session.close(options)))
    await this.#done
  }

  /** Ends the consumer now. */
  destroy(): void {
    this.#stop.abort(new TunnelError('TUNNEL_CLOSED', 'the consumer was closed'))
    for (const session of this.#sessions) session.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.#done
  }

  async #connect(signal: AbortSignal): Promise<KeptConnection> {
    let server: ServerPipe
    try {
      server = await requestPipe(this.#options, routeTo(CONNECT_ROUTE, SESSION_ENDPOINT), signal)
    } catch (error) {
      if (answeredByPiko(error)) return this.#usePiko()
      throw error
    }
    if (server.protocol === 'piko') {
      // An agent of that Piko server serves an endpoint of this name; it is not for us.
      server.pipe.destroy()
      return this.#usePiko()
    }
    const software = this.#options.software ?? 'adit'
    const session = new DialSession(server, software, this.#helloTimeoutMs)
    if (signal.aborted) session.destroy()
    this.#sessions.add(session)
    this.#current = session
    void session.left.then(() => {
      if (this.#current === session) this.#current = undefined
    })
    void session.closed.then(() => this.#sessions.delete(session))
    return session
  }

  /** A Piko server has no sessions with consumers: there is nothing to keep open. */
  #usePiko(): KeptConnection {
    const { signal } = this.#stop
    this.#current = 'piko'
    return {
      left: new Promise<Departure>((resolve) =>
        signal.addEventListener('abort', () => resolve({}), { once: true }),
      ),
    }
  }

  #onConnected(): void {
    const { protocol } = this
    if (protocol === undefined) return // lost again already
    this.#retryLog.connected()
    for (const wake of this.#waiting) wake()
    this.#tell(() => this.emit('connected', { protocol }))
  }

  /** The server, as soon as there is one. */
  async #server(signal: AbortSignal): Promise<DialSession | 'piko'> {
    while (this.#current === undefined) {
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
    return this.#current
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
