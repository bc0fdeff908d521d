/** What is needed of a session of the mux. */
export interface PingedSession {
  /** Sends what waits. */
  flush(): void
  /** Resolves when the peer has answered; rejects when the session ends first. */
  ping(): Promise<unknown>
}

/** Shortest time from one of these pings to the next, ms: a peer ends a session that pings 100 times a second. */
const MIN_INTERVAL_MS = 25

const bySession = new WeakMap<PingedSession, OrderingPings>()

/**
 * Waits until the peer has processed what was written to a session before, and what it had sent until then
 * has arrived. A ping is sent behind it at once, or a little later together with others.
 *
 * @returns resolves also when the session is over.
 */
export function whenProcessed(session: PingedSession): Promise<void> {
  let pings = bySession.get(session)
  if (pings === undefined) {
    pings = new OrderingPings(session)
    bySession.set(session, pings)
  }
  return pings.next()
}

class OrderingPings {
  readonly #session: PingedSession
  #sentAt = -Infinity
  /** The answer of a ping that is not sent yet. */
  #later: Promise<void> | undefined

  constructor(session: PingedSession) {
    this.#session = session
  }

  next(): Promise<void> {
    if (this.#later !== undefined) return this.#later
    const waitMs = this.#sentAt + MIN_INTERVAL_MS - performance.now()
    if (waitMs <= 0) return this.#send()
    this.#later = new Promise((resolve) => {
      setTimeout(() => {
        this.#later = undefined
        void this.#send().then(resolve)
      }, waitMs)
    })
    return this.#later
  }

  async #send(): Promise<void> {
    this.#sentAt = performance.now()
    this.#session.flush()
    await this.#session.ping().catch(() => {}) // the session is over, or many pings wait already
  }
}
