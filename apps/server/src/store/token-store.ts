import type { Right } from '@proj/auth'

/** A token as it is kept: nothing of it lets anybody in. */
export interface TokenRecord {
  /** The part of the token that names it; in logs and lists. */
  readonly id: string
  /** SHA-256 of the token, lower-case hex. */
  readonly hash: string
  /** Who its bearer is, `token:<id>`; a token that replaces another has the other's. */
  readonly identity: string
  /** What people call it; may be empty. */
  readonly name: string
  /** Tenant it belongs to; empty on servers without tenants. */
  readonly tenant: string
  /** What its bearer may do. */
  readonly rights: readonly Right[]
  /** Patterns of the endpoints it may be done with, `pc*`. */
  readonly endpoints: readonly string[]
  /** When it was made, ms since the epoch, like every time here. */
  readonly createdAt: number
  /** When it ends; undefined: never. */
  readonly expiresAt: number | undefined
  /** When it was revoked, if it was. */
  readonly revokedAt: number | undefined
  /** When it was last used, to the minute. */
  readonly lastUsedAt: number | undefined
}

/** Why a token was not kept. */
export type TokenRefusal = 'id-taken' | 'limit-reached'

/** Tokens by their hashes. Reading is immediate; what a write has resolved for is there to stay. */
export interface TokenStore {
  /**
   * Whether there has ever been a token: from then on a server asks for one, also when all of them
   * are revoked.
   */
  readonly hasEverHeldTokens: boolean
  /** The token of this id, whatever its state: whether it still opens anything is the reader's to say. */
  find(id: string): TokenRecord | undefined
  /** Every token, oldest first. */
  list(): readonly TokenRecord[]
  /** Keeps a token. @returns undefined when it is kept. */
  create(token: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>): Promise<TokenRefusal | undefined>
  /** Revokes a token. @returns false when there is none of this id, or it was revoked before. */
  revoke(id: string, at: number): Promise<boolean>
  /** Notes that a token was used. Kept to the minute, and a little later. */
  noteUse(id: string, at: number): void
  /**
   * Calls back after a token was made or revoked, by this process or another; by another within
   * TOKEN_POLL_MS.
   *
   * @returns what ends the calls.
   */
  onChange(listener: () => void): () => void
}
