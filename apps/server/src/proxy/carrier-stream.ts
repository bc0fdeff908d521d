import { ResponseHeadReader } from '@proj/http1'
import type { Channel, ChannelSink } from '@proj/mux'
import { RESET_REASONS } from '@proj/tunnel'
import { type Upstream } from '@proj/tunnel/server'

import type { Deadlines, Expiring } from './deadlines.ts'
import type { IdleStreams } from './idle-streams.ts'

/** Up to this many bytes it costs less to copy them into the next batch at once than to queue them. */
const COPIED_BYTES = 4096

/** The deadline of a stream that somebody uses: the next tick looks at it, and then no other does. */
const IN_USE = -Infinity

/**
 * A stream to an agent that carries one request after another. Between two of them it is its own sink,
 * and sees to it that it is not taken once it is no good any more.
 */
export class CarrierStream implements ChannelSink, Expiring {
  readonly upstream: Upstream
  readonly channel: Channel
  /** Where it is between two requests. */
  readonly home: IdleStreams
  /** Reads the answers on this stream. */
  readonly reader: ResponseHeadReader
  /** Whether it carried a request before: then its end may only mean that the service hung up idle. */
  reused = false
  deadline: number = IN_USE
  readonly #deadlines: Deadlines
  #isWatched = false

  constructor(
    upstream: Upstream,
    channel: Channel,
    home: IdleStreams,
    deadlines: Deadlines,
    maxHeadBytes: number,
  ) {
    this.upstream = upstream
    this.channel = channel
    this.home = home
    this.reader = new ResponseHeadReader({ maxHeadBytes })
    this.#deadlines = deadlines
  }

  /** Sends bytes of a request; false when the visitor has to wait. */
  write(bytes: Buffer): boolean {
    const { channel } = this
    return bytes.length <= COPIED_BYTES ? channel.writeCopy(bytes) : channel.write(bytes)
  }

  /** Nobody uses it from now on, for this long at most. */
  rest(timeoutMs: number): void {
    this.reused = true
    this.deadline = this.#deadlines.now + timeoutMs
    if (!this.#isWatched) this.#deadlines.add(this)
    this.#isWatched = true
    this.channel.attach(this)
  }

  /** Somebody uses it from now on. */
  wake(): void {
    this.deadline = IN_USE
  }

  expire(): void {
    // Most of what is taken is back before the next tick: to stop watching any earlier costs more.
    if (this.deadline === IN_USE) this.#unwatch()
    else this.#end()
  }

  onData(): undefined {
    // An answer nobody asked for would become the answer to the next request.
    this.#leave()
    this.channel.reset(RESET_REASONS.protocolError)
  }

  onEnd(): void {
    this.#end()
  }

  onDrain(): void {}

  onClose(): void {
    this.#leave()
  }

  #end(): void {
    this.#leave()
    this.channel.end()
  }

  #leave(): void {
    this.home.remove(this)
    this.#unwatch()
  }

  #unwatch(): void {
    this.#deadlines.delete(this)
    this.#isWatched = false
  }
}
