import type { Refusal } from './verdict.ts'

/** Code of a refusal; a key of {@link REFUSAL_CODES}. */
export type RefusalCode =
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

/** Table: every refusal with its status and meaning; docs/visitors.md prints it, a test compares them. */
export const REFUSAL_CODES: Readonly<
  Record<RefusalCode, { readonly status: number; readonly error: string }>
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

/** Makes a refusal. */
export function refuse(code: RefusalCode, headers: readonly string[] = []): Refusal {
  return { admitted: false, ...REFUSAL_CODES[code], code, headers }
}
