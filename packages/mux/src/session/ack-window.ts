/**
 * How many streams of ours may wait for their acknowledgement. A peer that acknowledges late has more streams
 * than it can begin: more would wait there, where nothing can be done about it. So the number falls while
 * acknowledgements are late, and grows again when they are in time and it was reached. Time in the service
 * behind the peer does not count: a peer acknowledges a stream before it does anything else for it.
 */

/** Fewest streams, unless `maxUnackedStreams` is less: on a slow path, bulk data delays acknowledgements too. */
const LEAST = 64
/** How much longer than the shortest round trip an acknowledgement may take, ms. */
const LATE_MS = 25
/** Streams that the limit grows by at a time. */
const GROWTH = 16

/** The limit of unacknowledged streams of one session. */
export class AckWindow {
  /** Streams that may wait now. */
  limit: number
  readonly #max: number
  readonly #now: () => number
  readonly #minRttMs: () => number | undefined
  /** The stream whose acknowledgement is timed; one at a time. */
  #timed: object | undefined
  #openedAtMs = 0
  #leastMs = Infinity
  #wasReached = false

  /**
   * @param max - `maxUnackedStreams`, the limit at first.
   * @param now - monotonic, ms.
   * @param minRttMs - shortest round trip of the session so far; undefined: not measured.
   */
  constructor(max: number, now: () => number, minRttMs: () => number | undefined) {
    this.limit = max
    this.#max = max
    this.#now = now
    this.#minRttMs = minRttMs
  }

  /** A stream was opened; `unacked` wait now. */
  opened(stream: object, unacked: number): void {
    if (unacked >= this.limit) this.#wasReached = true
    if (this.#timed !== undefined) return
    this.#timed = stream
    this.#openedAtMs = this.#now()
  }

  /** A stream was acknowledged. */
  acknowledged(stream: object): void {
    if (stream !== this.#timed) return
    const tookMs = this.#now() - this.#openedAtMs
    this.#leastMs = Math.min(this.#leastMs, this.#minRttMs() ?? Infinity, tookMs)
    if (tookMs > this.#leastMs + LATE_MS) {
      this.limit = Math.max(Math.min(LEAST, this.#max), Math.floor(this.limit / 2))
    } else if (this.#wasReached) this.limit = Math.min(this.#max, this.limit + GROWTH)
    this.#timed = undefined
    this.#wasReached = false
  }

  /** A stream was closed without an acknowledgement. */
  closed(stream: object): void {
    if (stream === this.#timed) this.#timed = undefined
  }
}
