import type { BandwidthClock } from '../../src/io/bandwidth.ts'

/** A clock that stands still until it is moved. */
export class TestClock implements BandwidthClock {
  #nowMs = 0
  #timers: { readonly atMs: number; readonly call: () => void }[] = []

  /** How many calls are due. */
  get timers(): number {
    return this.#timers.length
  }

  now(): number {
    return this.#nowMs
  }

  after(ms: number, call: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, call }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.atMs - b.atMs)
      if (next === undefined || next.atMs > untilMs) break
      this.#timers = this.#timers.filter((one) => one !== next)
      this.#nowMs = next.atMs
      next.call()
    }
    this.#nowMs = untilMs
  }
}
