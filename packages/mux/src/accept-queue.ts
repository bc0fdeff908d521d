/**
 * Streams the peer opened, on their way to a `stream` listener or an async iterator. They wait here,
 * up to a bound, while there is neither.
 */
import { Fifo } from './fifo.ts'
import type { Channel } from './channel.ts'
import type { MuxStream } from './mux-stream.ts'

type Next = (result: IteratorResult<MuxStream, undefined>) => void

/** Bounded queue of channels with the iterators that wait for them. */
export class AcceptQueue {
  readonly #maxWaiting: number
  readonly #channels = new Fifo<Channel>()
  readonly #readers = new Fifo<Next>()
  #ended = false

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** Hands `channel` to a waiting iterator or keeps it; false when there is no room. */
  push(channel: Channel): boolean {
    const reader = this.#readers.shift()
    if (reader !== undefined) {
      reader({ done: false, value: channel.toStream() })
      return true
    }
    if (this.#channels.size >= this.#maxWaiting) return false
    this.#channels.push(channel)
    return true
  }

  /** Removes the first live channel that waits. */
  shift(): Channel | undefined {
    let channel = this.#channels.shift()
    while (channel?.closed === true && channel.heldBytes === 0) channel = this.#channels.shift()
    return channel
  }

  /** Resolves with the next stream, or with done after `end`. */
  next(): Promise<IteratorResult<MuxStream, undefined>> {
    const channel = this.shift()
    if (channel !== undefined) return Promise.resolve({ done: false, value: channel.toStream() })
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#readers.push(resolve))
  }

  /** Ends all iterators, those that wait now and later ones. */
  end(): void {
    this.#ended = true
    this.#channels.clear()
    for (let reader = this.#readers.shift(); reader; reader = this.#readers.shift()) {
      reader({ done: true, value: undefined })
    }
  }
}
