// Numbers that a seed decides. The order of events between processes is not repeated by a seed, what is
// sent and when a fault is made is.

/** Random numbers of one seed. */
export class Random {
  #state: number

  /** `seed` is a whole number from 0 to 2^32 - 1. */
  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number from 0 up to and without 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  /** One of these. */
  pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.between(0, values.length - 1)] ?? values[0]
  }
}
