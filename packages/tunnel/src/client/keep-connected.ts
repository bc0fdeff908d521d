import { Backoff, type BackoffOptions, isDialError } from '@proj/dialer'

import { isTunnelError } from '../errors.ts'

/** Why a connection takes no more work. */
export interface Departure {
  /** What broke it; absent when a side ended it in good order. */
  readonly error?: Error
  /** The peer's advice: not to come back before this many ms. */
  readonly retryAfterMs?: number
}

/** A connection that is kept. */
export interface KeptConnection {
  /** Resolves when the connection takes no more work: it is over, or the peer asked us to move. */
  readonly left: Promise<Departure>
}

/** What a kept connection needs. */
export interface KeepConnectedOptions<T extends KeptConnection> {
  /** Makes one attempt. */
  readonly connect: (signal: AbortSignal) => Promise<T>
  /** Called with each connection that was made. */
  readonly onConnected: (connection: T) => void
  /** Called before each wait, with what made it necessary, if anything failed. */
  readonly onRetry: (error: unknown, delayMs: number) => void
  /** Whether each attempt shows other credentials: then a refusal of them is not the last word. */
  readonly renewsCredentials?: boolean
  /** Waits between attempts. Default: full jitter from 100 ms to MAX_BACKOFF_MS. */
  readonly backoff: BackoffOptions
  /** Ends it all. */
  readonly signal: AbortSignal
}

/** Longest wait between attempts, ms: as long as Piko's. */
export const MAX_BACKOFF_MS = 15_000

/**
 * Life of a connection, ms, after which it has proved that this peer may connect: waits start anew, and
 * no later refusal is final, because a server that is replaced or loses its token store for a moment
 * refuses everybody.
 */
export const LIVED_MS = 5_000

/**
 * Keeps one connection up: connect, wait until it is left, connect again. A connection the peer asked
 * us to leave is replaced while its last streams finish, so that nothing is lost in between.
 *
 * @returns resolves when the signal is aborted; never without.
 * @throws the error of an attempt that trying again cannot mend (`retryable` is false), as long as no
 *   connection has lived for LIVED_MS, and the one a session was ended with because its credentials are
 *   over.
 */
export async function keepConnected<T extends KeptConnection>(
  options: KeepConnectedOptions<T>,
): Promise<void> {
  const { signal } = options
  const maxMs = options.backoff.maxMs ?? MAX_BACKOFF_MS
  const backoff = new Backoff({ resetAfterMs: LIVED_MS, ...options.backoff, maxMs })
  let isRefused = false
  let hasLived = false
  while (!signal.aborted) {
    let problem: unknown
    let retryAfterMs: number | undefined
    try {
      const connection = await options.connect(signal)
      const sinceMs = performance.now()
      backoff.connected(sinceMs)
      isRefused = false
      options.onConnected(connection)
      const departure = await connection.left
      const leftMs = performance.now()
      backoff.lost(leftMs)
      hasLived ||= leftMs - sinceMs >= LIVED_MS
      problem = departure.error
      retryAfterMs = departure.retryAfterMs
    } catch (error) {
      if (signal.aborted) return
      const mayRenew: boolean =
        isUnauthorized(error) && options.renewsCredentials === true && !isRefused
      if (!isRetryable(error) && !mayRenew && !hasLived) throw error
      isRefused = isUnauthorized(error)
      problem = error
    }
    // The server has said in a session that these credentials are over.
    const isOver = !isRefused && isUnauthorized(problem)
    if (isOver && options.renewsCredentials !== true) throw problem
    if (signal.aborted) return
    const waitMs = backoff.next(reasonOf(problem, retryAfterMs))
    options.onRetry(problem, waitMs)
    await elapsed(waitMs, signal)
  }
}

/** Resolves after this many ms, or when the signal aborts. */
function elapsed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}

function isUnauthorized(error: unknown): boolean {
  return isTunnelError(error, 'TUNNEL_UNAUTHORIZED')
}

function isRetryable(error: unknown): boolean {
  // An error we cannot read is taken for a passing one: giving up for ever is the worse mistake.
  return !(error instanceof Error && 'retryable' in error && error.retryable === false)
}

function reasonOf(
  problem: unknown,
  retryAfterMs: number | undefined,
): Parameters<Backoff['next']>[0] {
  if (isDialError(problem)) return problem
  if (!isTunnelError(problem)) return { retryAfterMs }
  const isSlow = problem.code === 'TUNNEL_UPGRADE_REFUSED' || problem.code === 'TUNNEL_UNAUTHORIZED'
  return { retry: isSlow ? 'slow' : 'yes', retryAfterMs: problem.retryAfterMs }
}
