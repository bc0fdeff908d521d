import type { Right } from '@proj/auth'

/** Most tokens stored, revoked ones included, so that the table and its list stay small. */
export const MAX_TOKENS = 10_000

/** Shortest time between two recorded uses of one token, ms: a table of tokens is no request log. */
export const USE_RESOLUTION_MS = 60_000

/** A token as it is stored: no secret can be made from it. */
export interface TokenRecord {
  /** The part of the token that identifies it in logs and lists. */
  readonly id: string
  /** SHA-256 of the token, lower-case hex. */
  readonly hash: string
  /** Identity of the peers that use it, `token:<id>`; a token that replaces another has the other's. */
  readonly identity: string
  /** Name for people; may be empty. */
  readonly name: string
  /** Tenant it belongs to; empty on servers without tenants. */
  readonly tenant: string
  readonly rights: readonly Right[]
  /** Patterns of the endpoints it permits that for, `pc*`. */
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

/** Why a token was not stored. */
export type TokenRefusal = 'id-taken' | 'limit-reached'

/** What of a token can be changed; its identity and its end stay. */
export type TokenScope = Pick<TokenRecord, 'name' | 'rights' | 'endpoints'>

/** Makes the new scope of a token; undefined: it stays as it is. */
export type TokenChange = (token: TokenRecord) => TokenScope | undefined

/** Result of a change of a token. */
export type TokenOutcome =
  | { readonly ok: true; readonly token: TokenRecord }
  /** There is none of this id, it was revoked before, or it is not as the caller has seen it. */
  | { readonly ok: false; readonly code: 'unknown' | 'revoked' | 'not-as-seen' }

/** Tokens by their hashes. Reading is synchronous; when the promise of a write resolves, the change is on the disk. */
export interface TokenStore {
  /**
   * Whether there has ever been a token: from then on a server asks for one, also when all of them
   * are revoked.
   */
  readonly hasEverHeldTokens: boolean
  /**
   * Whether it is unknown what has become of the tokens: they are those of a cluster whose database was away
   * for longer than cluster.stale_after, and no new session may begin with them.
   */
  readonly isStale?: boolean
  /** The token of this id, also an expired or revoked one: the caller checks that. */
  find(id: string): TokenRecord | undefined
  /** Every token, oldest first. */
  list(): readonly TokenRecord[]
  /** Stores a token. @returns undefined when it is stored. */
  create(token: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>): Promise<TokenRefusal | undefined>
  /**
   * Changes what a token allows.
   *
   * @param change - makes the new scope of the token as it is right before the change, with nothing in between;
   *   undefined: it is not as the caller has seen it. What it throws is thrown, and nothing has changed.
   */
  rescope(id: string, change: TokenChange): Promise<TokenOutcome>
  /**
   * Revokes a token.
   *
   * @param isAsSeen - judges the token as it is right before the change, with nothing in between. Default: it may be
   *   any.
   * @returns the token as it is now.
   */
  revoke(id: string, at: number, isAsSeen?: (token: TokenRecord) => boolean): Promise<TokenOutcome>
  /**
   * Takes over what other servers of the cluster have made until now. Missing where there are no others.
   *
   * @returns whether it could: false while the database is away.
   */
  refresh?(): Promise<boolean>
  /** Records that a token was used. To the minute, and written a little later. */
  noteUse(id: string, at: number): void
  /**
   * Calls back after a token was made, changed or revoked, by this process or another; by another within
   * TOKEN_POLL_MS.
   *
   * @returns stops the calls.
   */
  onChange(listener: () => void): () => void
}

/** Tokens in memory, for servers without a data directory and for tests. */
export class MemoryTokenStore implements TokenStore {
  readonly #tokens = new Map<string, TokenRecord>()
  readonly #listeners = new Set<() => void>()
  readonly #maxTokens: number

  /** @param options.maxTokens - default MAX_TOKENS. */
  constructor({ maxTokens = MAX_TOKENS }: { readonly maxTokens?: number } = {}) {
    this.#maxTokens = maxTokens
  }

  /** @inheritdoc */
  get hasEverHeldTokens(): boolean {
    return this.#tokens.size > 0
  }

  /** @inheritdoc */
  find(id: string): TokenRecord | undefined {
    return this.#tokens.get(id)
  }

  /** @inheritdoc */
  list(): readonly TokenRecord[] {
    return [...this.#tokens.values()]
  }

  /** @inheritdoc */
  async create(
    token: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>,
  ): Promise<TokenRefusal | undefined> {
    if (this.#tokens.has(token.id)) return 'id-taken'
    if (this.#tokens.size >= this.#maxTokens) return 'limit-reached'
    this.#tokens.set(token.id, { ...token, revokedAt: undefined, lastUsedAt: undefined })
    this.#changed()
    return undefined
  }

  /** @inheritdoc */
  async rescope(id: string, change: TokenChange): Promise<TokenOutcome> {
    const outcome = rescoped(this.#tokens.get(id), change)
    if (!outcome.ok) return outcome
    this.#tokens.set(id, outcome.token)
    this.#changed()
    return outcome
  }

  /** @inheritdoc */
  async revoke(
    id: string,
    at: number,
    isAsSeen?: (token: TokenRecord) => boolean,
  ): Promise<TokenOutcome> {
    const outcome = revoked(this.#tokens.get(id), at, isAsSeen)
    if (!outcome.ok) return outcome
    this.#tokens.set(id, outcome.token)
    this.#changed()
    return outcome
  }

  /** @inheritdoc */
  noteUse(id: string, at: number): void {
    const token = this.#tokens.get(id)
    if (token === undefined || at - (token.lastUsedAt ?? -Infinity) < USE_RESOLUTION_MS) return
    this.#tokens.set(id, { ...token, lastUsedAt: at })
  }

  /** @inheritdoc */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** What becomes of a token whose scope is to be changed; every store stores just this. */
export function rescoped(token: TokenRecord | undefined, change: TokenChange): TokenOutcome {
  if (token === undefined) return { ok: false, code: 'unknown' }
  if (token.revokedAt !== undefined) return { ok: false, code: 'revoked' }
  const scope = change(token)
  if (scope === undefined) return { ok: false, code: 'not-as-seen' }
  const { name, rights, endpoints } = scope
  return { ok: true, token: { ...token, name, rights, endpoints } }
}

/** What becomes of a token that is to be revoked; every store stores just this. */
export function revoked(
  token: TokenRecord | undefined,
  at: number,
  isAsSeen: ((token: TokenRecord) => boolean) | undefined,
): TokenOutcome {
  if (token === undefined) return { ok: false, code: 'unknown' }
  if (isAsSeen?.(token) === false) return { ok: false, code: 'not-as-seen' }
  if (token.revokedAt !== undefined) return { ok: false, code: 'revoked' }
  return { ok: true, token: { ...token, revokedAt: at } }
}
