import type { CarrierStream } from './carrier-stream.ts'

/**
 * A stream whose window has grown beyond this is not kept: what was granted cannot be taken back,
 * and an idle stream would hold a share of the session's memory that others could use.
 */
const MAX_IDLE_WINDOW_BYTES = 1024 * 1024

/** The idle streams of one agent session for one endpoint. */
export class IdleStreams {
  readonly #streams: CarrierStream[] = []
  readonly #timeoutMs: number
  #maxStreams: number

  /**
   * @param maxStreams - how many are kept; 0: none.
   * @param timeoutMs - how long each is kept, ms.
   */
  constructor(maxStreams: number, timeoutMs: number) {
    this.#maxStreams = maxStreams
    this.#timeoutMs = timeoutMs
  }

  /** Takes the stream that was used last, which is the least likely to be hung up. */
  take(): CarrierStream | undefined {
    const stream = this.#streams.pop()
    stream?.wake()
    return stream
  }

  /** Takes back a stream whose last answer is complete, or ends it. */
  put(stream: CarrierStream): void {
    const { channel } = stream
    if (channel.closed || channel.readableEnded) return
    const isTooLarge = channel.receiveWindowBytes > MAX_IDLE_WINDOW_BYTES
    if (isTooLarge || this.#streams.length >= this.#maxStreams) {
      channel.end()
      return
    }
    this.#streams.push(stream)
    stream.rest(this.#timeoutMs)
  }

  /** Forgets a stream; one that is not here changes nothing. */
  remove(stream: CarrierStream): void {
    const at = this.#streams.indexOf(stream)
    if (at >= 0) this.#streams.splice(at, 1)
  }

  /** Ends them all, and whatever is put from now on. */
  close(): void {
    this.#maxStreams = 0
    for (const stream of this.#streams.splice(0)) stream.onEnd()
  }
}
