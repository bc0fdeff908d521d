import { JwtVerifier } from './jwt-verifier.ts'
import { KeySet } from './key-set.ts'

/** Tokens that let a visitor in. Public keys may travel; what is marked secret or local may not. */
export interface JwtDemand {
  /** Public key in PEM, for RS256, RS384 and RS512. */
  readonly rsaPublicKey?: string
  /** Public key in PEM, for ES256, ES384 and ES512. */
  readonly ecdsaPublicKey?: string
  /** Public key in PEM, for EdDSA. */
  readonly eddsaPublicKey?: string
  /** What `aud` must be or hold. */
  readonly audience?: string
  /** What `iss` must be. */
  readonly issuer?: string
  /** Secret for HS256, HS384 and HS512: stays with whoever configured it. */
  readonly hmacSecretKey?: string
  /** Where keys are: only whoever configured it asks there, or agents could send servers anywhere. */
  readonly jwks?: JwksDemand
}

/** A set of keys that is read from elsewhere. */
export interface JwksDemand {
  /** `https:`, `http:` or `file:`. */
  readonly endpoint: string
  /** How old the keys may be, ms. */
  readonly cacheTtlMs: number
  /** How long reading them may take, ms. */
  readonly timeoutMs: number
}

/** What of a demand may travel, in the order of the wire. */
export const PORTABLE_JWT: readonly (keyof JwtDemand)[] = [
  'rsaPublicKey',
  'ecdsaPublicKey',
  'eddsaPublicKey',
  'audience',
  'issuer',
]

/**
 * Makes what judges the tokens.
 *
 * @throws {AuthError} IDENTITY_KEY_INVALID when a key cannot be used, or there is none.
 */
export function verifierOf({ jwks, ...demand }: JwtDemand): JwtVerifier {
  return new JwtVerifier({ ...demand, ...(jwks !== undefined && { keySet: new KeySet(jwks) }) })
}
