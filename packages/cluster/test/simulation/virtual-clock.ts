// Time that passes only when it is told to, and chance that comes from a seed: a run can be repeated exactly.
import type { Clock } from '../../src/clock.ts'

/** Turns of the queue of promises after each timer: more than any call of an engine takes. */
const TURNS = 30

interface Timer {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

/** A generator of numbers from 0 to below 1: mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The clock of a simulation. */
export class VirtualClock implements Clock {
  readonly random: () => number
  readonly #timers: Timer[] = []
  #now = 0
  #order = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  now(): number {
    return this.#now
  }

  date(): number {
    return 1_700_000_000_000 + this.#now
  }

  after(ms: number, run: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#order++, run }
    this.#push(timer)
    return () => {
      timer.run = undefined
    }
  }

  /** Lets time pass, with everything that happens meanwhile. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      const [next] = this.#timers
      if (next === undefined || next.at > until) break
      this.#pop()
      if (next.run === undefined) continue
      this.#now = next.at
      next.run()
      // promises that follow from it; a longer chain of them goes on with the next timer
      for (let turn = 0; turn < TURNS; turn++) await Promise.resolve()
    }
    this.#now = until
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    heap.push(timer)
    let at = heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(timer, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = timer
  }

  #pop(): void {
    const heap = this.#timers
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const [left, right] = [heap[child], heap[child + 1]]
      if (left === undefined) break
      if (right !== undefined && isBefore(right, left)) child += 1
      const below = heap[child]
      if (below === undefined || !isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

/** Waits until nothing is left to run at this moment. */
export async function settled(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve)
  })
}
