/**
 * Runs a step under an absolute deadline and a caller's signal, both folded into the one signal the
 * step gets. The timer never restarts: a peer that sends one byte now and then gains nothing by it.
 * The step must settle once its signal aborts, rejecting with the signal's reason.
 * @param limitMs - time for the whole step, ms; Infinity for none
 * @param expired - makes the error the step ends with when the time is up
 */
export async function withDeadline<T>(
  limitMs: number,
  signal: AbortSignal | undefined,
  expired: () => Error,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  const timer =
    limitMs === Infinity ? undefined : setTimeout(() => controller.abort(expired()), limitMs)
  try {
    return await run(controller.signal)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/**
 * Waits for a promise that cannot be cancelled, such as a lookup in the system's resolver. On abort
 * the promise is abandoned: its result is dropped and its failure is not reported.
 */
export async function abandonable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let onAbort: (() => void) | undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort)
  }
}
