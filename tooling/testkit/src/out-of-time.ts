// What every bounded wait of this package fails with. `pnpm test` counts such tests apart from those
// that saw a wrong fact, and goes by the code, so each wait throws this and nothing else at its limit.

/** A wait has reached its limit; what was waited for may still come on a slower machine. */
export class OutOfTimeError extends Error {
  override readonly name = 'OutOfTimeError'
  /** The same for every wait. */
  readonly code = 'TESTKIT_OUT_OF_TIME'
  /** The limit, ms. */
  readonly limitMs: number

  /** `cause` is what the last look failed with. */
  constructor(message: string, limitMs: number, cause?: unknown) {
    super(message, { cause })
    this.limitMs = limitMs
  }
}
