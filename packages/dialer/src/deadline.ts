/**
 * Runs a step with an absolute deadline and the caller's signal; the step gets one signal for both.
 * The timer never restarts, so a peer cannot extend it by sending single bytes. The step must settle
 * when its signal aborts, rejecting with the reason of the signal.
 * @param limitMs - time for the whole step, ms; Infinity for no deadline
 * @param expired - makes the error of the step when the time is over
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
 * Waits for a promise that cannot be cancelled, such as a lookup by the system's resolver. After an
 * abort the result of the promise is dropped and its failure is not reported.
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
