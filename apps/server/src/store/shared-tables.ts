/**
 * What the servers of a cluster share and must not lose: tokens, names and domains. The database decides; each server
 * has a copy to read from, follows the changes of the others, and works from its copy while the database is away.
 */
import type { Logger } from '@proj/tunnel'

import { type ClusterMirror, type Part, PART_TABLES, type RowChange } from './cluster-mirror.ts'
import type { SqlRow } from './database.ts'
import type { Postgres, Query } from './postgres.ts'
import { prepareTables } from './postgres-schema.ts'
import { isStoreError, StoreError } from './store-error.ts'

/** How often the database is looked at without a hint, ms. */
const LOOK_MS = 1_000

/** Shortest time between two hints of this server, and between two looks that hints cause, ms. */
const HINT_MS = 100

/** Changes of each part that stay in `adit_changes`; a server that missed more reads everything. */
const KEPT_CHANGES = 10_000

/** How often the time of the last look is written to the file, ms. */
const NOTE_LOOK_MS = 10_000

/** Rows that a log line about lost ones names. */
const NAMED_ROWS = 20

/** Clocks may be corrected by so much between two starts, ms. */
const CLOCK_STEP_MS = 60_000

const CHANNEL = 'adit_store'

const PARTS = Object.keys(PART_TABLES) as Part[]

/** What a change did. */
export interface Changed<T> {
  readonly result: T
  /** The row that is different now; undefined when nothing is. */
  readonly change: RowChange | undefined
}

/** Parts of the shared data. */
export interface SharedTablesParts {
  readonly postgres: Postgres
  readonly mirror: ClusterMirror
  readonly logger: Logger
  /** Called after changes of a part were taken over. */
  readonly onChange: (part: Part) => void
}

/** The shared tables: changes go to the database, reading is done from the mirror. */
export class SharedTables {
  readonly #parts: SharedTablesParts
  /** When the database was read last, by `performance.now`. */
  #readAt: number
  #notedAt = -Infinity
  #awaySince: number | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined
  #hint: NodeJS.Timeout | undefined
  #isFollowing = false
  #isPrepared = false

  constructor(parts: SharedTablesParts) {
    this.#parts = parts
    this.#readAt = performance.now() - sinceRead(parts.mirror)
  }

  /** How long ago the database was read, ms; `Infinity`: never. */
  get unreadMs(): number {
    return performance.now() - this.#readAt
  }

  /** Whether the last attempt to read the database failed. */
  get isAway(): boolean {
    return this.#awaySince !== undefined
  }

  /** Follows the changes of other servers from now on. */
  start(): void {
    this.#isFollowing = true
    this.#wait()
  }

