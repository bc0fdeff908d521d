const MINUTE_MS = 60_000

/** How many checks may begin in one minute, for one key and in total. */
export class CheckBudget {
  readonly #perKey: number
  readonly #total: number
  /** As many as `total` at most. */
  readonly #taken = new Map<string, number>()
  #count = 0
  #beganAt = -Infinity

  constructor({ perKey, total }: { readonly perKey: number; readonly total: number }) {
    this.#perKey = perKey
    this.#total = total
  }

  /** @param now - ms; a clock that is set back begins a new minute. @returns whether it may begin. */
  take(key: string, now: number): boolean {
    if (now - this.#beganAt >= MINUTE_MS || now < this.#beganAt) {
      this.#beganAt = now
      this.#count = 0
      this.#taken.clear()
    }
    const own = this.#taken.get(key) ?? 0
    if (own >= this.#perKey || this.#count >= this.#total) return false
    this.#taken.set(key, own + 1)
    this.#count += 1
    return true
  }
}
