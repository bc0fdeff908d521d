import type { PortRange } from '@proj/config/address'

/** The ports that may be given out: ranges, which may overlap, as one row of numbers. */
export class PortRanges {
  /** How many ports there are. */
  readonly size: number
  readonly #ranges: readonly PortRange[]

  constructor(ranges: readonly PortRange[]) {
    const merged: PortRange[] = []
    for (const { first, last } of ranges.toSorted((one, other) => one.first - other.first)) {
      const before = merged.at(-1)
      if (before === undefined || first > before.last) merged.push({ first, last })
      else if (last > before.last) merged[merged.length - 1] = { first: before.first, last }
    }
    this.#ranges = merged
    this.size = merged.reduce((sum, { first, last }) => sum + last - first + 1, 0)
  }

  /** Whether a port may be given out. */
  has(port: number): boolean {
    return this.#ranges.some(({ first, last }) => first <= port && port <= last)
  }

  /**
   * Every port once, in order, beginning with the `start`-th.
   *
   * @param start - 0 or more; it wraps around.
   */
  *from(start: number): Generator<number> {
    for (let step = 0; step < this.size; step += 1) yield this.#at((start + step) % this.size)
  }

  /** Every port but this one, once, beginning with the next. */
  *after(port: number): Generator<number> {
    let place = 0
    for (const { first, last } of this.#ranges) {
      place += Math.min(Math.max(port - first + 1, 0), last - first + 1)
    }
    for (const other of this.from(place)) if (other !== port) yield other
  }

  #at(index: number): number {
    let left = index
    for (const { first, last } of this.#ranges) {
      if (left <= last - first) return first + left
      left -= last - first + 1
    }
    throw new RangeError(`index must be below ${this.size}, got ${index}`)
  }
}
