// Happy Eyeballs (RFC 8305 section 5): the next attempt starts after a delay, or at once when one
// fails, while earlier attempts continue. The first that connects wins and the others are cancelled.
// Node's own version closes the earlier attempt, so a slow path fails when the other one is dead, and
// it is off when a source address is set.

/** Options of a race. */
export interface RaceOptions {
  /** Delay before the next candidate starts, ms. */
  readonly delayMs: number
  /** Most attempts that run at once. */
  readonly maxConcurrent: number
  /** Ends all attempts; the race then rejects with its reason. */
  readonly signal: AbortSignal
}

/**
 * Tries candidates in order, several at once, until one succeeds.
 * @param attempt - must reject when its signal aborts, and free its resources
 * @param discard - gets the value of an attempt that succeeded after the end of the race
 * @returns the first success, or undefined when every candidate failed
 * @throws the reason of the signal
 */
export function race<C, T>(
  candidates: readonly C[],
  options: RaceOptions,
  attempt: (candidate: C, signal: AbortSignal) => Promise<T>,
  discard: (late: T) => void,
): Promise<T | undefined> {
  const { signal, delayMs, maxConcurrent } = options
  return new Promise((resolve, reject) => {
    const losers = new AbortController()
    let next = 0
    let running = 0
    let settled = false
    let timer: NodeJS.Timeout | undefined

    const settle = (finish: () => void): void => {
      settled = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      finish()
      losers.abort(new Error('another attempt won'))
    }
    const onAbort = (): void => settle(() => reject(signal.reason))

    const won = (value: T): void => {
      running -= 1
      if (settled) discard(value)
      else settle(() => resolve(value))
    }
    const lost = (): void => {
      running -= 1
      if (settled) return
      if (next < candidates.length) start()
      else if (running === 0) settle(() => resolve(undefined))
    }
    const start = (): void => {
      clearTimeout(timer)
      const candidate = candidates[next]
      if (candidate === undefined || running >= maxConcurrent) return
      next += 1
      running += 1
      void attempt(candidate, losers.signal).then(won, lost)
      if (next < candidates.length) timer = setTimeout(start, delayMs)
    }

    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (candidates.length === 0) settle(() => resolve(undefined))
    else start()
  })
}
