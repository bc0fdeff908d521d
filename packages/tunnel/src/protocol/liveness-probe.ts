/** What the probe needs of a session. */
export interface ProbedSession {
  /** Resolves when the peer has answered; rejects when the session ends first. */
  ping(options: { readonly signal: AbortSignal }): Promise<unknown>
  /** Counters of the session. */
  stats(): { readonly bytesReceived: number }
}

/**
 * Shortest time from an answer to the next ping, ms. A peer ends a session that pings too often, and
 * other agents, by asking for its name, decide how often it is pinged.
 */
const MIN_INTERVAL_MS = 100

/**
 * Finds out whether a peer is still there, when there is a reason to doubt it. The peer is pinged, and
 * lost when nothing has come from it for `timeoutMs`. Any byte starts the time anew: on a slow line the
 * answer may wait behind megabytes, but they arrive before it.
 */
export class LivenessProbe {
  readonly #session: ProbedSession
  readonly #timeoutMs: number
  readonly #onSilent: () => void
  #asking: AbortController | undefined
  #answeredAt = -Infinity
  /** A ping that is delayed until the peer may be pinged again. */
  #later: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #verdict: NodeJS.Immediate | undefined

  /** @param onSilent - called when the peer is lost. */
  constructor(session: ProbedSession, timeoutMs: number, onSilent: () => void) {
    this.#session = session
    this.#timeoutMs = timeoutMs
    this.#onSilent = onSilent
  }

  /** Whether a ping has not been answered yet. */
  get pending(): boolean {
    return this.#asking !== undefined
  }

  /** Pings the peer, unless a ping is pending; a little later when it has just answered. */
  start(): void {
    if (this.#asking !== undefined || this.#later !== undefined) return
    const waitMs = this.#answeredAt + MIN_INTERVAL_MS - performance.now()
    if (waitMs <= 0) {
      this.#ask()
      return
    }
    this.#later = setTimeout(() => {
      this.#later = undefined
      this.#ask()
    }, waitMs)
    this.#later.unref() // like the one below
  }

  /** Stops; `onSilent` is not called any more. */
  stop(): void {
    clearTimeout(this.#later)
    this.#later = undefined
    clearTimeout(this.#timer)
    clearImmediate(this.#verdict)
    this.#asking?.abort()
    this.#asking = undefined
  }

  #ask(): void {
    const asking = new AbortController()
    this.#asking = asking
    const settle = (): void => {
      if (this.#asking !== asking) return
      this.#answeredAt = performance.now()
      this.stop()
    }
    // An answer and the end of the session both end the probe.
    this.#session.ping({ signal: asking.signal }).then(settle, settle)
    this.#wait()
  }

  #wait(): void {
    const before = this.#session.stats().bytesReceived
    this.#timer = setTimeout(() => {
      // If this process was blocked, the answer is in the socket: one turn to read it.
      this.#verdict = setImmediate(() => {
        if (this.#session.stats().bytesReceived !== before) {
          this.#wait()
          return
        }
        this.stop()
        this.#onSilent()
      })
    }, this.#timeoutMs)
    this.#timer.unref() // the connection keeps the process alive, the probe need not
  }
}
