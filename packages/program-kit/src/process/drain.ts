import { setMaxListeners } from 'node:events'

import { aborted, type ProgramSignals } from './program.ts'

/** Longest delay a timer of Node takes, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Time a long-lived connection has to close as its protocol wants, ms: WebSockets; then it is reset. */
export const CLOSE_MS = 2_000

/** When the parts of a drain happen, of both programs. */
export interface DrainTimes {
  /** How long it serves as before after it has said that it is not ready, ms. Absent: not at all. */
  readonly delayMs?: number
  /** When connections without an end of their own are closed, ms after the drain begins. */
  readonly longLivedMs: number
}

/**
 * The times of a drain, from the settings: all of it fits into the grace period.
 *
 * @param how.isReplaced - a successor serves already: nothing has to wait, and long-lived connections may
 *   use the whole grace period.
 * @param how.isInterrupted - a person at a terminal waits for the end, and no load balancer looks.
 */
export function drainTimes<Times extends DrainTimes>(
  { drain, gracePeriodMs }: { readonly drain: Times; readonly gracePeriodMs: number },
  how: { readonly isReplaced: boolean; readonly isInterrupted: boolean },
): Times | DrainTimes {
  const mostMs = Math.max(0, gracePeriodMs - CLOSE_MS)
  if (how.isReplaced) return { longLivedMs: mostMs }
  const longLivedMs = Math.min(drain.longLivedMs, mostMs)
  return how.isInterrupted ? { longLivedMs } : { ...drain, longLivedMs }
}

/** How a running program ends. */
export interface DrainOptions {
  /** The first signal begins the drain, the second ends it. */
  readonly signals: Pick<ProgramSignals, 'stop' | 'kill'>
  /** How long open connections may take to finish, ms. Infinity: until the second signal. */
  readonly gracePeriodMs: number
  /** Told that the drain begins. */
  readonly logger: { info(fields: Readonly<Record<string, unknown>>, message: string): void }
  /** Promises that reject when the program cannot go on. Default: none. */
  readonly failures?: readonly Promise<never>[]
  /** Closes what listens and lets open connections finish until the signal aborts. */
  readonly drain: (options: { readonly signal: AbortSignal }) => Promise<void>
}

/**
 * Waits for the signal to stop, then drains the program.
 *
 * @throws whatever rejects first in `failures`, without a drain.
 */
export async function drainOnStop(options: DrainOptions): Promise<void> {
  const { signals, gracePeriodMs, logger, failures = [], drain } = options
  await Promise.race([aborted(signals.stop), ...failures])
  logger.info({ graceMs: gracePeriodMs }, 'stopping: open connections may finish')
  await drain({ signal: graceSignal(gracePeriodMs, signals.kill) })
}

/**
 * Aborts after some time, or when another signal does.
 *
 * Not `AbortSignal.any([AbortSignal.timeout(ms), sooner])`: up to Node 20 at least, nothing holds the
 * timeout of such a pair, and once it is garbage it never comes.
 *
 * @param ms - Infinity: only the other signal ends it.
 */
export function graceSignal(ms: number, sooner: AbortSignal): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // one per listener and connection that is waited for
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
