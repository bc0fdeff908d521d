// Happy Eyeballs (RFC 8305 section 5): the next attempt starts after a delay, or at once when one
// fails, while earlier attempts continue. The first that connects wins and the others are cancelled.
// Node's own version closes the earlier attempt, so a slow path fails when the other one is dead, and
// it is off when a source address is set.

/** Options of a race. */
export interface RaceOptions {
  /** Delay before the next candidate starts, ms. */
  readonly delayMs: number
  /**
   * Most attempts that run at once. When all places are taken after the delay, the oldest attempt is
   * cancelled and the next candidate gets its place.
   */
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
    // In the order of their start.
    const running = new Set<AbortController>()
    let next = 0
    let settled = false
    let timer: NodeJS.Timeout | undefined

    const settle = (finish: () => void): void => {
      settled = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      finish()
      for (const loser of running) loser.abort(new Error('another attempt won'))
    }
    const onAbort = (): void => settle(() => reject(signal.reason))

    const start = (): void => {
      clearTimeout(timer)
      const candidate = candidates[next]
      if (candidate === undefined) return
      next += 1
      const controller = new AbortController()
      running.add(controller)
      const won = (value: T): void => {
        running.delete(controller)
        if (settled) discard(value)
        else settle(() => resolve(value))
      }
      const lost = (): void => {
        running.delete(controller)
        if (settled) return
        if (next < candidates.length) start()
        else if (running.size === 0) settle(() => resolve(undefined))
      }
      void attempt(candidate, controller.signal).then(won, lost)
      if (next < candidates.length) timer = setTimeout(startOrMakeRoom, delayMs)
    }
    // The end of the cancelled attempt starts the next one, so that it can use the same source port.
    const startOrMakeRoom = (): void => {
      if (running.size < maxConcurrent) {
        start()
        return
      }
      const [oldest] = running
      oldest?.abort(new Error('another attempt needs the place'))
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
