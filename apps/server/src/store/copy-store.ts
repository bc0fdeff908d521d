/** Copies between the file of one server and the database of a cluster: everything that must not be lost. */
import { type Part, PART_TABLES } from './cluster-mirror.ts'
import { Database, type SqlRow } from './database.ts'
import { MIGRATIONS } from './migrations.ts'
import type { Postgres, Query } from './postgres.ts'
import { drawWriter } from './sqlite-audit-log.ts'
import { StoreError } from './store-error.ts'

/** How many rows of each kind were copied. */
export interface CopiedRows extends Readonly<Record<Part, number>> {
  readonly events: number
}

/** Rows written with one statement. */
const BATCH = 1_000

/** Types of the columns that are not texts. */
const NUMBERS: ReadonlySet<string> = new Set(
  'created_at expires_at revoked_at last_use_at port reserved_at asked_at checked_at proved_at lost_at writer number at count'.split(
    ' ',
  ),
)

/**
 * Copies the tokens, names, domains and events of a file to the database of a cluster, all or nothing.
 *
 * @throws {StoreError} STORE_NOT_EMPTY when the database has any of these.
 */
export async function copyToDatabase(source: Database, postgres: Postgres): Promise<CopiedRows> {
  const tokens = source.all('SELECT * FROM tokens')
  // A port belongs to one name: the one that has had it for longest.
  const ports = new Set<number>()
  const names = source.all('SELECT * FROM reservations ORDER BY reserved_at').map((row) => {
    const port = row['port'] as number | null
    if (port === null || !ports.has(port)) {
      if (port !== null) ports.add(port)
      return row
    }
    return { ...row, port: null }
  })
  const domains = source.all('SELECT * FROM domains')
  const rows: Readonly<Record<Part, readonly SqlRow[]>> = { tokens, names, domains }
  const parts = Object.keys(rows) as Part[]
  const writer = drawWriter()
  const events = source
    .all('SELECT seq AS number, at, event, fields FROM audit ORDER BY seq')
    .map((row) => ({ writer, ...row }))
  const deleted = source.all(
    `SELECT substr(name, 15) AS event, value AS count FROM facts WHERE name LIKE 'audit.deleted:%'`,
  )
  await postgres.transaction(async (query) => {
    // Other servers wait until this is done.
    await query('SELECT 1 FROM adit_revisions FOR UPDATE')
    for (const table of [...parts.map((part) => PART_TABLES[part].remote), 'adit_audit']) {
      const [row] = await query(`SELECT 1 FROM ${table} LIMIT 1`)
      if (row !== undefined) {
        throw new StoreError('STORE_NOT_EMPTY', `${postgres.name} has rows in ${table}`)
      }
    }
    for (const part of parts) {
      const { remote, columns } = PART_TABLES[part]
      await insert(query, remote, columns, rows[part])
    }
    await insert(query, 'adit_audit', ['writer', 'number', 'at', 'event', 'fields'], events)
    await insert(query, 'adit_audit_deleted', ['event', 'count'], deleted)
    // A change without a key: each server reads everything.
    await query(`WITH next AS (
        UPDATE adit_revisions
          SET revision = revision + 1, stamp = floor(random() * 9007199254740991)::bigint
          RETURNING part, revision, stamp
      ) INSERT INTO adit_changes (part, revision, stamp) SELECT part, revision, stamp FROM next`)
  })
  return {
    tokens: tokens.length,
    names: names.length,
    domains: domains.length,
    events: events.length,
  }
}

/** Writes everything that the database of a cluster has to a file that is empty, in the form of one server. */
export async function copyToFile(postgres: Postgres, file: string): Promise<void> {
  const target = Database.open(file, { migrations: MIGRATIONS })
  try {
    const tables = await postgres.snapshot(async (query) => {
      const read = async (
        table: string,
        columns: readonly string[],
        order = '',
      ): Promise<Table> => ({
        columns,
        rows: await query(`SELECT ${columns.join(', ')} FROM ${table} ${order}`),
      })
      const parts: Record<string, Table> = {}
      for (const { remote, local, columns } of Object.values(PART_TABLES)) {
        parts[local] = await read(remote, columns)
      }
      return {
        ...parts,
        audit: await read('adit_audit', ['at', 'event', 'fields'], 'ORDER BY seq'),
        facts: {
          columns: ['name', 'value'],
          rows: [
            ...(await query(
              `SELECT 'audit.deleted:' || event AS name, count AS value FROM adit_audit_deleted`,
            )),
            // Above 0 where there has been a token.
            ...(await query(`SELECT 'tokens_revision' AS name, revision AS value FROM adit_revisions
              WHERE part = 'tokens' AND revision > 0`)),
          ],
        },
      }
    })
    target.transaction(() => {
      for (const [table, { columns, rows }] of Object.entries(tables)) {
        const marks = columns.map(() => '?').join(', ')
        const sql = `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${marks})`
        for (const row of rows) target.run(sql, ...columns.map((name) => row[name] ?? null))
      }
    })
  } finally {
    target.close()
  }
}

interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly SqlRow[]
}

async function insert(
  query: Query,
  table: string,
  columns: readonly string[],
  rows: readonly SqlRow[],
): Promise<void> {
  const arrays = columns.map(
    (name, index) => `$${index + 1}::${NUMBERS.has(name) ? 'bigint' : 'text'}[]`,
  )
  const sql = `INSERT INTO ${table} (${columns.join(', ')})
    SELECT ${columns.map((name) => `r.${name}`).join(', ')}
      FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS r (${columns.join(', ')}, place) ORDER BY r.place`
  for (let at = 0; at < rows.length; at += BATCH) {
    const some = rows.slice(at, at + BATCH)
    await query(sql, ...columns.map((name) => some.map((row) => row[name] ?? null)))
  }
}
