/** Source of time; tests pass their own. */
export interface Clock {
  /** Monotonic time in ms. */
  now(): number
  /** Calls `callback` once after `ms`, without keeping the process alive. Returns a function that cancels it. */
  after(ms: number, callback: () => void): () => void
}

/** The clock of the platform. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    timer.unref() // the transport keeps the process alive, not the timer that watches it
    return () => clearTimeout(timer)
  },
}
