// Waiting in tests. Where the thing waited for emits an event, wait for the event. Where it cannot
// (another process, a file, a kernel table) look again every few milliseconds up to a named bound:
// a slow machine then costs time, never a failure, and a missing thing fails with its name.
import { once, type EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { OutOfTimeError } from './out-of-time.ts'
import { WAIT_MS } from './wait-limit.ts'

/** Bounds on one wait. */
export interface UntilOptions {
  /** What is waited for, in the words of the error message. Default: the source of the check. */
  readonly what?: string
  /** Longest wait, ms. Default `WAIT_MS`: below the limit of the test, so that this error is seen. */
  readonly timeoutMs?: number
  /** Pause between two looks, ms. Default 5. */
  readonly pollMs?: number
  /** Aborted: the wait rejects with its reason. */
  readonly signal?: AbortSignal
}

const POLL_MS = 5

/**
 * Waits until `check` returns something that is neither false, null nor undefined, and returns it.
 * What `check` throws counts as "not yet" and is the cause of the error when time runs out.
 */
export async function until<T>(
  check: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { timeoutMs = WAIT_MS, pollMs = POLL_MS, signal } = options
  const deadline = performance.now() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    let cause: unknown
    try {
      const found = await check()
      if (found !== false && found !== null && found !== undefined) {
        return found as Exclude<T, false | null | undefined>
      }
    } catch (error) {
      cause = error
    }
    if (performance.now() >= deadline) {
      const what = options.what ?? String(check)
      throw new OutOfTimeError(`not within ${timeoutMs} ms: ${what}`, timeoutMs, cause)
    }
    await delay(pollMs)
  }
}

/**
 * Waits for one event and returns its arguments. An `error` event meanwhile rejects, unless it is
 * the one waited for.
 */
export async function untilEvent(
  emitter: EventEmitter,
  event: string,
  options: Pick<UntilOptions, 'timeoutMs' | 'signal'> = {},
): Promise<unknown[]> {
  const { timeoutMs = WAIT_MS, signal } = options
  const expiry = new AbortController()
  const timer = setTimeout(
    () => expiry.abort(new OutOfTimeError(`no ${event} event within ${timeoutMs} ms`, timeoutMs)),
    timeoutMs,
  )
  try {
    const signals = signal ? [signal, expiry.signal] : [expiry.signal]
    return await once(emitter, event, { signal: AbortSignal.any(signals) })
  } catch (error) {
    signal?.throwIfAborted()
    expiry.signal.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timer)
  }
}
