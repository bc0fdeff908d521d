/** Code of a {@link VisitorsError}; each is explained in `VISITORS_ERRORS` and the README. */
export type VisitorsErrorCode = 'VISITORS_PASSWORD_INVALID' | 'VISITORS_POLICY_INVALID'

/** What a code means to whoever meets it. */
export interface VisitorsErrorInfo {
  /** What happened. */
  readonly what: string
  /** What a person can do about it. */
  readonly hint: string
}

/** Table: every code with its meaning and what to do; the README prints it, a test compares them. */
export const VISITORS_ERRORS: Readonly<Record<VisitorsErrorCode, VisitorsErrorInfo>> =
  Object.freeze({
    VISITORS_PASSWORD_INVALID: {
      what: 'a user or password that no client could send, or that is too short or too long',
      hint: 'a user has no colon, a password 1 to 1024 bytes, neither has control characters',
    },
    VISITORS_POLICY_INVALID: {
      what: 'rules for visitors that are malformed, too many, or of a kind this version does not know',
      hint: 'use the same version on both sides, and fewer entries',
    },
  })

/** The one error class of this package. No message repeats a credential. */
export class VisitorsError extends Error {
  override readonly name = 'VisitorsError'
  /** Stable, documented in the README. */
  readonly code: VisitorsErrorCode

  constructor(code: VisitorsErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Tells a VisitorsError, optionally of one code, also when it comes from another copy of the package. */
export function isVisitorsError(error: unknown, code?: VisitorsErrorCode): error is VisitorsError {
  if (!(error instanceof Error) || error.name !== 'VisitorsError') return false
  if (!('code' in error)) return false
  const known = Object.hasOwn(VISITORS_ERRORS, String(error.code))
  return code === undefined ? known : error.code === code
}
