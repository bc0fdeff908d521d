/**
 * Who should act on each code. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { AuthErrorCode } from './errors.ts'

/** Who sent the credentials (`peer`), who runs the server, who runs the service and sets its rules. */
type Actor = 'peer' | 'operator' | 'owner'

export const AUTH_ACTORS: Readonly<Record<AuthErrorCode, Actor>> = {
  IDENTITY_AUTHORIZATION_INVALID: 'peer',
  IDENTITY_AUTHORIZATION_MISSING: 'peer',
  IDENTITY_KEYS_UNAVAILABLE: 'operator',
  IDENTITY_KEY_INVALID: 'operator',
  IDENTITY_SCHEME_UNSUPPORTED: 'peer',
  IDENTITY_TENANT_UNKNOWN: 'peer',
  IDENTITY_TOKENS_UNAVAILABLE: 'operator',
  IDENTITY_TOKEN_EXPIRED: 'peer',
  IDENTITY_TOKEN_INVALID: 'peer',
  VISITORS_PASSWORD_INVALID: 'owner',
  VISITORS_POLICY_INVALID: 'owner',
}
