/** JWTs and stored tokens as the tests of authorisation need them. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'

import { createToken, hashToken, JwtVerifier, type Right } from '@proj/auth'

import type { PortAuth } from '../../src/auth/port-auth.ts'
import type { TokenStore } from '../../src/store/token-store.ts'

/** Key pairs that are not HMAC. */
export const PAIRS = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
} as const

/** A JWT, signed by Node's crypto alone. */
export function jwt(alg: 'HS256' | keyof typeof PAIRS, secret: string, claims: object): string {
  const parts = [{ alg }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const input = Buffer.from(parts.join('.'))
  const signature =
    alg === 'HS256'
      ? createHmac('sha256', secret).update(input).digest()
      : sign(alg === 'EdDSA' ? null : 'sha256', input, {
          key: PAIRS[alg].privateKey,
          dsaEncoding: 'ieee-p1363',
        })
  return [...parts, signature.toString('base64url')].join('.')
}

/** A JWT signed with HS256. */
export function hs256(secret: string, claims: object): string {
  return jwt('HS256', secret, claims)
}

/** The PEM text of a public key. */
export function pemOf(alg: keyof typeof PAIRS): string {
  return PAIRS[alg].publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

/** How a port judges JWTs that are signed with a secret. */
export function authOf(hmacSecretKey: string, endsAtExpiry = true): PortAuth {
  const verifier = new JwtVerifier({ hmacSecretKey })
  return { verifier, endsAtExpiry }
}

/** What a stored token may do. */
export interface TokenWish {
  readonly may?: readonly Right[]
  readonly endpoints?: readonly string[]
  readonly tenant?: string
  readonly expiresAt?: number
}

/** Stores a token. @returns its id and text. */
export async function storedToken(
  tokens: TokenStore,
  wish: TokenWish = {},
): Promise<{ readonly id: string; readonly text: string }> {
  const { id, text } = createToken()
  const refusal = await tokens.create({
    id,
    hash: hashToken(text).toString('hex'),
    identity: `token:${id}`,
    name: '',
    tenant: wish.tenant ?? '',
    rights: wish.may ?? ['listen', 'connect'],
    endpoints: wish.endpoints ?? ['*'],
    createdAt: Date.now(),
    expiresAt: wish.expiresAt,
  })
  if (refusal !== undefined) throw new Error(refusal)
  return { id, text }
}
