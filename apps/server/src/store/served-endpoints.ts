import { type Endpoint, endpointKey } from '@proj/tunnel/server'

import type { Database } from './database.ts'

/** Which endpoints have agents, for the next process: also after a `kill -9`, of which the last second is missing. */
export interface ServedEndpoints {
  /** Those of the process before, as they were when this one opened the store. */
  readonly before: readonly Endpoint[]
  /** Whether an endpoint is to be in the list of the next process. It is written with the next flush. */
  set(endpoint: Endpoint, isServed: boolean): void
}

/** Most endpoints that are stored; of the others the next process does not know. */
const MAX_SERVED = 100_000

/** The list in a database. */
export class SqliteServedEndpoints implements ServedEndpoints {
  readonly before: readonly Endpoint[]
  readonly #database: Database
  /** Changes that wait: the last one of each endpoint. Its entries are those of `#stored` and of the registry. */
  readonly #changes = new Map<string, { readonly endpoint: Endpoint; readonly isServed: boolean }>()
  /** Rows that the table has. */
  readonly #stored: Set<string>

  constructor(database: Database) {
    this.#database = database
    this.before = database
      .all('SELECT tenant, endpoint FROM served')
      .map((row) => ({ tenant: String(row['tenant']), name: String(row['endpoint']) }))
    this.#stored = new Set(this.before.map(endpointKey))
  }

  /** @inheritdoc */
  set(endpoint: Endpoint, isServed: boolean): void {
    const key = endpointKey(endpoint)
    if (this.#stored.has(key) === isServed) this.#changes.delete(key)
    else this.#changes.set(key, { endpoint, isServed })
  }

  /**
   * Writes what waits.
   *
   * @throws {StoreError} when it cannot be written; it goes on waiting then.
   */
  flush(): void {
    if (this.#changes.size === 0) return
    const inserted: string[] = []
    this.#database.transaction(() => {
      for (const [key, { endpoint, isServed }] of this.#changes) {
        if (!isServed) {
          const sql = 'DELETE FROM served WHERE tenant = ? AND endpoint = ?'
          this.#database.run(sql, endpoint.tenant, endpoint.name)
        } else if (this.#stored.size + inserted.length < MAX_SERVED) {
          const sql = 'INSERT OR IGNORE INTO served (tenant, endpoint) VALUES (?, ?)'
          this.#database.run(sql, endpoint.tenant, endpoint.name)
          inserted.push(key)
        }
      }
    })
    for (const [key, { isServed }] of this.#changes) if (!isServed) this.#stored.delete(key)
    for (const key of inserted) this.#stored.add(key)
    this.#changes.clear()
  }
}
