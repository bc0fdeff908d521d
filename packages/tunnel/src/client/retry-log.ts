import { isDialError } from '@proj/dialer'

import { isTunnelError, TUNNEL_ERRORS } from '../errors.ts'
import type { Logger } from '../logger.ts'

/** How often a failure that stays the same is logged, ms. */
export const QUIET_MS = 60_000

/**
 * Logs why a connection is made again. While a server is away, every link tries again within seconds:
 * the same failure is logged as a warning once per QUIET_MS, and at level debug in between.
 */
export class RetryLog {
  readonly #logger: Logger
  readonly #now: () => number
  #said: string | undefined
  #saidAtMs = 0
  #unsaid = 0

  /** @param now - a clock that never goes back, ms. */
  constructor(logger: Logger, now: () => number = () => performance.now()) {
    this.#logger = logger
    this.#now = now
  }

  /**
   * A new attempt is made after a wait.
   *
   * @param error - what failed; undefined: a session ended in good order.
   */
  retry(error: unknown, delayMs: number): void {
    const text =
      error === undefined ? 'session ended, reconnecting' : 'connection failed, trying again'
    const hint = hintOf(error)
    const fields = { err: error, delayMs: Math.round(delayMs), ...(hint !== undefined && { hint }) }
    const failure = `${text} ${error instanceof Error ? error.message : String(error)}`
    const nowMs = this.#now()
    if (failure === this.#said && nowMs - this.#saidAtMs < QUIET_MS) {
      this.#unsaid += 1
      this.#logger.debug(fields, text)
      return
    }
    const repeated = failure === this.#said && { unsaid: this.#unsaid }
    this.#said = failure
    this.#saidAtMs = nowMs
    this.#unsaid = 0
    this.#logger.warn({ ...fields, ...repeated }, text)
  }

  /** It is connected: the next failure is a warning again, also the same one. */
  connected(): void {
    this.#said = undefined
  }
}

/** What to do about an error that has no hint of its own; that of a handshake knows the status. */
function hintOf(error: unknown): string | undefined {
  if (!isTunnelError(error)) return undefined
  const { cause } = error
  // Whether it is the path or the port that is wrong, the dialer cannot know.
  if (error.status === 404) return TUNNEL_ERRORS[error.code].hint
  return (isDialError(cause) ? cause.hint : undefined) ?? TUNNEL_ERRORS[error.code].hint
}
