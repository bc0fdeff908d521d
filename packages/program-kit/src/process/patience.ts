/** Longest delay a timer of Node takes, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Aborts after some time, or when another signal does.
 *
 * Not `AbortSignal.any([AbortSignal.timeout(ms), sooner])`: up to Node 20 at least, nothing holds the
 * timeout of such a pair, and once it is garbage it never comes.
 *
 * @param ms - Infinity: only the other signal ends it.
 */
export function patience(ms: number, sooner: AbortSignal): AbortSignal {
  const controller = new AbortController()
  const end = (): void => {
    clearTimeout(timer)
    sooner.removeEventListener('abort', end)
    controller.abort(sooner.aborted ? sooner.reason : new Error(`${ms} ms are over`))
  }
  const timer = ms > MAX_TIMER_MS ? undefined : setTimeout(end, ms)
  timer?.unref() // what is waited for keeps the process alive, the end of the wait need not
  sooner.addEventListener('abort', end, { once: true })
  if (sooner.aborted) end()
  return controller.signal
}
