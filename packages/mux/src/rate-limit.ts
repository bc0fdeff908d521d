/** Counts events per second of a monotonic clock; cheap enough for every frame that needs it. */
export class RateLimit {
  readonly #maxPerSecond: number
  #windowStartMs = -Infinity
  #count = 0

  constructor(maxPerSecond: number) {
    this.#maxPerSecond = maxPerSecond
  }

  /** Counts one event at `nowMs`; false when it is one too many for the running second. */
  allow(nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= 1000) {
      this.#windowStartMs = nowMs
      this.#count = 0
    }
    this.#count += 1
    return this.#count <= this.#maxPerSecond
  }
}
