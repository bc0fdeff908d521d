/** What a session holds until it gives it back. */
interface Lease {
  /** Called once. */
  release(): void
}

/**
 * Leases of one session, by endpoint. To get one takes a while, and the agent may release the endpoint before
 * that: the lease is then released as soon as it is there.
 */
export class Leases<Held extends Lease> {
  readonly #held = new Map<string, Held>()
  /** The pending request of each endpoint. */
  readonly #pending = new Map<string, AbortController>()

  /** Number of pending requests. */
  get pending(): number {
    return this.#pending.size
  }

  /**
   * Gets a lease for an endpoint, in place of the one it has.
   *
   * @param ask - must not reject; its signal aborts when the lease is not wanted any more.
   * @returns undefined when the endpoint was released, or asked for again, before the answer came.
   */
  async take<Rejected extends object>(
    endpoint: string,
    ask: (signal: AbortSignal) => Promise<Held | Rejected>,
  ): Promise<Held | Rejected | undefined> {
    const wish = new AbortController()
    this.#pending.get(endpoint)?.abort()
    this.#pending.set(endpoint, wish)
    const answer = await ask(wish.signal)
    const isWanted = this.#pending.get(endpoint) === wish
    if (isWanted) this.#pending.delete(endpoint)
    if (!isLease(answer)) return isWanted ? answer : undefined
    if (!isWanted) {
      answer.release()
      return undefined
    }
    this.hold(endpoint, answer)
    return answer
  }

  /** Holds a lease in place of the one that the endpoint has. */
  hold(endpoint: string, lease: Held): void {
    const before = this.#held.get(endpoint)
    this.#held.set(endpoint, lease)
    before?.release() // after the new one, so that what stays the same is not given back between
  }

  /** The lease that an endpoint has. */
  of(endpoint: string): Held | undefined {
    return this.#held.get(endpoint)
  }

  /** Releases the lease of an endpoint, if it has one or waits for one. */
  release(endpoint: string): void {
    this.#pending.get(endpoint)?.abort()
    this.#pending.delete(endpoint)
    const lease = this.#held.get(endpoint)
    this.#held.delete(endpoint)
    lease?.release()
  }

  /** Releases all of them. */
  releaseAll(): void {
    for (const wish of this.#pending.values()) wish.abort()
    this.#pending.clear()
    for (const endpoint of this.#held.keys()) this.release(endpoint)
  }
}

function isLease<Held extends Lease>(answer: Held | object): answer is Held {
  return 'release' in answer
}
