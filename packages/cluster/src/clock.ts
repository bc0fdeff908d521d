/** Time and random numbers of a membership; a simulation gives its own. */
export interface Clock {
  /** Time on a clock that is never set, such as `performance.now`, ms. */
  now(): number
  /** Time of the day, ms since the epoch: for texts, never compared with that of another node. */
  date(): number
  /** Calls back once after some time. @returns what cancels the call. */
  after(ms: number, run: () => void): () => void
  /** A random number, at least 0 and below 1. */
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
