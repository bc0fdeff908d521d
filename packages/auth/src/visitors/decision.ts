/** What is known of a request when it is judged. */
export interface VisitorRequest {
  /** Header fields as sent: name, value, name, value. Hold credentials: never log them. */
  readonly headers: readonly string[]
  /** Address of the visitor; undefined where it is not known, which no address rule admits. */
  readonly address: string | undefined
  /** Name of the endpoint, for the challenge. */
  readonly endpoint: string
}

/** The visitor is admitted. */
export interface Admission {
  /** Tells the two decisions apart. */
  readonly admitted: true
  /** Whether the Authorization header was checked here, so that it must not be forwarded. */
  readonly consumed: boolean
}

/** The visitor has no right to the endpoint: what to answer. */
export interface Denial {
  /** Tells the two decisions apart. */
  readonly admitted: false
  /** HTTP status of the answer, 400 to 599. */
  readonly status: number
  /** One sentence for people. */
  readonly error: string
  /** Stable code for programs: of {@link DENIAL_CODES}, or `unauthorized` for the token of the proxy port. */
  readonly code: DenialCode | 'unauthorized'
  /** What would be accepted: values of WWW-Authenticate (RFC 9110 section 11.6.1); empty where nothing would. */
  readonly challenges: readonly string[]
  /** When asking again may help, ms; told in Retry-After. */
  readonly retryAfterMs?: number
}

/** Whether a visitor is admitted. */
export type Decision = Admission | Denial

/** Code of a denial; a key of {@link DENIAL_CODES}. */
export type DenialCode =
  | 'address_denied'
  | 'authorization_repeated'
  | 'checks_busy'
  | 'credentials_missing'
  | 'credentials_wrong'
  | 'token_expired'
  | 'token_invalid'
  | 'token_keys_unavailable'
  | 'token_not_permitted'
  | 'too_many_failures'

/** Table: every denial with its status and meaning; docs/visitors.md prints it, a test compares them. */
export const DENIAL_CODES: Readonly<
  Record<DenialCode, { readonly status: number; readonly error: string }>
> = Object.freeze({
  address_denied: { status: 403, error: 'address not allowed' },
  authorization_repeated: { status: 400, error: 'more than one authorization' },
  checks_busy: { status: 503, error: 'too many passwords are being checked' },
  credentials_missing: { status: 401, error: 'missing authorization' },
  credentials_wrong: { status: 401, error: 'invalid authorization' },
  token_expired: { status: 401, error: 'expired token' },
  token_invalid: { status: 401, error: 'invalid token' },
  token_keys_unavailable: { status: 503, error: 'token keys unavailable' },
  token_not_permitted: { status: 401, error: 'endpoint not permitted' },
  too_many_failures: { status: 429, error: 'too many failed attempts' },
})

export function deny(
  code: DenialCode,
  more: Partial<Pick<Denial, 'challenges' | 'retryAfterMs'>> = {},
): Denial {
  return { admitted: false, ...DENIAL_CODES[code], code, challenges: [], ...more }
}
