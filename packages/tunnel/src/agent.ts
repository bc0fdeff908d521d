import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'

import type { BackoffOptions } from '@proj/dialer'

import { AgentSession } from './agent-session.ts'
import { checkEndpointName } from './endpoint-name.ts'
import { TunnelError } from './errors.ts'
import { requestPipe, type ServerOptions } from './handshake-request.ts'
import { keepConnected } from './keep-connected.ts'
import { type AcceptChannel, Listener } from './listener.ts'
import { type Logger, silentLogger } from './logger.ts'
import type { StreamRecord } from './stream-record.ts'

/** Options of an agent. */
export interface AgentOptions extends ServerOptions {
  /**
   * Parallel sessions with a server that speaks our protocol, 1 to 16, default 2: a bulk stream on
   * one does not delay the other, and one connection that dies costs only its streams. A Piko server
   * gets one session per endpoint, as its wire demands.
   */
  readonly connections?: number
  /** Waits between attempts. Default: full jitter from 100 ms to 15 s, as far apart as Piko's. */
  readonly backoff?: BackoffOptions
  /** Program and version, told to servers of ours. Default `adit`. */
  readonly software?: string
  /** Default: silent. */
  readonly logger?: Logger
}

/** How an endpoint is to be listened on. */
export interface ListenOptions {
  /** What its streams carry: HTTP requests from the server's edge, or raw connections. Default `http`. */
  readonly kind?: 'http' | 'tcp'
}

/** Events of an agent. */
export interface AgentEvents {
  /** A session with the server is up. */
  connected: [info: { readonly protocol: 'piko' | 'adit' }]
  /** An attempt failed (with its error) or a session ended (without); the next attempt waits. */
  retry: [info: { readonly error: unknown; readonly delayMs: number }]
  /** The server refused an endpoint. */
  refused: [listener: Listener, error: TunnelError]
}

interface Link {
  /** The endpoint named in the route; on the baseline wire the only one this link serves. */
  readonly primary: Listener
  readonly stop: AbortController
  readonly done: Promise<void>
  current: AgentSession | undefined
}

const DEFAULT_CONNECTIONS = 2
const MAX_CONNECTIONS = 16

/**
 * The side beside the service: keeps sessions with a server and serves any number of endpoints over
 * them. The first link finds out what the server speaks; then there are `connections` links that
 * carry every endpoint each (our protocol), or one link per endpoint (Piko's).
 */
export class Agent extends EventEmitter<AgentEvents> {
  readonly #options: AgentOptions
  readonly #connections: number
  readonly #logger: Logger
  readonly #identity: { readonly software: string; readonly peer: string }
  readonly #listeners = new Map<string, Listener>()
  readonly #links = new Set<Link>()
  readonly #sessions = new Set<AgentSession>()
  #protocol: 'piko' | 'adit' | undefined
  #closing: Promise<void> | undefined

  /**
   * @throws {TypeError} for a URL that is none.
   * @throws {RangeError} for `connections` out of range.
   */
  constructor(options: AgentOptions) {
    super()
    const { protocol } = new URL(options.url)
    if (!['http:', 'https:', 'ws:', 'wss:'].includes(protocol)) {
      throw new TypeError(`url must be http, https, ws or wss, not ${protocol}`)
    }
    this.#options = options
    this.#connections = options.connections ?? DEFAULT_CONNECTIONS
    if (
      !Number.isInteger(this.#connections) ||
      this.#connections < 1 ||
      this.#connections > MAX_CONNECTIONS
    ) {
      throw new RangeError(`connections must be 1 to ${MAX_CONNECTIONS}, not ${this.#connections}`)
    }
    this.#logger = options.logger ?? silentLogger
    this.#identity = {
      software: options.software ?? 'adit',
      peer: randomBytes(8).toString('hex'),
    }
  }

  /** Wire spoken with the server; undefined before the first session. */
  get protocol(): 'piko' | 'adit' | undefined {
    return this.#protocol
  }

  /** Sessions up now. */
  get sessions(): number {
    return this.#sessions.size
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
   *   already, TUNNEL_CLOSED after `close`.
   */
  listen(endpoint: string, options: ListenOptions = {}): Listener {
    return this.#add(endpoint, options.kind ?? 'http', undefined)
  }

  /** Serves an endpoint with a channel handler of the caller's; see `forward`. */
  listenChannels(endpoint: string, kind: 'http' | 'tcp', accept: AcceptChannel): Listener {
    return this.#add(endpoint, kind, accept)
  }

  /**
   * Ends the agent: the server routes nothing more to it, open streams finish.
   *
   * @param options.signal - ends the patience: what still runs then is cut.
   */
  close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#closing ??= this.#close(options)
    return this.#closing
  }

