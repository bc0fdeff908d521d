/** What is asked of a session to see whether its peer is there. */
export interface ProbedSession {
  /** Resolves when the peer has answered; rejects when the session ends first. */
  ping(options: { readonly signal: AbortSignal }): Promise<unknown>
  /** Counters of the session. */
  stats(): { readonly bytesReceived: number }
}

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

  /** Asks the peer, unless it is being asked already. */
  start(): void {
    if (this.#asking !== undefined) return
    const asking = new AbortController()
    this.#asking = asking
    const settle = (): void => {
      if (this.#asking === asking) this.stop()
    }
    // An answer and the end of the session are both the end of the doubt.
    this.#session.ping({ signal: asking.signal }).then(settle, settle)
    this.#wait()
  }

  /** Asks no more; nothing is called any more. */
  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#verdict)
    this.#asking?.abort()
    this.#asking = undefined
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
