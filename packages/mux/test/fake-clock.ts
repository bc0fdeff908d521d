import type { Clock } from '../src/index.ts'

/** A clock that a test moves. */
export class FakeClock implements Clock {
  readonly #timers = new Map<() => void, number>()
  #nowMs = 1000

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#nowMs
  }

  after(ms: number, callback: () => void): () => void {
    const timer = (): void => callback()
    this.#timers.set(timer, this.#nowMs + ms)
    return () => this.#timers.delete(timer)
  }

  /** Moves the time by `ms` and fires the timers that are due, in order. */
  advance(ms: number): void {
    const end = this.#nowMs + ms
    for (;;) {
      const next = [...this.#timers].toSorted(([, a], [, b]) => a - b)[0]
      if (next === undefined || next[1] > end) break
      this.#nowMs = Math.max(this.#nowMs, next[1])
      this.#timers.delete(next[0])
      next[0]()
    }
    this.#nowMs = end
  }
}
