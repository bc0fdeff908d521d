/**
 * Passes streams of the peer to the option `onChannel`, else to a `stream` listener, else to an async
 * iterator. While there is none of these, up to `acceptBacklog` streams wait here.
 */
import { Fifo } from '../fifo.ts'
import type { Channel } from '../stream/channel.ts'
import { MuxError } from '../errors.ts'
import type { MuxStream } from '../stream/mux-stream.ts'
import type { ResolvedSessionOptions } from './options.ts'

/** The session as the acceptor sees it. */
export interface StreamEmitter {
  listenerCount(event: 'stream'): number
  emit(event: 'stream', stream: MuxStream<Channel>): boolean
  on(event: 'newListener', listener: (event: unknown) => void): unknown
}

type Next = IteratorResult<MuxStream<Channel>, undefined>

/** Passes on the streams of the peer. */
export class Acceptor {
  readonly #emitter: StreamEmitter
  readonly #options: ResolvedSessionOptions
  readonly #waiting = new Fifo<Channel>()
  readonly #readers = new Fifo<(next: Next) => void>()
  #ended = false

  constructor(emitter: StreamEmitter, options: ResolvedSessionOptions) {
    this.#emitter = emitter
    this.#options = options
    if (options.onChannel !== undefined) return
    // A new listener also gets the streams that wait.
    emitter.on('newListener', (event) => {
      if (event === 'stream' && this.#waiting.size > 0) queueMicrotask(() => this.#offerWaiting())
    })
  }

  /** Passes `channel` on, keeps it, or resets it when too many wait. */
  accept(channel: Channel): void {
    const { onChannel, acceptBacklog } = this.#options
    try {
      if (onChannel !== undefined) onChannel(channel)
      else if (this.#emitter.listenerCount('stream') > 0) {
        this.#emitter.emit('stream', channel.toStream())
      } else if (this.#readers.size > 0) {
        this.#readers.shift()?.({ done: false, value: channel.toStream() })
      } else if (this.#waiting.size < acceptBacklog) {
        this.#waiting.push(channel)
      } else {
        const message = `${acceptBacklog} streams wait to be accepted, acceptBacklog ${acceptBacklog}`
        channel.abort(new MuxError('MUX_ACCEPT_BACKLOG', message))
      }
    } catch (cause) {
      const message = `the handler of stream ${channel.id} threw`
      channel.abort(new MuxError('MUX_CALLBACK_FAILED', message, { cause }))
    }
  }

  /** Resolves with the next stream, or with done after `end`. */
  next(): Promise<Next> {
    const channel = this.#shift()
    if (channel !== undefined) return Promise.resolve({ done: false, value: channel.toStream() })
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#readers.push(resolve))
  }

  /** Ends all iterators, waiting and later ones. */
  end(): void {
    this.#ended = true
    this.#waiting.clear()
    for (let reader = this.#readers.shift(); reader; reader = this.#readers.shift()) {
      reader({ done: true, value: undefined })
    }
  }

  #offerWaiting(): void {
    while (this.#emitter.listenerCount('stream') > 0) {
      const channel = this.#shift()
      if (channel === undefined) return
      this.accept(channel)
    }
  }

  // Skips streams that were reset while they waited.
  #shift(): Channel | undefined {
    let channel = this.#waiting.shift()
    while (channel?.closed === true) channel = this.#waiting.shift()
    return channel
  }
}
