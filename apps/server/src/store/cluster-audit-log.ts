import {
  AUDIT_LIMITS,
  type AuditEvent,
  type AuditFields,
  type AuditLimits,
  type AuditLog,
  type AuditRange,
  type AuditRecord,
} from './audit-log.ts'
import type { Postgres, Query } from './postgres.ts'
import type { SqliteAuditLog } from './sqlite-audit-log.ts'

/** Events written to the database at once. */
const BATCH = 1_000

/** Key of the lock under which one server deletes old events: "adiu". */
const TRIM_LOCK = 0x61646975

/** What the audit log of a cluster is made of. */
export interface ClusterAuditLogOptions {
  /** Database of the cluster. */
  readonly postgres: Postgres
  /** Where events wait, in the file of this server: within its limits, and also when the process ends. */
  readonly outbox: SqliteAuditLog
  /** Default: AUDIT_LIMITS. */
  readonly limits?: AuditLimits | undefined
}

/**
 * The audit log of a cluster. Events wait in the file of this server until the database has them. Each has the
 * number of its writer, so that one whose acknowledgement was lost is not stored twice.
 */
export class ClusterAuditLog implements AuditLog {
  readonly #postgres: Postgres
  readonly #outbox: SqliteAuditLog
  readonly #maxRecords: number
  /** Events of each kind that this server has stored since it deleted old ones. */
  readonly #untrimmed = new Map<string, number>()
  #flushing: Promise<void> | undefined

  constructor({ postgres, outbox, limits }: ClusterAuditLogOptions) {
    this.#postgres = postgres
    this.#outbox = outbox
    this.#maxRecords = limits?.maxRecords ?? AUDIT_LIMITS.maxRecords
  }

  /** @inheritdoc */
  write(event: AuditEvent, fields: AuditFields): void {
    this.#outbox.write(event, fields)
  }

  /** @inheritdoc */
  async flush(): Promise<void> {
    this.#outbox.flushNow()
    // What was just added is read by one that runs, or by the next one.
    while (this.#flushing !== undefined) await this.#flushing.catch(() => {})
    this.#flushing = this.#send().finally(() => (this.#flushing = undefined))
    await this.#flushing
  }

  /** Writes what waits in memory to the file of this server. */
  flushNow(): void {
    this.#outbox.flushNow()
  }

  /** @inheritdoc */
  async read(range: AuditRange = {}): Promise<readonly AuditRecord[]> {
    const { since = 0, before, event: kind, limit } = range
    const sql = `SELECT seq, at, event, fields FROM adit_audit
      WHERE at >= $1 AND ($2::bigint IS NULL OR seq < $2) AND ($3::text IS NULL OR event = $3)
      ORDER BY seq DESC LIMIT $4`
    const from = Math.floor(since)
    const rows = await this.#postgres.query(sql, from, before ?? null, kind ?? null, limit ?? null)
    return rows.toReversed().map(({ seq, at, event, fields }) => ({
      number: Number(seq),
      at: Number(at),
      event: String(event),
      fields: JSON.parse(String(fields)) as AuditRecord['fields'], // written by #send
    }))
  }

  /** @inheritdoc */
  async deleted(): Promise<Readonly<Record<string, number>>> {
    const rows = await this.#postgres.query('SELECT event, count FROM adit_audit_deleted')
    return Object.fromEntries(rows.map(({ event, count }) => [String(event), Number(count)]))
  }

  /** @inheritdoc */
  dropped(): Readonly<Record<string, number>> {
    // Those that were deleted for newer ones while they waited for the database were not stored either.
    const dropped = { ...this.#outbox.dropped() }
    for (const [event, count] of Object.entries(this.#outbox.deletedNow())) {
      dropped[event] = (dropped[event] ?? 0) + count
    }
    return dropped
  }

  async #send(): Promise<void> {
    for (;;) {
      const events = this.#outbox.oldest(BATCH)
      const last = events.at(-1)
      if (last === undefined) return
      await this.#postgres.transaction(async (query) => {
        // In the order of the array, because the sequence is drawn row by row.
        await query(
          `INSERT INTO adit_audit (writer, number, at, event, fields)
             SELECT $1, e.number, e.at, e.event, e.fields
               FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[])
                 WITH ORDINALITY AS e (number, at, event, fields, place)
               ORDER BY e.place
             ON CONFLICT (writer, number) DO NOTHING`,
          this.#outbox.writer,
          events.map(({ number }) => number),
          events.map(({ at }) => at),
          events.map(({ event }) => event),
          events.map(({ fields }) => fields),
        )
        await this.#trim(query, events)
      })
      this.#outbox.remove(last.number)
      if (events.length < BATCH) return
    }
  }

  /** Deletes the oldest events of a kind when a hundredth of its limit was added: it need not be exact. */
  async #trim(query: Query, events: readonly { readonly event: string }[]): Promise<void> {
    for (const { event } of events) {
      this.#untrimmed.set(event, (this.#untrimmed.get(event) ?? 0) + 1)
    }
    const due = [...this.#untrimmed].filter(([, count]) => count * 100 >= this.#maxRecords)
    if (due.length === 0) return
    const [lock] = await query('SELECT pg_try_advisory_xact_lock($1) AS held', TRIM_LOCK)
    if (String(lock?.['held']) !== 'true') return // another server does it
    for (const [event] of due) {
      await query(
        `WITH gone AS (
           DELETE FROM adit_audit WHERE event = $1 AND seq <=
             (SELECT seq FROM adit_audit WHERE event = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)
             RETURNING 1
         )
         INSERT INTO adit_audit_deleted SELECT $1, count(*) FROM gone HAVING count(*) > 0
           ON CONFLICT (event) DO UPDATE SET count = adit_audit_deleted.count + excluded.count`,
        event,
        this.#maxRecords,
      )
      this.#untrimmed.delete(event)
    }
  }
}
