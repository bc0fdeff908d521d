import { DIAL_ERRORS, type DialErrorCode, type FailureKind, type RetryClass } from './errors.ts'

/** The step of a dial in which something happened. */
export type DialPhase = 'bind' | 'dns' | 'connect' | 'proxy' | 'tls' | 'upgrade'

/** The other end of the step: ourselves, the proxy, or the server. */
export type DialLeg = 'local' | 'proxy' | 'server'

/** One address that was tried while connecting. */
export interface DialAttempt {
  /** Address and port tried, or the path of a unix socket. */
  readonly address: string
  /** Source address the socket was bound to; absent when the system chose. */
  readonly source?: string
  /** What became of it, a clause such as "refused the connection". */
  readonly outcome: string
  /** Time from the start of this attempt to its end, ms. */
  readonly elapsedMs: number
}

/** What a DialError carries besides its code and message. */
export interface DialErrorDetails {
  /** Step that failed. */
  readonly phase: DialPhase
  /** Whose side the step was about. */
  readonly leg: DialLeg
  /** What a person can do about it, one sentence. */
  readonly hint?: string | undefined
  /** Every address tried. */
  readonly attempts?: readonly DialAttempt[] | undefined
  /** HTTP status of a refusal, by the server or by the proxy. */
  readonly status?: number | undefined
  /** Headers of a refused upgrade, at most 64 with at most 1024 characters each. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** First 1024 bytes of the body of a refused upgrade. */
  readonly bodyText?: string | undefined
  /** Shortest wait the server asked for, ms. */
  readonly retryAfterMs?: number | undefined
  /** Overrides the retry class of the code's row. */
  readonly retry?: RetryClass | undefined
  /** The platform's error. Never one that holds options or credentials. */
  readonly cause?: unknown
}

/**
 * The one error of this package. Holds no options, tokens or URLs with credentials: its text, its
 * JSON and its inspection may be logged. An abort is not a DialError, it rejects with the signal's
 * reason; a mistake in the arguments throws TypeError or RangeError at once.
 */
export class DialError extends Error {
  override readonly name = 'DialError'
  /** What happened; see the table DIAL_ERRORS. */
  readonly code: DialErrorCode
  /** Step that failed. */
  readonly phase: DialPhase
  /** Whose side the step was about. */
  readonly leg: DialLeg
  /** Whether the same dial may succeed later, and how soon. */
  readonly retry: RetryClass
  /** Where a person should look first. */
  readonly kind: FailureKind
  /** What a person can do about it. */
  declare readonly hint?: string
  /** Every address tried, in order of their start. */
  declare readonly attempts?: readonly DialAttempt[]
  /** HTTP status of a refusal. */
  declare readonly status?: number
  /** Headers of a refused upgrade. */
  declare readonly headers?: Readonly<Record<string, string>>
  /** Start of the body of a refused upgrade. */
  declare readonly bodyText?: string
  /** Shortest wait the server asked for, ms. */
  declare readonly retryAfterMs?: number

  constructor(code: DialErrorCode, message: string, details: DialErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.phase = details.phase
    this.leg = details.leg
    this.retry = details.retry ?? DIAL_ERRORS[code].retry
    this.kind = DIAL_ERRORS[code].kind
    if (details.hint !== undefined) this.hint = details.hint
    if (details.attempts !== undefined) this.attempts = details.attempts
    if (details.status !== undefined) this.status = details.status
    if (details.headers !== undefined) this.headers = details.headers
    if (details.bodyText !== undefined) this.bodyText = details.bodyText
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs
  }

  /** True when the same dial may succeed later without anybody changing its options. */
  get retryable(): boolean {
    return this.retry !== 'no'
  }

  /** Returns every field that is set, the message included, for machine-readable output. */
  toJSON(): Record<string, unknown> {
    return {
      ...Object.fromEntries(Object.entries(this)),
      message: this.message,
      retryable: this.retryable,
    }
  }
}
