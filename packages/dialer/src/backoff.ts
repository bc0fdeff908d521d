// The delay before a retry. After a restart of the server every agent reconnects, and without jitter
// they all do it at the same moment. So the delay grows exponentially with full jitter: a random value
// between a minimum and the current maximum. The maximum returns to its start only after a connection
// has lived for some time; otherwise a server that accepts and closes connections would get retries at
// full speed. Right after the loss of such a connection delays stay short for some time: the server most
// likely restarts, and what waits for it should not wait for the rest of a long delay. That is true again for
// connections after it that did not live as long, for a limited number of them: such a server may have been
// restarted twice, or crash again and again. Errors that need a change by a person get long delays: repeated
// wrong passwords lock accounts.

import type { RetryClass } from './errors.ts'
import { type DialLimit, limitOf } from './limit.ts'
import { checkOptionNames, type OptionNames } from './option-names.ts'

/** Options of a Backoff. Defaults and ranges are in BACKOFF_LIMITS. */
export interface BackoffOptions {
  /** Shortest delay, ms: 1 or more, default 100. */
  readonly minMs?: number | undefined
  /** Longest first delay, ms. */
  readonly baseMs?: number | undefined
  /** Longest delay, ms: 1 or more, default 30 000. */
  readonly maxMs?: number | undefined
  /** Longest delay after an error of class `slow`, ms. */
  readonly slowMaxMs?: number | undefined
  /** Delay after an error of class `no`, ms, for callers that retry such errors too. */
  readonly stoppedMs?: number | undefined
  /** Growth of the longest delay per attempt; 1 is no growth. */
  readonly factor?: number | undefined
  /** Life of a connection after which delays start again at `baseMs`, ms. */
  readonly resetAfterMs?: number | undefined
  /** Longest delay while `lossMs` has not passed, ms; not for errors of class `no`. */
  readonly lossMaxMs?: number | undefined
  /**
   * How long delays stay short after a connection that lived for `resetAfterMs` was lost, ms; also after each of
   * the MAX_SHORT_LIVES next ones, however long it lived.
   */
  readonly lossMs?: number | undefined
  /** Returns a number in [0, 1); set by tests. @default Math.random */
  readonly random?: (() => number) | undefined
}

/** Options of a Backoff. */
const BACKOFF_OPTION_NAMES: OptionNames<BackoffOptions> = {
  minMs: true,
  baseMs: true,
  maxMs: true,
  slowMaxMs: true,
  stoppedMs: true,
  factor: true,
  resetAfterMs: true,
  lossMaxMs: true,
  lossMs: true,
  random: true,
}

const AT_LEAST_1 = { min: 1, max: Infinity, orInfinity: true } as const

/** Default and range of every option of Backoff that is a number. */
export const BACKOFF_LIMITS: Readonly<
  Record<
    | 'minMs'
    | 'baseMs'
    | 'maxMs'
    | 'slowMaxMs'
    | 'stoppedMs'
    | 'factor'
    | 'resetAfterMs'
    | 'lossMaxMs'
    | 'lossMs',
    DialLimit
  >
> = Object.freeze({
  minMs: { default: 100, ...AT_LEAST_1 },
  baseMs: { default: 500, ...AT_LEAST_1 },
  maxMs: { default: 30_000, ...AT_LEAST_1 },
  slowMaxMs: { default: 60_000, ...AT_LEAST_1 },
  // Account lockout policies commonly count 5 to 10 failures within 30 minutes.
  stoppedMs: { default: 300_000, ...AT_LEAST_1 },
  factor: { default: 2, ...AT_LEAST_1 },
  resetAfterMs: { default: 10_000, min: 0, max: Infinity, orInfinity: true },
  lossMaxMs: { default: 2_000, ...AT_LEAST_1 },
  lossMs: { default: 30_000, min: 0, max: Infinity, orInfinity: true },
})

/** Connections in a row that may live for less than `resetAfterMs`; after the next ones delays are not short. */
export const MAX_SHORT_LIVES = 10

/** The error that a delay depends on; a DialError fits. */
export interface BackoffReason {
  /** Retry class of the error. @default yes */
  readonly retry?: RetryClass | undefined
  /** Shortest delay that the server asked for, ms; jitter is added. */
  readonly retryAfterMs?: number | undefined
}

/** Computes the delays between attempts. Has no timer and reads no clock. */
export class Backoff {
  readonly #options: Required<{ [K in keyof BackoffOptions]: NonNullable<BackoffOptions[K]> }>
  #attempt = 0
  #connectedAt: number | undefined
  #lostAt = -Infinity
  #shortLives = 0

  constructor(options: BackoffOptions = {}) {
    checkOptionNames('', options, BACKOFF_OPTION_NAMES)
    const pick = (name: keyof typeof BACKOFF_LIMITS): number =>
      limitOf(name, options[name], BACKOFF_LIMITS[name])
    this.#options = {
      minMs: pick('minMs'),
      baseMs: pick('baseMs'),
      maxMs: pick('maxMs'),
      slowMaxMs: pick('slowMaxMs'),
      stoppedMs: pick('stoppedMs'),
      factor: pick('factor'),
      resetAfterMs: pick('resetAfterMs'),
      lossMaxMs: pick('lossMaxMs'),
      lossMs: pick('lossMs'),
      random: options.random ?? Math.random,
    }
  }

  /**
   * Returns the delay before the next attempt, ms, and counts that attempt. Never throws.
   * @param reason - the error of the last attempt
   * @param nowMs - time of the caller's clock; without it delays do not stay short after a loss
   */
  next(reason: BackoffReason = {}, nowMs: number = Infinity): number {
    const { minMs, baseMs, maxMs, slowMaxMs, stoppedMs, factor, lossMaxMs, lossMs } = this.#options
    const longest = reason.retry === 'slow' ? slowMaxMs : maxMs
    const cap = nowMs - this.#lostAt < lossMs ? Math.min(longest, lossMaxMs) : longest
    const ceiling = Math.min(cap, baseMs * factor ** this.#attempt)
    // 2 ** 1024 is Infinity, which the cap limits; the count must not grow without limit.
    this.#attempt = Math.min(this.#attempt + 1, 1000)
    const drawn = minMs + this.#options.random() * Math.max(0, ceiling - minMs)
    if (reason.retry === 'no') return Math.max(stoppedMs + drawn, reason.retryAfterMs ?? 0)
    return reason.retryAfterMs === undefined ? drawn : reason.retryAfterMs + drawn
  }

  /** Records that a connection is open, at a time of the caller's clock, ms. */
  connected(nowMs: number): void {
    this.#connectedAt = nowMs
  }

  /** Records that the connection has closed; delays start again if it lived for `resetAfterMs`. */
  lost(nowMs: number): void {
    if (this.#connectedAt === undefined) return
    const isLong = nowMs - this.#connectedAt >= this.#options.resetAfterMs
    this.#connectedAt = undefined
    if (isLong) {
      this.reset()
      this.#shortLives = 0
      this.#lostAt = nowMs
    } else if (this.#lostAt !== -Infinity && this.#shortLives < MAX_SHORT_LIVES) {
      this.#shortLives += 1
      this.#lostAt = nowMs
    }
  }

  /** Starts again with short delays, for example after a change of the network. */
  reset(): void {
    this.#attempt = 0
  }
}
