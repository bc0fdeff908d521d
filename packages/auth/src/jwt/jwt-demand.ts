import { JwtVerifier } from './jwt-verifier.ts'
import { KeySet } from './key-set.ts'

/** What JWTs are verified with. An agent may send the public keys to its server; the rest stays local. */
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
  /** Secret for HS256, HS384 and HS512. Local: an agent does not send it. */
  readonly hmacSecretKey?: string
  /** Where a key set is. Local: otherwise an agent could make the server request any URL. */
  readonly jwks?: JwksDemand
}

/** A key set at a URL. */
export interface JwksDemand {
  /** `https:`, `http:` or `file:`. */
  readonly endpoint: string
  /** How old the keys may be, ms. Default: that of `KeySet`. */
  readonly cacheTtlMs?: number
  /** How long reading them may take, ms. Default: that of `KeySet`. */
  readonly timeoutMs?: number
}

/** Members that an agent may send, in the order of the wire. */
export const PORTABLE_JWT: readonly (keyof JwtDemand)[] = [
  'rsaPublicKey',
  'ecdsaPublicKey',
  'eddsaPublicKey',
  'audience',
  'issuer',
]

/**
 * Makes the verifier.
 *
 * @param onError - told why the key set could not be read; the keys that are there stay in use.
 * @throws {AuthError} IDENTITY_KEY_INVALID when a key cannot be used, or there is none.
 */
export function jwtVerifierOf(
  { jwks, ...demand }: JwtDemand,
  onError: (error: Error) => void = () => {},
): JwtVerifier {
  return new JwtVerifier({
    ...demand,
    ...(jwks !== undefined && { keySet: new KeySet({ ...jwks, onError }) }),
  })
}