  /** Stops following. */
  stop(): void {
    this.#isFollowing = false
    for (const timer of [this.#timer, this.#soon, this.#hint]) clearTimeout(timer)
  }

  /**
   * Takes over what has changed until now.
   *
   * @throws {StoreError} when the database cannot be read.
   */
  async look(): Promise<void> {
    if (this.#running === undefined) return await this.#begin()
    // One that runs may have read what was there before this call.
    this.#next ??= this.#running.catch(() => {}).then(async () => await this.#begin())
    await this.#next
  }

  /**
   * Changes one row of a part. When it resolves, the change is on the disk of the database.
   *
   * @param work - alone with the table of this part.
   * @throws {StoreError} when nothing was changed, or when the database went away while it committed.
   */
  async change<T>(part: Part, work: (query: Query) => Promise<Changed<T>>): Promise<T> {
    const { postgres, mirror } = this.#parts
    if (mirror.isHandedOver) {
      throw new StoreError('STORE_HANDED_OVER', 'the data directory belongs to the next process')
    }
    const { result, change, revision } = await postgres.transaction(async (query) => {
      const lock = 'SELECT revision FROM adit_revisions WHERE part = $1 FOR UPDATE'
      const [row] = await query(lock, part)
      const done = await work(query)
      const next = Number(row?.['revision'] ?? 0) + 1
      if (done.change !== undefined) await noteChange(query, part, next, done.change)
      return { ...done, revision: next }
    })
    if (change === undefined) return result
    try {
      await this.look()
    } catch (error) {
      if (!isStoreError(error)) throw error
      // It is in the database nevertheless.
      mirror.applyAhead(part, change, revision)
      this.#parts.onChange(part)
    }
    this.#sendHint()
    return result
  }

  async #begin(): Promise<void> {
    const look = this.#look()
    this.#running = look
    try {
      await look
    } finally {
      if (this.#running === look) this.#running = undefined
      this.#next = undefined
    }
  }

  async #look(): Promise<void> {
    const { postgres, mirror, logger } = this.#parts
    try {
      for (const { part, revision, stamp } of await this.#revisions()) {
        const known = mirror.position(part)
        if (known?.revision === revision && known.stamp === stamp) continue
        await this.#read(part)
      }
      this.#noteRead()
    } catch (error) {
      if (isStoreError(error, 'STORE_HANDED_OVER')) return // the next process follows
      if (this.#awaySince === undefined) {
        this.#awaySince = performance.now()
        logger.error(
          isStoreError(error)
            ? { code: error.code, why: error.message, hint: error.hint }
            : { err: error },
          'the database of the cluster cannot be read: tokens, names and domains are those of the last look',
        )
      }
      throw error
    }
    if (this.#awaySince !== undefined) {
      const awayMs = Math.round(performance.now() - this.#awaySince)
      this.#awaySince = undefined
      logger.info({ awayMs }, 'the database of the cluster is back')
    }
    if (this.#isFollowing) void postgres.listen(CHANNEL, () => this.#lookSoon())
  }

  /** Where the parts are; tokens first, since sessions may have to end. */
  async #revisions() {
    const { postgres } = this.#parts
    if (!this.#isPrepared) await prepareTables(postgres)
    this.#isPrepared = true
    const read = async () => await postgres.query('SELECT * FROM adit_revisions ORDER BY part DESC')
    const rows = await read().catch(async (error: unknown) => {
      if (!isStoreError(error, 'STORE_EMPTIED')) throw error
      await prepareTables(postgres)
      return await read()
    })
    const positions = rows.map((row) => ({
      part: row['part'] as Part,
      revision: Number(row['revision']),
      stamp: Number(row['stamp']),
    }))
    return positions.filter(({ part }) => PARTS.includes(part))
  }

  /** Takes over what has changed in a part, or all of it. */
  async #read(part: Part): Promise<void> {
    const { postgres, mirror, logger, onChange } = this.#parts
    const known = mirror.position(part)
    const { remote, columns } = PART_TABLES[part]
    const read = await postgres.snapshot(async (query) => {
      const sql = `SELECT revision, stamp, (SELECT min(revision) FROM adit_changes WHERE part = $1) AS oldest
        FROM adit_revisions WHERE part = $1`
      const [now] = await query(sql, part)
      const position = { revision: Number(now?.['revision']), stamp: Number(now?.['stamp']) }
      const isKept = known !== undefined && known.revision >= Number(now?.['oldest'])
      const follows = isKept && (await isSameHistory(query, part, known))
      const changes = follows ? await changesSince(query, part, known.revision) : undefined
      if (changes !== undefined) return { position, changes }
      const rows = await query(`SELECT ${columns.join(', ')} FROM ${remote}`)
      // What is not kept any more cannot be compared; a newer copy than the table shows an older table.
      const isOther =
        known !== undefined && !follows && (isKept || known.revision > position.revision)
      return { position, rows, isOther }
    })
    if (read.changes !== undefined) mirror.apply(part, read.changes, read.position)
    else {
      if (read.isOther) logLost(logger, part, mirror.rows(part), read.rows)
      mirror.replace(part, read.rows, read.position)
    }
    onChange(part)
  }

  #noteRead(): void {
    this.#readAt = performance.now()
    if (this.#readAt - this.#notedAt < NOTE_LOOK_MS) return
    this.#notedAt = this.#readAt
    this.#parts.mirror.readAt = Date.now()
  }

  #wait(): void {
    if (!this.#isFollowing) return
    const look = async (): Promise<void> => {
      await this.look().catch(() => {}) // logged
      this.#wait()
    }
    this.#timer = setTimeout(() => void look(), LOOK_MS)
    this.#timer.unref()
  }

  #lookSoon(): void {
    if (this.#soon !== undefined || !this.#isFollowing) return
    const look = async (): Promise<void> => {
      this.#soon = undefined
      await this.look().catch(() => {}) // logged
    }
    this.#soon = setTimeout(() => void look(), HINT_MS / 2)
    this.#soon.unref()
  }

  /** Tells the other servers to look. Outside of the transaction: a NOTIFY in it would lock the whole database. */
  #sendHint(): void {
    if (this.#hint !== undefined) return
    const send = async (): Promise<void> => {
      await this.#parts.postgres.query('SELECT pg_notify($1, $2)', CHANNEL, '').catch(() => {})
    }
    void send()
    const again = (): void => void (this.#hint = undefined)
    this.#hint = setTimeout(again, HINT_MS)
    this.#hint.unref()
  }
}

/** Ms since the file of a server says that the database was read; after a clock that was set back: `Infinity`. */
function sinceRead({ readAt }: ClusterMirror): number {
  if (readAt === undefined || readAt > Date.now() + CLOCK_STEP_MS) return Infinity
  return Math.max(0, Date.now() - readAt)
}

async function noteChange(
  query: Query,
  part: Part,
  revision: number,
  { tenant, key }: { readonly tenant: string | null; readonly key: string | null },
): Promise<void> {
  await query(
    `WITH next AS (
       UPDATE adit_revisions SET revision = $2, stamp = floor(random() * 9007199254740991)::bigint
         WHERE part = $1 RETURNING part, revision, stamp
     ), noted AS (
       INSERT INTO adit_changes SELECT part, revision, stamp, $3, $4 FROM next
     )
     DELETE FROM adit_changes WHERE part = $1 AND revision < $2 - $5::bigint`,
    part,
    revision,
    tenant,
    key,
    KEPT_CHANGES,
  )
}

/** Whether the table has been at a position: not after a backup was restored that is older. */
async function isSameHistory(
  query: Query,
  part: Part,
  { revision, stamp }: { readonly revision: number; readonly stamp: number },
): Promise<boolean> {
  const sql = 'SELECT 1 FROM adit_changes WHERE part = $1 AND revision = $2 AND stamp = $3'
  return (await query(sql, part, revision, stamp)).length > 0
}

/** @returns undefined when everything has changed. */
async function changesSince(
  query: Query,
  part: Part,
  revision: number,
): Promise<readonly RowChange[] | undefined> {
  const { remote, isRemoteRow } = PART_TABLES[part]
  const rows = await query(
    `SELECT c.owner, c.changed, r.* FROM (
       SELECT DISTINCT tenant AS owner, key AS changed FROM adit_changes WHERE part = $1 AND revision > $2
     ) c LEFT JOIN ${remote} r ON ${isRemoteRow}`,
    part,
    revision,
  )
  if (rows.some((row) => row['changed'] === null)) return undefined
  return rows.map((row) => ({
    tenant: String(row['owner']),
    key: String(row['changed']),
    row: row['identity'] === null ? undefined : row,
  }))
}

/** Logs what this server knows and the database does not. */
function logLost(
  logger: Logger,
  part: Part,
  before: readonly SqlRow[],
  now: readonly SqlRow[],
): void {
  const { nameOf } = PART_TABLES[part]
  const found = new Map(now.map((row) => [nameOf(row), row]))
  const lost = before.filter((row) => !found.has(nameOf(row)))
  // A token that is valid again is worse than one that is missing.
  const validAgain = before.filter((row) => {
    const same = found.get(nameOf(row))
    return part === 'tokens' && row['revoked_at'] !== null && same?.['revoked_at'] === null
  })
  const named = (rows: readonly SqlRow[]): string[] => rows.slice(0, NAMED_ROWS).map(nameOf)
  logger.error(
    {
      part,
      lost: lost.length,
      ...(lost.length > 0 && { lostNames: named(lost) }),
      ...(validAgain.length > 0 && { validAgain: named(validAgain) }),
      hint: 'create what is missing again, and revoke again the tokens in validAgain',
    },
    'the database of the cluster is another one than before, or an older backup: it is used as it is',
  )
}
