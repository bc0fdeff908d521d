// Happy Eyeballs as RFC 8305 section 5 wants it: the next attempt starts while earlier ones go on,
// after a delay or at once when one fails; the first to connect wins and the others are cancelled.
// Node's own version closes the earlier attempt instead, which makes a slow but sound path
// unreachable whenever its alternative is dead, and is off whenever a source address is set.

/** How candidates are raced. */
export interface RaceOptions {
  /** Wait before the next candidate starts, ms. */
  readonly delayMs: number
  /** Attempts that may be under way together. */
  readonly maxConcurrent: number
  /** Cancels the race. */
  readonly signal: AbortSignal
}

/**
 * Tries candidates in order, overlapping, until one succeeds.
 * @param attempt - must reject once its signal aborts, and release what it holds
 * @param discard - takes a success that came too late
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
