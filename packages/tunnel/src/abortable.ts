/**
 * Waits for a promise that knows no signal.
 *
 * @throws `signal.reason` once the signal is aborted; the promise then goes on unheard.
 */
export async function abortable<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let abort = (): void => {}
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        abort = () => reject(signal.reason)
        signal.addEventListener('abort', abort, { once: true })
      }),
    ])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Runs something under several signals; nothing of it stays on them afterwards, other than with
 * `AbortSignal.any` on signals that live long.
 */
export async function underSignals<T>(
  signals: readonly AbortSignal[],
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const any = new AbortController()
  const abort = (event: Event): void => {
    if (event.target instanceof AbortSignal) any.abort(event.target.reason)
  }
  for (const signal of signals) {
    signal.throwIfAborted()
    signal.addEventListener('abort', abort, { once: true })
  }
  try {
    return await run(any.signal)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort)
  }
}

/**
 * Does something when a signal is aborted, unless `over` comes first; nothing stays on the signal
 * afterwards. A signal that is aborted already is heard of in a microtask, not at once.
 *
 * @param over - never rejects.
 * @param run - told the reason's message, for logs.
 */
export function onAborted(
  signal: AbortSignal | undefined,
  over: Promise<unknown>,
  run: (reason: string) => void,
): void {
  if (signal === undefined) return
  const tell = (): void => {
    const { reason } = signal
    run(reason instanceof Error ? reason.message : String(reason))
  }
  if (signal.aborted) {
    queueMicrotask(tell)
    return
  }
  signal.addEventListener('abort', tell, { once: true })
  void over.finally(() => signal.removeEventListener('abort', tell))
}
