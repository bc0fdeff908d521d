import { hasJwtKeys, jwtDemand, type JwtVerifier, jwtVerifierOf } from '@proj/auth'
import type { Logger } from '@proj/tunnel'

import type { AuthSettings } from './auth-settings.ts'

/** How JWTs are verified on one port, or for one tenant. */
export interface PortAuth {
  readonly verifier: JwtVerifier
  /** Whether a session ends when its token does. */
  readonly endsAtExpiry: boolean
}

/**
 * Makes what the settings say, or nothing when they have no key.
 *
 * @throws {AuthError} IDENTITY_KEY_INVALID.
 */
export function portAuth(auth: AuthSettings, logger: Logger): PortAuth | undefined {
  const demand = hasJwtKeys(auth) ? jwtDemand(auth) : undefined
  if (demand === undefined) return undefined
  const verifier = jwtVerifierOf(demand, (error) =>
    logger.warn({ why: error.message }, 'keys of tokens not read'),
  )
  return { verifier, endsAtExpiry: !auth.disableDisconnectOnExpiry }
}
