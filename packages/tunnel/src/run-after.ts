import { MAX_TIMER_MS } from './limits.ts'

/**
 * Calls back once after some time, unless it is disposed of before. The timer keeps no process alive.
 *
 * @param ms - 0 or less: in this call; longer than a timer of Node can take, such as Infinity: never.
 */
export function runAfter(ms: number, run: () => void): Disposable {
  if (ms <= 0) run()
  const timer = ms <= 0 || ms > MAX_TIMER_MS ? undefined : setTimeout(run, ms)
  timer?.unref()
  return { [Symbol.dispose]: () => clearTimeout(timer) }
}
