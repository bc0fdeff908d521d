/** A connection to an endpoint in the form in which clients of databases take one of their own. */
import { Duplex } from 'node:stream'

import type { ConsumerOptions } from './consumer.ts'
import { dial, explainReset } from './sdk.ts'

type Done = (error?: Error | null) => void

/**
 * Dials a `tcp` endpoint and is at once what a `net.Socket` is that connects: `connecting`, then `connect`, or
 * `error`. For clients that make their socket by an option: `new pg.Client({ stream: () => dialSocket('pg', { url }) })`.
 */
export function dialSocket(endpoint: string, options: ConsumerOptions): DialedSocket {
  return new DialedSocket(endpoint, options)
}

/** The part of `net.Socket` that such clients use. Made by `dialSocket`. */
export class DialedSocket extends Duplex {
  /** Whether it is not connected yet. */
  connecting = true
  readonly #ended = new AbortController()
  #stream: Duplex | undefined
  #whenConnected: (() => void) | undefined
  #idleMs = 0
  #timer: NodeJS.Timeout | undefined

  /** @internal */
  constructor(endpoint: string, options: ConsumerOptions) {
    super({ allowHalfOpen: false })
    void this.#dial(endpoint, options)
  }

  /** It connects by itself: host and port are not used. */
  connect(...args: unknown[]): this {
    const then = args.at(-1)
    if (typeof then !== 'function') return this
    if (this.connecting) this.once('connect', then as () => void)
    else process.nextTick(then)
    return this
  }

  /** Emits `timeout` when nothing is received or sent for `ms`; 0 is no timeout. */
  setTimeout(ms: number, callback?: () => void): this {
    this.#idleMs = ms
    if (callback !== undefined) {
      if (ms > 0) this.once('timeout', callback)
      else this.off('timeout', callback)
    }
    this.#touch()
    return this
  }

  /** No effect: a session sends small messages at once. */
  setNoDelay(): this {
    return this
  }

  /** No effect: the session has its own. */
  setKeepAlive(): this {
    return this
  }

  /** No effect: the session keeps the process alive. */
  ref(): this {
    return this
  }

  /** No effect. */
  unref(): this {
    return this
  }

  override _read(): void {
    this.#stream?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#touch()
    this.#then((stream) => stream.write(chunk, done))
  }

  override _final(done: Done): void {
    this.#then((stream) => stream.end(done))
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#timer)
    this.#ended.abort()
    this.#stream?.destroy()
    done(error)
  }

  async #dial(endpoint: string, options: ConsumerOptions): Promise<void> {
    try {
      const stream = await dial(endpoint, { ...options, signal: this.#ended.signal })
      if (this.destroyed) {
        stream.on('error', () => {}).destroy()
        return
      }
      this.#stream = stream
      this.#join(stream)
    } catch (error) {
      if (!this.destroyed) this.destroy(error as Error)
    }
  }

  #join(stream: Duplex): void {
    stream.on('data', (chunk: Buffer) => {
      this.#touch()
      if (!this.push(chunk)) stream.pause()
    })
    stream.on('end', () => this.push(null))
    stream.on('error', (error) => this.destroy(explainReset(error)))
    stream.on('close', () => {
      if (!stream.readableEnded) this.destroy()
    })
    this.connecting = false
    this.emit('connect')
    this.emit('ready')
    this.#whenConnected?.()
  }

  /** Runs now or when it is connected; a Duplex has one write or end at a time. */
  #then(run: (stream: Duplex) => void): void {
    const stream = this.#stream
    if (stream !== undefined) run(stream)
    else {
      this.#whenConnected = () => {
        if (this.#stream !== undefined) run(this.#stream)
      }
    }
  }

  #touch(): void {
    clearTimeout(this.#timer)
    if (this.#idleMs === 0 || this.destroyed) return
    this.#timer = setTimeout(() => this.emit('timeout'), this.#idleMs).unref()
  }
}
