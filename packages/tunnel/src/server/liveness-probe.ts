/** What is asked of a session to see whether its peer is there. */
export interface ProbedSession {
  /** Resolves when the peer has answered; rejects when the session ends first. */
  ping(options: { readonly signal: AbortSignal }): Promise<unknown>
  /** Counters of the session. */
  stats(): { readonly bytesReceived: number }
}

/**
 * Shortest time from an answer to the next question, ms. A peer ends a session that pings too often,
 * and strangers, by asking for a name, decide how often its holder is asked.
 */
const MIN_INTERVAL_MS = 100

/**
 * Finds out at once whether a peer is still there, when there is a reason to doubt it. It is pinged,
 * and given up when it has said nothing for `timeoutMs`. Whatever it says gives it as much time
 * again: on a slow line the answer may stand behind megabytes, but something comes before it.
 */
export class LivenessProbe {
  readonly #session: ProbedSession
  readonly #timeoutMs: number
  readonly #onSilent: () => void
  #asking: AbortController | undefined
  #answeredAt = -Infinity
  /** A question that is put off until the peer may be asked again. */
  #later: NodeJS.Timeout | undefined
  #timer: NodeJS.Timeout | undefined
  #verdict: NodeJS.Immediate | undefined

  /** @param onSilent - called when the peer is given up. */
  constructor(session: ProbedSession, timeoutMs: number, onSilent: () => void) {
    this.#session = session
    this.#timeoutMs = timeoutMs
    this.#onSilent = onSilent
  }

  /** Whether the peer was asked and has not answered yet. */
  get pending(): boolean {
    return this.#asking !== undefined
  }

  /** Asks the peer, unless it is being asked already; a little later when it has just answered. */
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

  /** Asks no more; nothing is called any more. */
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
    // An answer and the end of the session are both the end of the doubt.
    this.#session.ping({ signal: asking.signal }).then(settle, settle)
    this.#wait()
  }

  #wait(): void {
    const before = this.#session.stats().bytesReceived
    this.#timer = setTimeout(() => {
      // If it was this process that stood still, the answer lies in the socket: one turn to read it.
      this.#verdict = setImmediate(() => {
        if (this.#session.stats().bytesReceived !== before) {
          this.#wait()
          return
        }
        this.stop()
        this.#onSilent()
      })
    }, this.#timeoutMs)
    this.#timer.unref() // the connection keeps the process alive, not the doubt about it
  }
}
