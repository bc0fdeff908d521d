// When to try again. After a server restart every agent comes back; without chance in the delay
// they come back together, again and again. Hence exponential growth with full jitter: a delay is
// drawn between a floor and the current ceiling. The ceiling falls back to its start only after a
// connection has lived for a while, or a server that accepts and drops would be hammered. Errors
// that will not heal by themselves get long delays: repeated wrong passwords lock accounts.

import type { RetryClass } from './errors.ts'

/** How delays grow. */
export interface BackoffOptions {
  /** Shortest delay, ms, at least 1. Default 100. */
  readonly minMs?: number | undefined
  /** Ceiling of the first delay, ms. Default 500. */
  readonly baseMs?: number | undefined
  /** Highest ceiling, ms. Default 30 000. */
  readonly maxMs?: number | undefined
  /** Highest ceiling for errors of class `slow`, ms. Default 60 000. */
  readonly slowMaxMs?: number | undefined
  /** Delay after an error of class `no`, for callers that wait for a repair, ms. Default 300 000. */
  readonly stoppedMs?: number | undefined
  /** What a ceiling is multiplied with, more than 1. Default 2. */
  readonly factor?: number | undefined
  /** Life of a connection after which the ceiling falls back, ms. Default 10 000. */
  readonly resetAfterMs?: number | undefined
  /** Returns a number in [0, 1); injected by tests. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** Every default of Backoff. */
export const BACKOFF_DEFAULTS: Readonly<
  Record<
    'minMs' | 'baseMs' | 'maxMs' | 'slowMaxMs' | 'stoppedMs' | 'factor' | 'resetAfterMs',
    number
  >
> = Object.freeze({
  minMs: 100,
  baseMs: 500,
  maxMs: 30_000,
  slowMaxMs: 60_000,
  // Account lockout policies commonly count 5 to 10 failures within 30 minutes.
  stoppedMs: 300_000,
  factor: 2,
  resetAfterMs: 10_000,
})

/** What a delay depends on; a DialError fits. */
export interface BackoffReason {
  /** Class of the error. Default `yes`. */
  readonly retry?: RetryClass | undefined
  /** Shortest wait the server asked for, ms; jitter comes on top. */
  readonly retryAfterMs?: number | undefined
}

/** Hands out the delays between attempts; keeps no timer and reads no clock. */
export class Backoff {
  readonly #options: Required<{ [K in keyof BackoffOptions]: NonNullable<BackoffOptions[K]> }>
  #attempt = 0
  #connectedAt: number | undefined

  constructor(options: BackoffOptions = {}) {
    const d = BACKOFF_DEFAULTS
    this.#options = {
      minMs: atLeast('minMs', options.minMs ?? d.minMs, 1),
      baseMs: atLeast('baseMs', options.baseMs ?? d.baseMs, 1),
      maxMs: atLeast('maxMs', options.maxMs ?? d.maxMs, 1),
      slowMaxMs: atLeast('slowMaxMs', options.slowMaxMs ?? d.slowMaxMs, 1),
      stoppedMs: atLeast('stoppedMs', options.stoppedMs ?? d.stoppedMs, 1),
      factor: atLeast('factor', options.factor ?? d.factor, 1),
      resetAfterMs: atLeast('resetAfterMs', options.resetAfterMs ?? d.resetAfterMs, 0),
      random: options.random ?? Math.random,
    }
  }

  /**
   * Returns the delay before the coming attempt, ms, and counts that attempt. Never throws.
   * @param reason - the error that made it necessary
   */
  next(reason: BackoffReason = {}): number {
    const { minMs, baseMs, maxMs, slowMaxMs, stoppedMs, factor } = this.#options
    const cap = reason.retry === 'slow' ? slowMaxMs : maxMs
    const ceiling = Math.min(cap, baseMs * factor ** this.#attempt)
    // 2 ** 1024 is Infinity, and the cap holds; the count only must not grow without end.
    this.#attempt = Math.min(this.#attempt + 1, 1000)
    const drawn = minMs + this.#options.random() * Math.max(0, ceiling - minMs)
    if (reason.retry === 'no') return Math.max(stoppedMs + drawn, reason.retryAfterMs ?? 0)
    return reason.retryAfterMs === undefined ? drawn : reason.retryAfterMs + drawn
  }

  /** Notes that a connection stands, at a time of the caller's clock, ms. */
  connected(nowMs: number): void {
    this.#connectedAt = nowMs
  }

  /** Notes that the connection is gone; growth starts anew if it lived for `resetAfterMs`. */
  lost(nowMs: number): void {
    const lived = this.#connectedAt === undefined ? 0 : nowMs - this.#connectedAt
    if (this.#connectedAt !== undefined && lived >= this.#options.resetAfterMs) this.reset()
    this.#connectedAt = undefined
  }

  /** Starts anew, as after a change of the network or of the configuration. */
  reset(): void {
    this.#attempt = 0
  }
}

function atLeast(name: string, value: number, low: number): number {
  if (!(value >= low)) throw new RangeError(`${name} must be at least ${low}, got ${String(value)}`)
  return value
}
