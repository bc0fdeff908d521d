/** Lets an event through at most once per interval, and counts the others. */
export class RateBound {
  readonly #intervalMs: number
  #nextMs = -Infinity
  #left = 0

  /** @param intervalMs - least time between two. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** @returns how often it was refused since the last time it was not; undefined: not now. */
  take(nowMs: number): number | undefined {
    if (nowMs < this.#nextMs) {
      this.#left += 1
      return undefined
    }
    this.#nextMs = nowMs + this.#intervalMs
    const left = this.#left
    this.#left = 0
    return left
  }
}
