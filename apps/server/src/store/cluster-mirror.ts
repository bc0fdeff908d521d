import type { Database, SqlRow, SqlValue } from './database.ts'
import { countTokenChange } from './sqlite-token-store.ts'

/** What servers of a cluster share, each with one order of changes. */
export type Part = 'tokens' | 'names' | 'domains'

/** Where a table is in its order of changes. */
export interface Position {
  readonly revision: number
  /** Drawn for each revision, so that those of two databases, or of a restored one, differ. */
  readonly stamp: number
}

/** A row that changed, by its key; without `row` it was deleted. */
export interface RowChange {
  /** Empty for tokens and domains. */
  readonly tenant: string
  readonly key: string
  readonly row: SqlRow | undefined
}

/** A table in the database of the cluster and in the file of a server. */
interface PartTable {
  readonly remote: string
  readonly local: string
  readonly columns: readonly string[]
  /** Condition for a row of the local table; its parameters are tenant and key. */
  readonly isRow: string
  /** Condition for a row `r` of the remote table; tenant and key are `c.owner` and `c.changed`. */
  readonly isRemoteRow: string
  /** Names a row for a person; no two rows have the same name. */
  readonly nameOf: (row: SqlRow) => string
}

/** Table: where each part is. */
export const PART_TABLES: Readonly<Record<Part, PartTable>> = {
  tokens: {
    remote: 'adit_tokens',
    local: 'tokens',
    columns:
      'id hash identity name tenant rights endpoints created_at expires_at revoked_at last_use_at'.split(
        ' ',
      ),
    isRow: `'' = ?1 AND id = ?2`,
    isRemoteRow: 'r.id = c.changed',
    nameOf: (row) => String(row['id']),
  },
  names: {
    remote: 'adit_names',
    local: 'reservations',
    columns: ['tenant', 'endpoint', 'identity', 'kind', 'port', 'reserved_at'],
    isRow: 'tenant = ?1 AND endpoint = ?2',
    isRemoteRow: 'r.tenant = c.owner AND r.endpoint = c.changed',
    nameOf: (row) =>
      row['tenant'] === '' ? String(row['endpoint']) : `${row['tenant']}/${row['endpoint']}`,
  },
  domains: {
    remote: 'adit_domains',
    local: 'domains',
    columns:
      'value domain tenant endpoint identity asked_at checked_at proved_at lost_at challenge'.split(
        ' ',
      ),
    isRow: `'' = ?1 AND value = ?2`,
    isRemoteRow: 'r.value = c.changed',
    nameOf: (row) =>
      `${row['domain']} of ${row['tenant'] === '' ? '' : `${row['tenant']}/`}${row['identity']}`,
  },
}

/** The copy of the shared tables in a server's own file. The file may have another owner after an upgrade. */
export class ClusterMirror {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Whether another process writes to the file now. */
  get isHandedOver(): boolean {
    return this.#database.isHandedOver
  }

  /** Revision that the copy of a part has; undefined before it was read for the first time. */
  position(part: Part): Position | undefined {
    const revision = this.#fact(`cluster.${part}.revision`)
    const stamp = this.#fact(`cluster.${part}.stamp`)
    return revision === undefined || stamp === undefined ? undefined : { revision, stamp }
  }

  /** When the database was read last, ms since the epoch, to some seconds; undefined: never. */
  get readAt(): number | undefined {
    return this.#fact('cluster.read_at')
  }

  set readAt(at: number) {
    this.#setFact('cluster.read_at', at)
  }

  /** All rows of a part. */
  rows(part: Part): readonly SqlRow[] {
    return this.#database.all(`SELECT * FROM ${PART_TABLES[part].local}`)
  }

  /** Takes over changes, up to a position. */
  apply(part: Part, changes: readonly RowChange[], position: Position): void {
    this.#database.transaction(() => {
      for (const change of changes) this.#take(part, change)
      this.#move(part, position)
    })
  }

  /** Takes over every row of a part. */
  replace(part: Part, rows: readonly SqlRow[], position: Position): void {
    this.#database.transaction(() => {
      this.#database.run(`DELETE FROM ${PART_TABLES[part].local}`)
      for (const row of rows) this.#insert(part, row)
      this.#move(part, position, rows.length > 0)
    })
  }

  /**
   * Takes over a change of this server that could not be read back, because the database went away after it
   * had committed. The position stays, so the change is read again.
   */
  applyAhead(part: Part, change: RowChange, revision: number): void {
    if ((this.position(part)?.revision ?? -1) >= revision) return
    this.#database.transaction(() => {
      this.#take(part, change)
      if (part === 'tokens') countTokenChange(this.#database)
    })
  }

  #take(part: Part, { tenant, key, row }: RowChange): void {
    const { local, isRow } = PART_TABLES[part]
    this.#database.run(`DELETE FROM ${local} WHERE ${isRow}`, tenant, key)
    if (row !== undefined) this.#insert(part, row)
  }

  #insert(part: Part, row: SqlRow): void {
    const { local, columns } = PART_TABLES[part]
    const marks = columns.map(() => '?').join(', ')
    const sql = `INSERT INTO ${local} (${columns.join(', ')}) VALUES (${marks})`
    // The columns of the file that hold numbers make numbers of the texts of 64 bits.
    this.#database.run(sql, ...columns.map((name) => row[name] ?? null))
  }

  /** @param hasRows - whether tokens were read; without any, no token may ever have been made. */
  #move(part: Part, { revision, stamp }: Position, hasRows = true): void {
    this.#setFact(`cluster.${part}.revision`, revision)
    this.#setFact(`cluster.${part}.stamp`, stamp)
    // Never taken back: a server that had tokens goes on asking for them when the database is emptied.
    if (part === 'tokens' && (hasRows || revision > 0)) countTokenChange(this.#database)
  }

  #fact(name: string): number | undefined {
    const value = this.#database.one('SELECT value FROM facts WHERE name = ?', name)?.['value']
    return value === undefined ? undefined : Number(value)
  }

  #setFact(name: string, value: SqlValue): void {
    const sql = `INSERT INTO facts (name, value) VALUES (?1, ?2)
      ON CONFLICT (name) DO UPDATE SET value = ?2`
    this.#database.run(sql, name, value)
  }
}
