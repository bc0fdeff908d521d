/** Code of an {@link AuthError}; each is explained in {@link AUTH_ERRORS} and the README. */
export type AuthErrorCode =
  | 'IDENTITY_AUTHORIZATION_INVALID'
  | 'IDENTITY_AUTHORIZATION_MISSING'
  | 'IDENTITY_KEYS_UNAVAILABLE'
  | 'IDENTITY_KEY_INVALID'
  | 'IDENTITY_SCHEME_UNSUPPORTED'
  | 'IDENTITY_TENANT_UNKNOWN'
  | 'IDENTITY_TOKENS_UNAVAILABLE'
  | 'IDENTITY_TOKEN_EXPIRED'
  | 'IDENTITY_TOKEN_INVALID'
  | 'VISITORS_PASSWORD_INVALID'
  | 'VISITORS_POLICY_INVALID'

/** What a code means. */
export interface AuthErrorInfo {
  /** The failure in one sentence. */
  readonly what: string
  /** HTTP status for the peer; undefined for what no peer causes. */
  readonly status: number | undefined
  /** Text for the peer, Piko's where Piko has one; undefined when no peer gets an answer. */
  readonly text: string | undefined
  /** Whether the same credential may be good later. */
  readonly retryable: boolean
  /** What a person can do about it. */
  readonly hint: string
}

/** Table: every code with its meaning and what to do; the README prints it, a test compares them. */
export const AUTH_ERRORS: Readonly<Record<AuthErrorCode, AuthErrorInfo>> = Object.freeze({
  IDENTITY_AUTHORIZATION_INVALID: {
    what: 'the authorization header is not a scheme and a token',
    status: 401,
    text: 'invalid authorization',
    retryable: false,
    hint: 'send `Authorization: Bearer <token>`',
  },
  IDENTITY_AUTHORIZATION_MISSING: {
    what: 'no credentials were sent',
    status: 401,
    text: 'missing authorization',
    retryable: false,
    hint: 'give the program a token',
  },
  IDENTITY_KEYS_UNAVAILABLE: {
    what: 'the key set could never be read, so no token can be verified',
    status: 503,
    text: 'token keys unavailable',
    retryable: true,
    hint: 'check the address of the key set and its server',
  },
  IDENTITY_KEY_INVALID: {
    what: 'a configured key cannot be used',
    status: undefined,
    text: 'invalid key',
    retryable: false,
    hint: 'give the PEM text of a public key of the kind that the option names',
  },
  IDENTITY_SCHEME_UNSUPPORTED: {
    what: 'the authorization scheme is not Bearer, spelled like this',
    status: 401,
    text: 'unsupported auth type',
    retryable: false,
    hint: 'send `Authorization: Bearer <token>`',
  },
  IDENTITY_TENANT_UNKNOWN: {
    what: 'this server has no tenant of that name, or no tenant was named',
    status: 401,
    text: 'unknown tenant',
    retryable: false,
    hint: 'name the tenant that the token was made for',
  },
  IDENTITY_TOKENS_UNAVAILABLE: {
    what: 'the tokens of the cluster cannot be read, so it is not known whether this one is valid',
    status: 503,
    text: 'tokens unavailable',
    retryable: true,
    hint: 'check the database in cluster.database_url; cluster.stale_after says how long its last state is used',
  },
  IDENTITY_TOKEN_EXPIRED: {
    what: 'the token was good until a time that has passed',
    status: 401,
    text: 'expired token',
    retryable: false,
    hint: 'get a new token',
  },
  IDENTITY_TOKEN_INVALID: {
    what: 'the token is not well-formed, not signed by a key in use, or not meant for this',
    status: 401,
    text: 'invalid token',
    retryable: false,
    hint: 'the message says what is wrong; the peer is not told',
  },
  VISITORS_PASSWORD_INVALID: {
    what: 'a user or password that no client could send, or that is too short or too long',
    status: undefined,
    text: undefined,
    retryable: false,
    hint: 'a user has no colon, a password 1 to 1024 bytes, neither has control characters',
  },
  VISITORS_POLICY_INVALID: {
    what: 'rules for visitors that are malformed, too many, or of a kind this version does not know',
    status: undefined,
    text: undefined,
    retryable: false,
    hint: 'use the same version on both sides, and fewer entries',
  },
})

/** The error class of this package. Holds no part of a token, key or password. */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  /** Stable code: a key of {@link AUTH_ERRORS}. */
  readonly code: AuthErrorCode
  /** The option that is wrong, where one is; then it is the subject of {@link AuthError.detail}. */
  readonly option: string | undefined
  /** What exactly is wrong, for logs; undefined where the code says it all. */
  readonly detail: string | undefined

  /**
   * @param detail - never a part of a token, key or password.
   * @param option - name of the option that is wrong; the message has it before the detail.
   */
  constructor(code: AuthErrorCode, detail?: string, option?: string) {
    const { text, what } = AUTH_ERRORS[code]
    const full = option === undefined || detail === undefined ? detail : `${option} ${detail}`
    const parts = [text, full].filter((part) => part !== undefined)
    super(parts.length === 0 ? what : parts.join(': '))
    this.code = code
    this.option = option
    this.detail = detail
  }

  /** HTTP status for the peer; 500 for what no peer causes. */
  get status(): number {
    return AUTH_ERRORS[this.code].status ?? 500
  }

  /** Text for the peer, which is not told the detail. */
  get text(): string {
    const { text, what } = AUTH_ERRORS[this.code]
    return text ?? what
  }

  /** Whether the same credential may be good later. */
  get retryable(): boolean {
    return AUTH_ERRORS[this.code].retryable
  }
}

/** Tells whether a value is an {@link AuthError}, of the given code if one is given. Works across two copies of this package. */
export function isAuthError(value: unknown, code?: AuthErrorCode): value is AuthError {
  if (!(value instanceof Error) || value.name !== 'AuthError' || !('code' in value)) return false
  return code === undefined ? Object.hasOwn(AUTH_ERRORS, String(value.code)) : value.code === code
}
