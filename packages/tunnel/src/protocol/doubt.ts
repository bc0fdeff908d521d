/** What is watched of a session. */
interface DoubtedSession {
  /** Bytes received: what changes is a sign of life. */
  readonly bytesReceived: number
  /** Resolves when the peer has answered. */
  ping(): Promise<unknown>
}

/**
 * Silence after which a session whose peer owes an answer is picked last, ms: two lost packets in a row are
 * repaired by then, and a visitor can wait for it.
 */
export const DOUBT_MS = 1_000

/** Shortest time between two pings of doubt, ms: peers end a session that pings too often. */
const MIN_PING_MS = 100

/** Whether the peer of a session is silent though it owes an answer. */
export class Doubt {
  readonly #session: DoubtedSession
  /** Since when the peer owes an answer, and how many bytes had come by then. */
  #sinceMs: number | undefined
  #bytes = 0
  #pingedAtMs = -Infinity

  constructor(session: DoubtedSession) {
    this.#session = session
  }

  /** The peer owes an answer from now on, if it did not before. */
  begin(): void {
    if (this.#sinceMs !== undefined) return
    this.#sinceMs = performance.now()
    this.#bytes = this.#session.bytesReceived
  }

  /**
   * Pings the peer, unless it owes an answer already or was pinged a moment ago.
   *
   * @param isAtOnce - whether it counts as silent until it answers.
   */
  ask(isAtOnce = false): void {
    if (this.isUnanswered) return
    if (this.#sinceMs === undefined) {
      const nowMs = performance.now()
      if (nowMs - this.#pingedAtMs < MIN_PING_MS) return
      this.#pingedAtMs = nowMs
      this.begin()
      this.#session.ping().catch(() => {}) // the session is over, or many pings wait already
    }
    if (isAtOnce) this.#sinceMs = -Infinity
  }

  /** Whether nothing has come for DOUBT_MS though the peer owes an answer. */
  get isUnanswered(): boolean {
    if (this.#sinceMs === undefined) return false
    if (this.#session.bytesReceived !== this.#bytes) {
      this.#sinceMs = undefined
      return false
    }
    return performance.now() - this.#sinceMs >= DOUBT_MS
  }
}
