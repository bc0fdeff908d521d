import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'

import type { BackoffOptions } from '@proj/dialer'
import type { Channel, ChannelSink } from '@proj/mux'

import { CONNECT_ROUTE } from './connect-request.ts'
import { ConsumerSession } from './consumer-session.ts'
import { checkEndpointName } from './endpoint-name.ts'
import { isTunnelError, TunnelError } from './errors.ts'
import { requestPipe, type ServerOptions, type ServerPipe } from './handshake-request.ts'
import { keepConnected, type KeptConnection } from './keep-connected.ts'
import { type Logger, silentLogger } from './logger.ts'

/** Options of a consumer. */
export interface ConsumerOptions extends ServerOptions {
  /** Waits between attempts. Default: full jitter from 100 ms to 15 s. */
  readonly backoff?: BackoffOptions
  /** Program and version, told to servers of ours. Default `adit`. */
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

/** A way to an endpoint: a channel on the session with a server of ours, or a pipe of its own. */
export type Way =
  | { readonly protocol: 'adit'; readonly channel: Channel }
  | { readonly protocol: 'piko'; readonly pipe: Duplex }

/**
 * Endpoint name that asks a server of ours for a session and nothing else. A Piko server looks for an
 * upstream of that name, finds none and says so, which tells us what it speaks without touching any
 * service.
 */
const SESSION_ENDPOINT = 'adit-session'

/**
 * The side away from the service: reaches endpoints through a server's proxy port. With a server of
 * ours every connection is a stream on one session; with a Piko server, a WebSocket of its own.
 */
export class Consumer extends EventEmitter<ConsumerEvents> {
  /** Rejects when the server will never have us; otherwise never settles. */
  readonly failed: Promise<never>

  readonly #options: ConsumerOptions
  readonly #logger: Logger
  readonly #stop = new AbortController()
  readonly #sessions = new Set<ConsumerSession>()
  #current: ConsumerSession | 'piko' | undefined
  #done: Promise<void> | undefined
  #fail: (error: Error) => void = () => {}

  constructor(options: ConsumerOptions) {
    super()
    this.setMaxListeners(0) // one per waiting connection; bounded by whoever accepts them
    this.#options = options
    this.#logger = options.logger ?? silentLogger
    this.failed = new Promise((_, reject) => (this.#fail = reject))
    this.failed.catch(() => {}) // whoever does not look at it learns it from open()
  }

  /** Wire spoken with the server; undefined while there is no connection. */
  get protocol(): 'piko' | 'adit' | undefined {
    if (this.#current === undefined) return undefined
    return this.#current === 'piko' ? 'piko' : 'adit'
  }

  /** Starts to connect and keeps at it; calling again changes nothing. */
  start(): void {
    this.#done ??= keepConnected<KeptConnection>({
      connect: (signal) => this.#connect(signal),
      onConnected: () => this.emit('connected', { protocol: this.protocol ?? 'piko' }),
      onRetry: (error, delayMs) => {
        this.#logger.warn(
          { err: error, delayMs: Math.round(delayMs) },
          error === undefined ? 'session ended, reconnecting' : 'connecting failed, trying again',
        )
        this.emit('retry', { error, delayMs })
      },
      backoff: this.#options.backoff ?? {},
      signal: this.#stop.signal,
    }).catch((error: unknown) => {
      const reason = error instanceof Error ? error : new Error(String(error))
      this.#logger.error({ err: reason }, 'the server will not have us')
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
    this.start()
    const signals = [this.#stop.signal, ...(options.signal === undefined ? [] : [options.signal])]
    const signal = AbortSignal.any(signals)
    if (this.#current !== undefined) return
    await new Promise<void>((resolve, reject) => {
      const settle = (): void => {
        this.off('connected', settle)
        signal.removeEventListener('abort', settle)
        if (this.#current !== undefined) resolve()
        else reject(signal.reason)
      }
      this.on('connected', settle)
      signal.addEventListener('abort', settle, { once: true })
      if (signal.aborted) settle()
    })
  }

  /**
   * Opens a way to an endpoint. With a server of ours it returns at once and a refusal arrives as a
   * reset with a reason; with a Piko server it waits for the handshake.
   *
   * @param options.signal - ends the wait.
   * @throws {TunnelError} TUNNEL_ENDPOINT_INVALID, TUNNEL_UNAUTHORIZED, TUNNEL_UPGRADE_REFUSED.
   * @throws {DialError} from a Piko server that has no upstream for it.
   */
  async open(
    endpoint: string,
    options: { readonly signal?: AbortSignal; readonly sink?: ChannelSink } = {},
  ): Promise<Way> {
    checkEndpointName(endpoint)
    await this.ready(options)
    if (this.#current instanceof ConsumerSession) {
      return { protocol: 'adit', channel: this.#current.open(endpoint, options.sink) }
    }
    const signal = options.signal ?? this.#stop.signal
    const { pipe } = await requestPipe(this.#options, connectRoute(endpoint), signal)
    return { protocol: 'piko', pipe }
  }

  /**
   * Asks how many agents serve an endpoint.
   *
   * @returns undefined when the server cannot say (Piko) or is not there.
   */
  async upstreams(
    endpoint: string,
    options: { readonly signal: AbortSignal },
  ): Promise<number | undefined> {
    if (!(this.#current instanceof ConsumerSession)) return undefined
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
    this.#current = undefined
    let server: ServerPipe
    try {
      server = await requestPipe(this.#options, connectRoute(SESSION_ENDPOINT), signal)
    } catch (error) {
      if (!answeredByPiko(error)) throw error
      this.#current = 'piko'
      return { left: new Promise((resolve) => signal.addEventListener('abort', () => resolve())) }
    }
    if (server.protocol === 'piko') {
      // Somebody serves an endpoint of that name behind a Piko server; leave it alone.
      server.pipe.destroy()
      this.#current = 'piko'
      return { left: new Promise((resolve) => signal.addEventListener('abort', () => resolve())) }
    }
    const link = new ConsumerSession(server, this.#options.software ?? 'adit')
    this.#sessions.add(link)
    this.#current = link
    void link.left.then(() => {
      if (this.#current === link) this.#current = undefined
    })
    void link.closed.then(() => this.#sessions.delete(link))
    return link
  }
}

function connectRoute(endpoint: string): string {
  return `${CONNECT_ROUTE}${encodeURIComponent(endpoint)}`
}

/**
 * Whether a refusal of the session came from a server that is not ours. Ours would have granted it;
 * Piko says 502 for the unknown upstream, or 401 for a token that is limited to other endpoints.
 */
function answeredByPiko(error: unknown): boolean {
  if (isTunnelError(error)) {
    return error.status === 401 && error.message === '401: endpoint not permitted'
  }
  return (
    error instanceof Error &&
    'status' in error &&
    error.status === 502 &&
    'bodyText' in error &&
    String(error.bodyText).includes('no available upstreams')
  )
}
