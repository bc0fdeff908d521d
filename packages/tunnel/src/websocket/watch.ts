/**
 * Watches whether the peer is alive. A ping leaves every interval, and whatever comes back counts
 * as life, so a peer whose pong waits behind megabytes of data is not taken for dead. Silence of
 * `missedPongs` intervals and a half ends it: the half is the time the last ping has for its
 * answer, and with the defaults a frozen peer is noticed 12.5 s after its last byte.
 *
 * While this side does not read, it cannot receive a pong, so that time does not count.
 */

/** What a watch needs to know. */
export interface WebSocketWatchOptions {
  /** Silence after which the peer is pinged, ms. */
  readonly pingIntervalMs: number
  /** Pings that may go unanswered. */
  readonly missedPongs: number
  /** Silence after our end that is still waited for the peer's, ms. */
  readonly closeTimeoutMs: number
  /** Called when a ping is due. */
  onPing(): void
  /** Called once, when the peer has been silent for `silentMs`. */
  onSilent(silentMs: number): void
}

/** One timer for pings and for silence. */
export class WebSocketWatch {
  readonly #options: WebSocketWatchOptions
  #maxSilenceMs: number
  #heardAt: number
  #pingAt: number
  #deaf = false
  #timer: NodeJS.Timeout | undefined
  #verdict: NodeJS.Immediate | undefined

  constructor(options: WebSocketWatchOptions) {
    this.#options = options
    this.#maxSilenceMs = (options.missedPongs + 0.5) * options.pingIntervalMs
    this.#heardAt = performance.now()
    this.#pingAt = this.#heardAt + options.pingIntervalMs
    this.#arm()
  }

  /** Notes that bytes came. */
  heard(): void {
    this.#heardAt = performance.now()
  }

  /** This side stops reading. */
  pause(): void {
    this.#deaf = true
  }

  /** This side reads again: the peer's time begins anew. */
  resume(): void {
    this.#deaf = false
    this.heard()
  }

  /** From now on pings cannot be sent, and the peer is expected to end. */
  expectEnd(): void {
    this.#pingAt = Infinity
    this.#maxSilenceMs = this.#options.closeTimeoutMs
    this.heard()
    this.#arm()
  }

  /** Ends the watch; nothing is called any more. */
  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#verdict)
  }

  #arm(): void {
    this.stop()
    const dueAt = Math.min(this.#pingAt, this.#heardAt + this.#maxSilenceMs)
    if (dueAt === Infinity) return
    this.#timer = setTimeout(() => this.#expire(), Math.ceil(dueAt - performance.now()))
    // The socket keeps the process alive for as long as there is something to watch.
    this.#timer.unref()
  }

  #expire(): void {
    const nowMs = performance.now()
    if (this.#deaf) this.#heardAt = nowMs
    if (nowMs >= this.#pingAt) {
      this.#pingAt = nowMs + this.#options.pingIntervalMs
      this.#options.onPing()
    }
    if (nowMs - this.#heardAt < this.#maxSilenceMs) {
      this.#arm()
      return
    }
    // If this process was blocked, the answers are in the socket: one turn to read them.
    this.#verdict = setImmediate(() => {
      const silentMs = performance.now() - this.#heardAt
      if (silentMs < this.#maxSilenceMs) this.#arm()
      else this.#options.onSilent(Math.round(silentMs))
    })
  }
}
