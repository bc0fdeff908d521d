import { EventEmitter } from 'node:events'
import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'

import type { Channel, ChannelSink } from '@proj/mux'

import { TunnelError } from './errors.ts'
import type { StreamRecord } from './stream-record.ts'

/** Events of a listener. */
export interface ListenerEvents {
  /**
   * A visitor's connection (tcp) or a kept-alive carrier of requests (http). The record is absent on
   * sessions with a Piko server.
   */
  connection: [stream: Duplex, record: StreamRecord | undefined]
  /** The server registered the endpoint: visitors arrive from now on. */
  online: [urls: readonly string[]]
  /** No session serves the endpoint now; the agent is reconnecting. */
  offline: []
}

/**
 * Takes an inbound channel.
 *
 * @returns the sink that was attached to it, or undefined when the channel was reset.
 */
export type AcceptChannel = (
  channel: Channel,
  record: StreamRecord | undefined,
) => ChannelSink | undefined

/** An endpoint this agent serves. Made by `Agent.listen` and `Agent.forward`. */
export class Listener extends EventEmitter<ListenerEvents> {
  /** Name visitors address. */
  readonly endpoint: string
  /** What its streams carry. */
  readonly kind: 'http' | 'tcp'
  /** Resolves, never rejects, when the listener has ended; with an error if that was not asked for. */
  readonly closed: Promise<{ readonly error?: Error }>

  /** @internal */
  readonly accept: AcceptChannel
  readonly #release: (listener: Listener) => Promise<void>
  readonly #registrations = new Set<object>()
  #urls: readonly string[] = []
  #end: (outcome: { error?: Error }) => void = () => {}
  #ended = false

  /** @internal */
  constructor(
    endpoint: string,
    kind: 'http' | 'tcp',
    accept: AcceptChannel | undefined,
    release: (listener: Listener) => Promise<void>,
  ) {
    super()
    this.endpoint = endpoint
    this.kind = kind
    this.accept = accept ?? ((channel, record) => this.#emitConnection(channel, record))
    this.#release = release
    this.closed = new Promise((resolve) => (this.#end = resolve))
  }

  /** Whether at least one session serves the endpoint now. */
  get online(): boolean {
    return this.#registrations.size > 0
  }

  /** URLs the server named for visitors; empty from a Piko server. */
  get urls(): readonly string[] {
    return this.#urls
  }

  /**
   * Waits until the endpoint is served.
   *
   * @throws the error that ended the listener, or `signal.reason`.
   */
  async ready(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    if (this.online) return
    await new Promise<void>((resolve, reject) => {
      const settle = (act: () => void): void => {
        this.off('online', online)
        signal?.removeEventListener('abort', abort)
        act()
      }
      const online = (): void => settle(resolve)
      const abort = (): void => settle(() => reject(signal?.reason))
      this.once('online', online)
      signal?.addEventListener('abort', abort, { once: true })
      void this.closed.then(({ error }) =>
        settle(() => reject(error ?? new TunnelError('TUNNEL_CLOSED', 'the listener was closed'))),
      )
    })
  }

  /** Hands every connection to a `node:http` server, which needs no port of its own. */
  serve(server: Server): this {
    this.on('connection', (stream) => server.emit('connection', stream))
    return this
  }

  /** Stops taking visitors; open connections go on. Resolves when the server knows. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#release(this)
    this.#end({})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  registered(session: object, urls: readonly string[]): void {
    if (this.#ended) return
    this.#registrations.add(session)
    this.#urls = urls
    if (this.#registrations.size === 1) this.emit('online', urls)
  }

  /** @internal */
  unregistered(session: object): void {
    if (this.#registrations.delete(session) && this.#registrations.size === 0 && !this.#ended) {
      this.emit('offline')
    }
  }

  /** @internal */
  fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#end({ error })
  }

  #emitConnection(channel: Channel, record: StreamRecord | undefined): ChannelSink {
    const stream = channel.toStream()
    // Emitted later: our caller first delivers the bytes that came with the record.
    queueMicrotask(() => {
      if (!this.emit('connection', stream, record)) stream.destroy()
    })
    return {
      onData(chunk) {
        stream.unshift(chunk)
        channel.consume(chunk.length)
      },
      onEnd() {},
      onDrain() {},
      onClose() {},
    }
  }
}
