import { errors, jwtVerify, type JWTHeaderParameters } from 'jose'

import { checkTokenSize } from '../tokens/bearer-token.ts'
import { AuthError, isAuthError } from '../errors.ts'
import { type JwtRights, jwtRights } from './jwt-claims.ts'
import type { KeySet } from './key-set.ts'
import {
  type KeyKind,
  type StaticKeyOptions,
  staticKeys,
  type VerificationKey,
} from './static-keys.ts'

/** What tokens are verified by: static keys or a key set, and the claims they must have. */
export interface JwtVerifierOptions extends StaticKeyOptions {
  /** Keys by name; excludes static keys. Default: none. */
  readonly keySet?: KeySet
  /** What `aud` must be or hold. Default: anything, nothing too. */
  readonly audience?: string
  /** What `iss` must be. Default: anything, nothing too. */
  readonly issuer?: string
  /**
   * Whether a secret (HS256, HS384, HS512) may verify a token. `false` for a key set that everybody can read: what
   * stands in it is no secret, also where it is called one. Default: `true`.
   */
  readonly acceptsSecrets?: boolean
  /** Longest token that is decoded, bytes. Default 8192. */
  readonly maxBytes?: number
  /** Difference between the clocks that is accepted for `exp` and `nbf`, ms; whole seconds count. Default 0. */
  readonly toleranceMs?: number
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number
}

/** When a token is valid, s since the epoch. */
interface JwtTimes {
  readonly exp?: number
}

/** A JWT that is valid now. */
export interface VerifiedJwt extends JwtRights {
  /** When it expires, ms since the epoch; absent: never. */
  readonly expiresAt?: number
}

/** Algorithms that are accepted. `none` and the PS family are not. */
const ALGORITHMS = 'HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512 EdDSA Ed25519'.split(' ')

/** Those of them that verify with a public key. */
const PUBLIC_ALGORITHMS = ALGORITHMS.filter((name) => !name.startsWith('HS'))

/**
 * Verifies JWTs by Piko's rules: the key decides which algorithms are accepted, `exp` and `nbf` are exact to
 * the second, `aud` and `iss` are checked where they are configured.
 */
export class JwtVerifier {
  readonly #keys: ReadonlyMap<KeyKind, VerificationKey>
  readonly #options: JwtVerifierOptions

  /**
   * @throws {AuthError} IDENTITY_KEY_INVALID when a key cannot be used, when there is none, and
   *   when there are static keys and a key set.
   */
  constructor(options: JwtVerifierOptions) {
    this.#options = options
    this.#keys = staticKeys(options)
    if ((this.#keys.size === 0) === (options.keySet === undefined)) {
      const detail = this.#keys.size === 0 ? 'there is none' : 'static keys exclude a key set'
      throw new AuthError('IDENTITY_KEY_INVALID', detail)
    }
  }

  /** Reads the key set, where there is one, ahead of the first token. Never rejects. */
  async prepare(): Promise<void> {
    await this.#options.keySet?.prepare()
  }

  /**
   * Verifies a token and reads what it allows.
   *
   * @throws {AuthError} IDENTITY_TOKEN_INVALID; IDENTITY_TOKEN_EXPIRED, only when the signature is
   *   good; IDENTITY_KEYS_UNAVAILABLE when a key set could never be read.
   */
  async verify(token: string): Promise<VerifiedJwt> {
    const claims = await this.claims(token)
    const { exp } = claims
    return { ...jwtRights(claims), ...(exp !== undefined && { expiresAt: exp * 1000 }) }
  }

  /**
   * Verifies a token that says who somebody is, and gives no rights by itself.
   *
   * @returns its claims.
   * @throws {AuthError} as {@link verify}.
   */
  async claims(token: string): Promise<Readonly<Record<string, unknown>> & JwtTimes> {
    checkTokenSize(token, this.#options.maxBytes)
    const { audience = '', issuer = '', toleranceMs = 0, now = Date.now } = this.#options
    const { acceptsSecrets = true } = this.#options
    const currentDate = new Date(now())
    try {
      const { payload } = await jwtVerify(token, (header) => this.#key(header), {
        algorithms: acceptsSecrets ? ALGORITHMS : PUBLIC_ALGORITHMS,
        currentDate,
        clockTolerance: Math.floor(toleranceMs / 1000),
        ...(audience !== '' && { audience }),
        ...(issuer !== '' && { issuer }),
      })
      return payload
    } catch (error) {
      if (isAuthError(error)) throw error
      if (isExpired(error, now() - toleranceMs)) throw new AuthError('IDENTITY_TOKEN_EXPIRED')
      // Its message has no part of the token; its other fields have the claims.
      throw new AuthError('IDENTITY_TOKEN_INVALID', error instanceof Error ? error.message : '')
    }
  }

  async #key({ alg, kid }: JWTHeaderParameters): Promise<VerificationKey> {
    const { keySet } = this.#options
    if (keySet === undefined) {
      const found = [...this.#keys].find(([kind]) => alg.startsWith(kind))
      if (found !== undefined) return found[1]
      throw new AuthError('IDENTITY_TOKEN_INVALID', `no key is configured for ${alg}`)
    }
    if (typeof kid !== 'string') {
      throw new AuthError('IDENTITY_TOKEN_INVALID', 'its header names no key (kid)')
    }
    const key = await keySet.find(kid, alg)
    if (key !== undefined) return key
    throw new AuthError('IDENTITY_TOKEN_INVALID', `the key set has no key for it, of ${alg}`)
  }
}

/** Whether a token with a valid signature has expired, whatever else is wrong with it. */
function isExpired(error: unknown, now: number): boolean {
  if (error instanceof errors.JWTExpired) return true
  if (!(error instanceof errors.JWTClaimValidationFailed)) return false
  const { exp } = error.payload
  return typeof exp === 'number' && exp <= Math.floor(now / 1000)
}
