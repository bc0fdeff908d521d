import { setTimeout as delay } from 'node:timers/promises'

import { Backoff, type BackoffOptions, isDialError } from '@proj/dialer'

import { isTunnelError } from './errors.ts'

/** A connection that is kept. */
export interface KeptConnection {
  /** Resolves when the connection takes no more work: it is over, or the peer asked us to move. */
  readonly left: Promise<void>
}

/** What a kept connection needs. */
export interface KeepConnectedOptions<T extends KeptConnection> {
  /** Makes one attempt. */
  readonly connect: (signal: AbortSignal) => Promise<T>
  /** Called with each connection that was made. */
  readonly onConnected: (connection: T) => void
  /** Called before each wait. */
  readonly onRetry: (error: unknown, delayMs: number) => void
  /** Waits between attempts. */
  readonly backoff: BackoffOptions
  /** Ends it all. */
  readonly signal: AbortSignal
}

/**
 * Keeps one connection up: connect, wait until it is left, connect again. A connection the peer asked
 * us to leave is replaced while its last streams finish, so that nothing is lost in between.
 *
 * @returns resolves when the signal is aborted; never without.
 * @throws the error of an attempt that trying again cannot mend (`retryable` is false).
 */
export async function keepConnected<T extends KeptConnection>(
  options: KeepConnectedOptions<T>,
): Promise<void> {
  const { signal } = options
  const backoff = new Backoff(options.backoff)
  while (!signal.aborted) {
    let problem: unknown
    try {
      const connection = await options.connect(signal)
      backoff.connected(performance.now())
      options.onConnected(connection)
      await connection.left
      backoff.lost(performance.now())
    } catch (error) {
      if (signal.aborted) return
      if (!isRetryable(error)) throw error
      problem = error
    }
    if (signal.aborted) return
    const waitMs = backoff.next(isDialError(problem) || isTunnelError(problem) ? problem : {})
    options.onRetry(problem, waitMs)
    try {
      await delay(waitMs, undefined, { signal })
    } catch {
      return // aborted
    }
  }
}

function isRetryable(error: unknown): boolean {
  // An error we cannot read is taken for a passing one: giving up for ever is the worse mistake.
  return !(error instanceof Error && 'retryable' in error && error.retryable === false)
}
