import { createPublicKey, type KeyObject } from 'node:crypto'

import type { CryptoKey } from 'jose'

import { AuthError } from '../errors.ts'

/** Keys that do not change. Any number of them may be given. */
export interface StaticKeyOptions {
  /** Shared secret for HS256, HS384 and HS512: its bytes in UTF-8. Default: these are refused. */
  readonly hmacSecretKey?: string
  /** Public key in PEM, for RS256, RS384 and RS512; 2048 bits or more. Default: these are refused. */
  readonly rsaPublicKey?: string
  /** Public key in PEM, for the one of ES256, ES384 and ES512 that its curve fits. Default: refused. */
  readonly ecdsaPublicKey?: string
  /** Public key in PEM, for EdDSA with Ed25519. Default: refused. */
  readonly eddsaPublicKey?: string
}

/** Options that hold one key each. */
export type KeyOption = keyof StaticKeyOptions

/** Kinds of keys, by the first letters of their algorithms. */
export type KeyKind = 'HS' | 'RS' | 'ES' | 'Ed'

/** What jose verifies with. */
export type VerificationKey = KeyObject | CryptoKey | Uint8Array

/** Below this RSA can be broken with money; jose refuses to use such a key. */
const MIN_RSA_BITS = 2048

/**
 * Reads the configured keys.
 *
 * @throws {AuthError} IDENTITY_KEY_INVALID naming the option.
 */
export function staticKeys(options: StaticKeyOptions): ReadonlyMap<KeyKind, VerificationKey> {
  const { hmacSecretKey, rsaPublicKey, ecdsaPublicKey, eddsaPublicKey } = options
  const keys = new Map<KeyKind, VerificationKey>()
  if (hmacSecretKey !== undefined && hmacSecretKey !== '') {
    keys.set('HS', Buffer.from(hmacSecretKey))
  }
  const pems = [
    ['RS', 'rsaPublicKey', 'rsa', rsaPublicKey],
    ['ES', 'ecdsaPublicKey', 'ec', ecdsaPublicKey],
    ['Ed', 'eddsaPublicKey', 'ed25519', eddsaPublicKey],
  ] as const
  for (const [kind, option, type, pem] of pems) {
    if (pem !== undefined && pem !== '') keys.set(kind, publicKey(option, type, pem))
  }
  return keys
}

function publicKey(option: KeyOption, type: string, pem: string): KeyObject {
  // Node would derive the public key. But an operator who gives away a private key has to know it.
  if (pem.includes('PRIVATE KEY')) {
    throw new AuthError('IDENTITY_KEY_INVALID', 'is a private key', option)
  }
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch {
    throw new AuthError('IDENTITY_KEY_INVALID', 'is no public key in PEM', option)
  }
  if (key.asymmetricKeyType !== type) {
    const found = key.asymmetricKeyType ?? 'unknown'
    throw new AuthError('IDENTITY_KEY_INVALID', `is a key of the kind ${found}`, option)
  }
  const { modulusLength = MIN_RSA_BITS } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < MIN_RSA_BITS) {
    const detail = `has ${modulusLength} bits, at least ${MIN_RSA_BITS} are needed`
    throw new AuthError('IDENTITY_KEY_INVALID', detail, option)
  }
  return key
}
