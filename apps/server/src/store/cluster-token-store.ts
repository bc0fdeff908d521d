import type { SharedTables } from './shared-tables.ts'
import type { Postgres, Query } from './postgres.ts'
import { scopeColumns, type SqliteTokenStore, tokenOf } from './sqlite-token-store.ts'
import {
  MAX_TOKENS,
  rescoped,
  revoked,
  type TokenChange,
  type TokenOutcome,
  type TokenRecord,
  type TokenRefusal,
  type TokenStore,
} from './token-store.ts'

/** Shortest time between two looks for a token that is not known, ms: requests without a valid token can cause them. */
const REFRESH_MS = 200

/** What the tokens of a cluster are made of. */
export interface ClusterTokenStoreOptions {
  /** Database of the cluster. */
  readonly postgres: Postgres
  /** Makes the changes, alone with the table. */
  readonly shared: SharedTables
  /** The copy in the file of this server. */
  readonly copy: SqliteTokenStore
  /** For how long the copy is good enough for new sessions, ms. */
  readonly staleAfterMs: number
  /** Most tokens stored. Default MAX_TOKENS. */
  readonly maxTokens?: number
}

/** Tokens of a cluster: made and revoked in its database, read from the copy of this server. */
export class ClusterTokenStore implements TokenStore {
  readonly #options: ClusterTokenStoreOptions
  /** Uses that the database does not have yet, by token: as many as there are tokens at most. */
  readonly #uses = new Map<string, number>()
  #refreshing: Promise<boolean> | undefined
  #refreshedAt = -Infinity
  /** Without a look at the database it is not known that there are no tokens. */
  #isUnknown: boolean

  constructor(options: ClusterTokenStoreOptions) {
    this.#options = options
    this.#isUnknown = options.shared.unreadMs === Infinity
  }

  /** The database was read: whether there are tokens is known. */
  noteRead(): void {
    this.#isUnknown = false
  }

  /** @inheritdoc */
  get hasEverHeldTokens(): boolean {
    // It stays so until the next start: ports may be open for all because agents need tokens.
    return this.#isUnknown || this.#options.copy.hasEverHeldTokens
  }

  /** @inheritdoc */
  get isStale(): boolean {
    const { shared, staleAfterMs } = this.#options
    return shared.unreadMs > staleAfterMs
  }

  /** @inheritdoc */
  find(id: string): TokenRecord | undefined {
    return this.#options.copy.find(id)
  }

  /** @inheritdoc */
  list(): readonly TokenRecord[] {
    return this.#options.copy.list()
  }

  /** @inheritdoc */
  async create(
    token: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>,
  ): Promise<TokenRefusal | undefined> {
    const { shared, maxTokens = MAX_TOKENS } = this.#options
    return await shared.change<TokenRefusal | undefined>('tokens', async (query) => {
      const same = await query('SELECT 1 FROM adit_tokens WHERE id = $1', token.id)
      if (same.length > 0) return { result: 'id-taken', change: undefined }
      const [all] = await query('SELECT count(*) AS n FROM adit_tokens')
      if (Number(all?.['n']) >= maxTokens) return { result: 'limit-reached', change: undefined }
      const [row] = await query(
        `INSERT INTO adit_tokens
           (id, hash, identity, name, tenant, rights, endpoints, created_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *`,
        token.id,
        token.hash,
        token.identity,
        token.name,
        token.tenant,
        JSON.stringify(token.rights),
        JSON.stringify(token.endpoints),
        token.createdAt,
        token.expiresAt ?? null,
      )
      return { result: undefined, change: { tenant: '', key: token.id, row } }
    })
  }

  /** @inheritdoc */
  async rescope(id: string, change: TokenChange): Promise<TokenOutcome> {
    return await this.#options.shared.change<TokenOutcome>('tokens', async (query) => {
      const result = rescoped(await find(query, id), change)
      if (!result.ok) return { result, change: undefined }
      const sql =
        'UPDATE adit_tokens SET name = $2, rights = $3, endpoints = $4 WHERE id = $1 RETURNING *'
      const [row] = await query(sql, id, ...scopeColumns(result.token))
      return { result, change: { tenant: '', key: id, row } }
    })
  }

  /** @inheritdoc */
  async revoke(
    id: string,
    at: number,
    isAsSeen?: (token: TokenRecord) => boolean,
  ): Promise<TokenOutcome> {
    return await this.#options.shared.change<TokenOutcome>('tokens', async (query) => {
      const result = revoked(await find(query, id), at, isAsSeen)
      if (!result.ok) return { result, change: undefined }
      const sql = 'UPDATE adit_tokens SET revoked_at = $2 WHERE id = $1 RETURNING *'
      const [row] = await query(sql, id, at)
      return { result, change: { tenant: '', key: id, row } }
    })
  }

  /** @inheritdoc */
  async refresh(): Promise<boolean> {
    const { shared } = this.#options
    if (performance.now() - this.#refreshedAt < REFRESH_MS) return !shared.isAway
    // One look for all that ask meanwhile.
    this.#refreshing ??= shared
      .look()
      .then(() => true)
      .catch(() => false)
      .finally(() => {
        this.#refreshedAt = performance.now()
        this.#refreshing = undefined
      })
    return await this.#refreshing
  }

  /** @inheritdoc */
  noteUse(id: string, at: number): void {
    this.#options.copy.noteUse(id, at)
  }

  /** @inheritdoc */
  onChange(listener: () => void): () => void {
    return this.#options.copy.onChange(listener)
  }

  /** Writes the noted uses to the copy of this server. */
  flushNow(): void {
    for (const [id, at] of this.#options.copy.flush()) this.#uses.set(id, at)
  }

  /** Writes the noted uses to the database. @throws {StoreError} when it is away; they go on waiting. */
  async flush(): Promise<void> {
    this.flushNow()
    if (this.#uses.size === 0) return
    const uses = new Map(this.#uses)
    await this.#options.postgres.query(
      `UPDATE adit_tokens t SET last_use_at = u.at
         FROM unnest($1::text[], $2::bigint[]) AS u (id, at)
         WHERE t.id = u.id AND coalesce(t.last_use_at, 0) < u.at`,
      [...uses.keys()],
      [...uses.values()],
    )
    for (const [id, at] of uses) if (this.#uses.get(id) === at) this.#uses.delete(id)
  }
}

async function find(query: Query, id: string): Promise<TokenRecord | undefined> {
  const [row] = await query('SELECT * FROM adit_tokens WHERE id = $1', id)
  return row && tokenOf(row)
}
