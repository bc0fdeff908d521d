/** JWTs and stored tokens as the tests of authorisation need them. */
import { createHmac } from 'node:crypto'

import { createToken, hashToken, JwtVerifier, type Right } from '@proj/identity'

import type { PortAuth } from '../../src/identity/port-auth.ts'
import type { TokenStore } from '../../src/store/token-store.ts'

/** A JWT signed with HS256. */
export function hs256(secret: string, claims: object): string {
  const [head, body] = [{ alg: 'HS256' }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  )
  const signature = createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')
  return `${head}.${body}.${signature}`
}

/** How a port judges JWTs that are signed with a secret. */
export function authOf(hmacSecretKey: string, endsAtExpiry = true): PortAuth {
  const verifier = new JwtVerifier({ hmacSecretKey })
  return { verifier, endsAtExpiry, prepare: async () => {} }
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