  /** Ends the agent now. */
  destroy(): void {
    this.#closing ??= Promise.resolve()
    for (const link of this.#links) link.stop.abort()
    for (const session of this.#sessions) session.destroy()
    for (const listener of this.#listeners.values()) listener.fail(closedError())
    this.#listeners.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await Promise.all([...this.#links].map((link) => link.done))
  }

  #add(endpoint: string, kind: 'http' | 'tcp', accept: AcceptChannel | undefined): Listener {
    if (this.#closing !== undefined) throw closedError()
    checkEndpointName(endpoint)
    if (this.#listeners.has(endpoint)) {
      throw new TunnelError(
        'TUNNEL_ENDPOINT_INVALID',
        `endpoint ${JSON.stringify(endpoint)} is served by this agent already`,
      )
    }
    const listener = new Listener(endpoint, kind, accept, (ended) => this.#release(ended))
    this.#listeners.set(endpoint, listener)
    for (const { current } of this.#links) {
      if (current?.protocol === 'adit') current.register(listener)
    }
    this.#reconcile()
    return listener
  }

  async #release(listener: Listener): Promise<void> {
    this.#listeners.delete(listener.endpoint)
    for (const session of this.#sessions) session.release(listener)
    this.#reconcile()
  }

  /** Brings the links in line with the wire spoken and the endpoints served. */
  #reconcile(): void {
    const listeners = [...this.#listeners.values()]
    const [first] = listeners
    if (this.#closing !== undefined || first === undefined) {
      for (const link of this.#links) this.#stopLink(link)
      return
    }
    if (this.#protocol === 'piko') {
      const wanted = new Set(listeners)
      for (const link of this.#links) if (!wanted.delete(link.primary)) this.#stopLink(link)
      for (const listener of wanted) this.#startLink(listener)
    } else {
      const wanted = this.#protocol === 'adit' ? this.#connections : 1
      for (let missing = wanted - this.#links.size; missing > 0; missing--) this.#startLink(first)
      for (const link of [...this.#links].slice(wanted)) this.#stopLink(link)
    }
  }

  #startLink(primary: Listener): void {
    const stop = new AbortController()
    const link: Link = { primary, stop, current: undefined, done: Promise.resolve() }
    this.#links.add(link)
    const done = keepConnected({
      connect: (signal) => this.#connect(link, signal),
      onConnected: (session) => this.#onConnected(link, session),
      onRetry: (error, delayMs) => this.#onRetry(error, delayMs),
      backoff: this.#options.backoff ?? {},
      signal: stop.signal,
    }).catch((error: unknown) => this.#onFatal(error))
    Object.assign(link, { done })
  }

  #stopLink(link: Link): void {
    this.#links.delete(link)
    link.stop.abort()
    void link.current?.close()
  }

  async #connect(link: Link, signal: AbortSignal): Promise<AgentSession> {
    link.current = undefined
    const route = `/piko/v1/upstream/${encodeURIComponent(link.primary.endpoint)}`
    const server = await requestPipe(this.#options, route, signal)
    if (signal.aborted) {
      server.pipe.destroy()
      throw signal.reason
    }
    return new AgentSession(server, this.#identity, {
      find: (record) => this.#find(link, record),
      onRefused: (listener, error) => this.#onRefused(link, listener, error),
    })
  }

  #onConnected(link: Link, session: AgentSession): void {
    link.current = session
    this.#sessions.add(session)
    void session.closed.then(() => this.#sessions.delete(session))
    this.#logger.info({ protocol: session.protocol }, 'connected to server')
    this.emit('connected', { protocol: session.protocol })
    if (session.protocol === 'piko') session.register(link.primary)
    else for (const listener of this.#listeners.values()) session.register(listener)
    if (this.#protocol !== session.protocol) {
      this.#protocol = session.protocol
      this.#reconcile()
    }
  }

  #onRetry(error: unknown, delayMs: number): void {
    this.#logger.warn(
      { err: error, delayMs: Math.round(delayMs) },
      error === undefined ? 'session ended, reconnecting' : 'connecting failed, trying again',
    )
    this.emit('retry', { error, delayMs })
  }

  /** Nothing will mend this: every listener ends with the reason. */
  #onFatal(error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    for (const listener of this.#listeners.values()) listener.fail(reason)
    this.#listeners.clear()
    this.#reconcile()
  }

  #onRefused(link: Link, listener: Listener, error: TunnelError): void {
    this.#logger.warn({ endpoint: listener.endpoint, code: error.code }, error.message)
    this.emit('refused', listener, error)
    if (error.retryAfterMs === undefined) {
      this.#listeners.delete(listener.endpoint)
      listener.fail(error)
      this.#reconcile()
      return
    }
    const again = setTimeout(() => {
      if (this.#listeners.get(listener.endpoint) === listener) link.current?.register(listener)
    }, error.retryAfterMs)
    again.unref() // the session keeps the process alive, this alone need not
  }

  #find(link: Link, record: StreamRecord | undefined): Listener | undefined {
    if (record === undefined) return link.primary
    return this.#listeners.get(record.endpoint)
  }

  async #close(options: { readonly signal?: AbortSignal }): Promise<void> {
    for (const link of this.#links) link.stop.abort()
    await Promise.all([...this.#sessions].map((session) => session.close(options)))
    await Promise.all([...this.#links].map((link) => link.done))
    this.#links.clear()
    await Promise.all([...this.#listeners.values()].map((listener) => listener.close()))
  }
}

function closedError(): TunnelError {
  return new TunnelError('TUNNEL_CLOSED', 'the agent was closed')
}
