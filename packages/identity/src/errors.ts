/** What a credential can be refused for, and what is wrong with a key. */
export type IdentityErrorCode =
  | 'IDENTITY_AUTHORIZATION_INVALID'
  | 'IDENTITY_AUTHORIZATION_MISSING'
  | 'IDENTITY_KEYS_UNAVAILABLE'
  | 'IDENTITY_KEY_INVALID'
  | 'IDENTITY_SCHEME_UNSUPPORTED'
  | 'IDENTITY_TENANT_UNKNOWN'
  | 'IDENTITY_TOKEN_EXPIRED'
  | 'IDENTITY_TOKEN_INVALID'

/** What a code means to whoever meets it. */
export interface IdentityErrorInfo {
  /** What happened. */
  readonly what: string
  /** HTTP status for the peer; undefined for what no peer causes. */
  readonly status: number | undefined
  /** Text for the peer, Piko's where Piko has one. It says no more than the peer may know. */
  readonly text: string
  /** Whether the same credential may be good later. */
  readonly retryable: boolean
  /** What a person can do about it. */
  readonly hint: string
}

/** Table: every code with its meaning and what to do; the README prints it, a test compares them. */
export const IDENTITY_ERRORS: Readonly<Record<IdentityErrorCode, IdentityErrorInfo>> =
  Object.freeze({
    IDENTITY_AUTHORIZATION_INVALID: {
      what: 'the authorization header is no scheme and a token',
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
      what: 'the key set could never be read, so no token can be judged',
      status: 503,
      text: 'token keys unavailable',
      retryable: true,
      hint: 'look at the address of the key set and at its server',
    },
    IDENTITY_KEY_INVALID: {
      what: 'a configured key cannot be used',
      status: undefined,
      text: 'invalid key',
      retryable: false,
      hint: 'give the PEM text of a public key of the kind the option names',
    },
    IDENTITY_SCHEME_UNSUPPORTED: {
      what: 'the authorization scheme is not Bearer, spelled like this',
      status: 401,
      text: 'unsupported auth type',
      retryable: false,
      hint: 'send `Authorization: Bearer <token>`',
    },
    IDENTITY_TENANT_UNKNOWN: {
      what: 'the tenant that was named is none of this server, or none was named',
      status: 401,
      text: 'unknown tenant',
      retryable: false,
      hint: 'name the tenant the token was made for',
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
  })

/** Says why a credential or key is refused. Holds no part of either. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError'
  /** Stable code: a key of {@link IDENTITY_ERRORS}. */
  readonly code: IdentityErrorCode

  /** @param detail - for logs: what exactly; never a part of a token or key. */
  constructor(code: IdentityErrorCode, detail?: string) {
    const { text } = IDENTITY_ERRORS[code]
    super(detail === undefined ? text : `${text}: ${detail}`)
    this.code = code
  }

  /** HTTP status for the peer; 500 for what no peer causes. */
  get status(): number {
    return IDENTITY_ERRORS[this.code].status ?? 500
  }

  /** Text for the peer, which is not told the detail. */
  get text(): string {
    return IDENTITY_ERRORS[this.code].text
  }

  /** Whether the same credential may be good later. */
  get retryable(): boolean {
    return IDENTITY_ERRORS[this.code].retryable
  }
}

/** Tells whether a value is an {@link IdentityError}, of the given code if one is given. Works across two copies of this package. */
export function isIdentityError(value: unknown, code?: IdentityErrorCode): value is IdentityError {
  if (!(value instanceof Error) || value.name !== 'IdentityError' || !('code' in value)) {
    return false
  }
  return code === undefined ? String(value.code).startsWith('IDENTITY_') : value.code === code
}
