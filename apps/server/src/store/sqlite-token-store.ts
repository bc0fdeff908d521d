import type { Right } from '@proj/auth'

import type { Database, SqlRow } from './database.ts'
import { isStoreError } from './store-error.ts'
import {
  MAX_TOKENS,
  rescoped,
  revoked,
  type TokenChange,
  type TokenOutcome,
  type TokenRecord,
  type TokenRefusal,
  type TokenScope,
  type TokenStore,
  USE_RESOLUTION_MS,
} from './token-store.ts'

/** How often changes by other processes are looked for, ms. A look takes microseconds. */
export const TOKEN_POLL_MS = 1_000

/** Counts the changes of tokens; above 0 it also says that there has been a token. */
const REVISION = 'tokens_revision'

/** Options of the tokens in a database. */
export interface SqliteTokenStoreOptions {
  /** Most tokens stored. Default MAX_TOKENS. */
  readonly maxTokens?: number
}

/** Tokens in a database that other processes may change, too. */
export class SqliteTokenStore implements TokenStore {
  readonly #database: Database
  readonly #maxTokens: number
  readonly #listeners = new Set<() => void>()
  /** Uses that are not written yet, by token. */
  readonly #uses = new Map<string, number>()
  /** The last use that was noted, so that a busy token costs one write a minute. */
  readonly #noted = new Map<string, number>()
  #revision: number
  readonly #timer: NodeJS.Timeout

  constructor(database: Database, { maxTokens = MAX_TOKENS }: SqliteTokenStoreOptions = {}) {
    this.#database = database
    this.#maxTokens = maxTokens
    this.#revision = this.#readRevision()
    this.#timer = setInterval(() => this.look(), TOKEN_POLL_MS)
    this.#timer.unref() // waiting for changes does not keep the process alive
  }

  /** @inheritdoc */
  get hasEverHeldTokens(): boolean {
    return this.#readRevision() > 0
  }

  /** @inheritdoc */
  find(id: string): TokenRecord | undefined {
    const row = this.#database.one('SELECT * FROM tokens WHERE id = ?', id)
    return row && tokenOf(row)
  }

  /** @inheritdoc */
  list(): readonly TokenRecord[] {
    return this.#database.all('SELECT * FROM tokens ORDER BY created_at, id').map(tokenOf)
  }

  /** @inheritdoc */
  async create(
    token: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>,
  ): Promise<TokenRefusal | undefined> {
    const refusal = this.#database.transaction(() => {
      if (this.find(token.id) !== undefined) return 'id-taken'
      const count = Number(this.#database.one('SELECT count(*) AS n FROM tokens')?.['n'])
      if (count >= this.#maxTokens) return 'limit-reached'
      this.#database.run(
        `INSERT INTO tokens (id, hash, identity, name, tenant, rights, endpoints, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
      countTokenChange(this.#database)
      return undefined
    })
    this.look()
    return refusal
  }

  /** @inheritdoc */
  async rescope(id: string, change: TokenChange): Promise<TokenOutcome> {
    const outcome = this.#database.transaction(() => {
      const found = rescoped(this.find(id), change)
      if (!found.ok) return found
      const sql = 'UPDATE tokens SET name = ?, rights = ?, endpoints = ? WHERE id = ?'
      this.#database.run(sql, ...scopeColumns(found.token), id)
      countTokenChange(this.#database)
      return found
    })
    this.look()
    return outcome
  }

  /** @inheritdoc */
  async revoke(
    id: string,
    at: number,
    isAsSeen?: (token: TokenRecord) => boolean,
  ): Promise<TokenOutcome> {
    const outcome = this.#database.transaction(() => {
      const found = revoked(this.find(id), at, isAsSeen)
      if (!found.ok) return found
      this.#database.run('UPDATE tokens SET revoked_at = ? WHERE id = ?', at, id)
      countTokenChange(this.#database)
      return found
    })
    this.look()
    return outcome
  }

  /** @inheritdoc */
  noteUse(id: string, at: number): void {
    if (at - (this.#noted.get(id) ?? 0) < USE_RESOLUTION_MS) return
    if (this.#noted.size >= this.#maxTokens && !this.#noted.has(id)) return
    this.#noted.set(id, at)
    this.#uses.set(id, at)
  }

  /** @inheritdoc */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Writes the uses noted since the last call. @returns them, by token. */
  flush(): ReadonlyMap<string, number> {
    const uses = new Map(this.#uses)
    if (uses.size === 0) return uses
    const sql = 'UPDATE tokens SET last_use_at = ?1 WHERE id = ?2 AND coalesce(last_use_at, 0) < ?1'
    this.#database.transaction(() => {
      for (const [id, at] of this.#uses) this.#database.run(sql, at, id)
    })
    this.#uses.clear()
    return uses
  }

  /** Stops looking for changes. */
  close(): void {
    clearInterval(this.#timer)
  }

  /** Looks for changes now, and tells the listeners of them. */
  look(): void {
    let revision: number
    try {
      revision = this.#readRevision()
    } catch (error) {
      if (!isStoreError(error)) throw error
      return // the next read of a token fails with it; the next look may succeed
    }
    if (revision === this.#revision) return
    this.#revision = revision
    for (const listener of this.#listeners) listener()
  }

  #readRevision(): number {
    return Number(
      this.#database.one('SELECT value FROM facts WHERE name = ?', REVISION)?.['value'] ?? 0,
    )
  }
}

/** Notes in the transaction of a change of tokens that there was one. */
export function countTokenChange(database: Database): void {
  database.run(
    `INSERT INTO facts (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1`,
    REVISION,
  )
}

/** Values of the columns `name`, `rights` and `endpoints`. */
export function scopeColumns({ name, rights, endpoints }: TokenScope): [string, string, string] {
  return [name, JSON.stringify(rights), JSON.stringify(endpoints)]
}

/** A row of the table `tokens`. */
export function tokenOf(row: SqlRow): TokenRecord {
  // PostgreSQL gives numbers of 64 bits as texts.
  const time = (name: string): number | undefined =>
    row[name] == null ? undefined : Number(row[name])
  const text = (name: string): string => String(row[name])
  return {
    id: text('id'),
    hash: text('hash'),
    identity: text('identity'),
    name: text('name'),
    tenant: text('tenant'),
    rights: JSON.parse(text('rights')) as Right[], // written by create, like the next
    endpoints: JSON.parse(text('endpoints')) as string[],
    createdAt: Number(row['created_at']),
    expiresAt: time('expires_at'),
    revokedAt: time('revoked_at'),
    lastUsedAt: time('last_use_at'),
  }
}
