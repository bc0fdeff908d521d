/** Time and chance, as a membership sees them; a simulation gives its own. */
export interface Clock {
  /** Time on a clock that is never set, ms. */
  now(): number
  /** Time of the day, ms since the epoch: for texts, never compared with that of another node. */
  date(): number
  /** Calls back once after some time. @returns what takes the call back. */
  after(ms: number, run: () => void): () => void
  /** At least 0, below 1. */
  random(): number
}

/** The clock of the system. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  random: Math.random,
}

/** Something to wait for that can happen again: `signal` wakes the wait that runs, or else the next one. */
export class Wake {
  readonly #clock: Clock
  #isSet = false
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the wait. */
  set(): void {
    this.#isSet = true
    this.#wake?.()
  }

  /** Waits until it is set, the time is over or the signal is aborted, whichever is first. Never rejects. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isSet && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = (): void => {
          cancel()
          signal.removeEventListener('abort', end)
          this.#wake = undefined
          resolve()
        }
        const cancel = ms === Infinity ? () => {} : this.#clock.after(ms, end)
        signal.addEventListener('abort', end, { once: true })
        this.#wake = end
      })
    }
    this.#isSet = false
  }
}
