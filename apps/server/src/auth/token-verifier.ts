import {
  abortAt,
  hashToken,
  AuthError,
  isAuthError,
  isSameSecret,
  parseToken,
  type Scope,
  describeScope,
  scopePermits,
} from '@proj/auth'

import type { TokenRecord, TokenStore } from '../store/token-store.ts'
import type { Principal } from './principal.ts'

/** Compared where no token has the id, so that this takes as long. */
const NO_HASH = Buffer.alloc(32)

/** A token that has open sessions. */
interface Live {
  readonly controller: AbortController
  /** What it allowed when its sessions began. */
  readonly scope: Pick<TokenRecord, 'rights' | 'endpoints'>
  /** Referred to here, because a signal without references never aborts. */
  readonly expiry: AbortSignal | undefined
}

/**
 * Verifies opaque tokens, and ends their sessions when they expire, are revoked or get another scope. The peer gets
 * the same answer for every wrong token: it must not learn which identifiers exist.
 */
export class TokenVerifier implements Disposable {
  readonly #tokens: TokenStore
  /** By id: as many as there are tokens at most. */
  readonly #live = new Map<string, Live>()
  readonly #stopListening: () => void

  constructor(tokens: TokenStore) {
    this.#tokens = tokens
    this.#stopListening = tokens.onChange(() => this.#endChanged())
  }

  /** Whether tokens are asked for: there is one, or there was. */
  get isOpen(): boolean {
    return this.#tokens.hasEverHeldTokens
  }

  /**
   * Authenticates the bearer of a token.
   *
   * @throws {AuthError} IDENTITY_TOKEN_INVALID for a token that is unknown, expired or revoked;
   *   IDENTITY_TOKENS_UNAVAILABLE when that is not known.
   */
  async judge(text: string): Promise<Principal> {
    try {
      return this.#judge(text)
    } catch (error) {
      if (!isAuthError(error, 'IDENTITY_TOKEN_INVALID') || this.#tokens.refresh === undefined) {
        throw error
      }
      // Another server may have made it a moment ago. For every wrong token, so that all take as long.
      if (await this.#tokens.refresh()) return this.#judge(text)
      throw new AuthError('IDENTITY_TOKENS_UNAVAILABLE', 'it is not among the last known ones')
    }
  }

  #judge(text: string): Principal {
    const now = Date.now()
    const id = parseToken(text)
    const found = id === undefined ? undefined : this.#tokens.find(id)
    const stored = found === undefined ? NO_HASH : Buffer.from(found.hash, 'hex')
    const isSame = isSameSecret(hashToken(text), stored)
    if (found === undefined || !isSame) {
      throw new AuthError('IDENTITY_TOKEN_INVALID', 'no token of this server')
    }
    const problem = endOf(found, now)
    if (problem !== undefined) {
      throw new AuthError('IDENTITY_TOKEN_INVALID', `${problem} (${found.id})`)
    }
    if (this.#tokens.isStale === true) {
      throw new AuthError('IDENTITY_TOKENS_UNAVAILABLE', 'they were read too long ago')
    }
    this.#tokens.noteUse(found.id, now)
    const scope: Scope = { may: new Set(found.rights), patterns: found.endpoints }
    return {
      identity: found.identity,
      tenant: found.tenant,
      ended: this.#liveOf(found).controller.signal,
      permits: (right, endpoint) => scopePermits(scope, right, endpoint),
      describe: (right) => describeScope(scope, right),
    }
  }

  [Symbol.dispose](): void {
    this.#stopListening()
    this.#live.clear()
  }

  #liveOf({ id, expiresAt, rights, endpoints }: TokenRecord): Live {
    const known = this.#live.get(id)
    if (known !== undefined) return known
    const controller = new AbortController()
    const expiry =
      expiresAt === undefined ? undefined : abortAt(expiresAt, new Error('expired token'))
    const live = { controller, expiry, scope: { rights, endpoints } }
    this.#live.set(id, live)
    expiry?.addEventListener('abort', () => this.#end(id, 'expired token'), { once: true })
    return live
  }

  #endChanged(): void {
    for (const [id, { scope }] of this.#live) {
      const found = this.#tokens.find(id)
      const problem = endOf(found, Date.now()) ?? changeOf(found, scope)
      if (problem !== undefined) this.#end(id, problem)
    }
  }

  #end(id: string, why: string): void {
    const live = this.#live.get(id)
    this.#live.delete(id)
    live?.controller.abort(new Error(why))
  }
}

/** Why a token is no longer valid, if it is not. */
function endOf(token: TokenRecord | undefined, now: number): string | undefined {
  if (token === undefined || token.revokedAt !== undefined) return 'revoked token'
  const { expiresAt } = token
  return expiresAt !== undefined && expiresAt <= now ? 'expired token' : undefined
}

/** A session keeps the rights it began with, so it ends when these are others now; its peer connects again. */
function changeOf(token: TokenRecord | undefined, scope: Live['scope']): string | undefined {
  const isSame = (one: readonly string[] = [], other: readonly string[]): boolean =>
    one.length === other.length && one.every((text, index) => text === other[index])
  const isUnchanged =
    isSame(token?.rights, scope.rights) && isSame(token?.endpoints, scope.endpoints)
  return isUnchanged ? undefined : 'token with another scope'
}
