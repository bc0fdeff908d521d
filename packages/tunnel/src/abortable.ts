/**
 * Waits for a promise until one of the signals is aborted; the promise then goes on without a listener.
 * Nothing stays on the signals afterwards.
 *
 * @throws the reason of the signal that was aborted.
 */
export async function abortable<T>(
  promise: PromiseLike<T>,
  ...signals: readonly (AbortSignal | undefined)[]
): Promise<T> {
  return await underSignals(signals, async (signal) => {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      }),
    ])
  })
}

/**
 * Runs something under several signals; nothing stays on them afterwards, as it would with
 * `AbortSignal.any` on signals that live long.
 *
 * @throws the reason of a signal that is aborted already.
 */
export async function underSignals<T>(
  signals: readonly (AbortSignal | undefined)[],
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const any = new AbortController()
  const abort = (event: Event): void => {
    if (event.target instanceof AbortSignal) any.abort(event.target.reason)
  }
  for (const signal of signals) signal?.throwIfAborted()
  for (const signal of signals) signal?.addEventListener('abort', abort, { once: true })
  try {
    return await run(any.signal)
  } finally {
    for (const signal of signals) signal?.removeEventListener('abort', abort)
  }
}

/**
 * Calls `run` when a signal is aborted, unless `over` comes first; nothing stays on the signal
 * afterwards. For a signal that is aborted already `run` is called in a microtask, not at once.
 *
 * @param over - never rejects.
 * @param run - gets the message of the reason, for logs.
 */
export function onAborted(
  signal: AbortSignal | undefined,
  over: Promise<unknown>,
  run: (reason: string) => void,
): void {
  if (signal === undefined) return
  const call = (): void => {
    const { reason } = signal
    run(reason instanceof Error ? reason.message : String(reason))
  }
  if (signal.aborted) {
    queueMicrotask(call)
    return
  }
  signal.addEventListener('abort', call, { once: true })
  void over.finally(() => signal.removeEventListener('abort', call))
}
