import { randomInt } from 'node:crypto'

import {
  AUDIT_LIMITS,
  type AuditEvent,
  type AuditFields,
  type AuditLimits,
  type AuditLog,
  type AuditRange,
  type AuditRecord,
  auditRecord,
} from './audit-log.ts'
import type { Database } from './database.ts'

/** Begins the names of the counters of deleted events. */
const DELETED = 'audit.deleted:'

/** Number of this file in the audit log of a cluster. */
const WRITER = 'audit.writer'

/** Largest number of a writer: what a number of JavaScript holds exactly. */
const MAX_WRITER = 2 ** 48 - 1

/** An event that waits to be taken to another log. */
export interface WaitingEvent {
  /** Rises with each event, and is never given again. */
  readonly number: number
  readonly at: number
  readonly event: string
  /** As JSON. */
  readonly fields: string
}

/** The audit log in a database. */
export class SqliteAuditLog implements AuditLog {
  readonly #database: Database
  readonly #limits: Required<AuditLimits>
  readonly #queue: AuditQueue
  readonly #startedWithEvents: boolean
  #writer: number | undefined

  constructor(database: Database, limits: AuditLimits = {}) {
    this.#database = database
    this.#limits = { ...AUDIT_LIMITS, ...limits }
    this.#queue = new AuditQueue(this.#limits.maxWaiting)
    this.#startedWithEvents = this.oldest(1).length > 0
  }

  /** @inheritdoc */
  write(event: AuditEvent, fields: AuditFields): void {
    this.#queue.add(event, fields)
  }

  /** @inheritdoc */
  async read(range: AuditRange = {}): Promise<readonly AuditRecord[]> {
    const { since = 0, before, event: kind, limit = Infinity } = range
    const sql = `SELECT seq, at, event, fields FROM audit
      WHERE at >= ?1 AND (?2 IS NULL OR seq < ?2) AND (?3 IS NULL OR event = ?3)
      ORDER BY seq DESC LIMIT ?4`
    // To SQLite a negative limit is none.
    const most = limit === Infinity ? -1 : limit
    const rows = this.#database.all(sql, since, before ?? null, kind ?? null, most)
    return rows.toReversed().map(({ seq, at, event, fields }) => ({
      number: Number(seq),
      at: Number(at),
      event: String(event),
      fields: JSON.parse(String(fields)) as AuditRecord['fields'], // written by flush
    }))
  }

  /** @inheritdoc */
  async flush(): Promise<void> {
    this.flushNow()
  }

  /** Does what `flush` does before it returns: a process that ends waits for nothing. */
  flushNow(): void {
    if (this.#queue.isEmpty) return
    this.#queue.take((records) => this.#database.transaction(() => this.#keep(records)))
  }

  /** @inheritdoc */
  async deleted(): Promise<Readonly<Record<string, number>>> {
    return this.deletedNow()
  }

  /** What `deleted` resolves to. */
  deletedNow(): Readonly<Record<string, number>> {
    const rows = this.#database.all(
      'SELECT name, value FROM facts WHERE name LIKE ?',
      `${DELETED}%`,
    )
    return Object.fromEntries(
      rows.map(({ name, value }) => [String(name).slice(DELETED.length), Number(value)]),
    )
  }

  /** @inheritdoc */
  dropped(): Readonly<Record<string, number>> {
    return this.#queue.dropped
  }

  /** Number of this log among those that write to one of a cluster. A new one when nothing waits here at first. */
  get writer(): number {
    this.#writer ??= this.#drawWriter()
    return this.#writer
  }

  /** The events that were stored first. */
  oldest(limit: number): readonly WaitingEvent[] {
    const sql = 'SELECT seq, at, event, fields FROM audit ORDER BY seq LIMIT ?'
    return this.#database.all(sql, limit).map(({ seq, at, event, fields }) => ({
      number: Number(seq),
      at: Number(at),
      event: String(event),
      fields: String(fields),
    }))
  }

  /** Removes the events up to a number: another log has them. */
  remove(upTo: number): void {
    this.#database.run('DELETE FROM audit WHERE seq <= ?', upTo)
  }

  #drawWriter(): number {
    const [known] = this.#database.all('SELECT value FROM facts WHERE name = ?', WRITER)
    // A copy of this file may be another server's: only events that wait have to keep their numbers.
    if (known !== undefined && this.#startedWithEvents) return Number(known['value'])
    const drawn = drawWriter()
    this.#database.run(
      'INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2',
      WRITER,
      drawn,
    )
    return drawn
  }

  #keep(records: readonly WaitingRecord[]): void {
    for (const { at, event, fields } of records) {
      const sql = 'INSERT INTO audit (at, event, fields) VALUES (?, ?, ?)'
      this.#database.run(sql, at, event, JSON.stringify(fields))
    }
    for (const event of new Set(records.map((record) => record.event))) {
      const count = this.#database.run(
        `DELETE FROM audit WHERE event = ?1 AND seq <=
           (SELECT seq FROM audit WHERE event = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)`,
        event,
        this.#limits.maxRecords,
      )
      if (count === 0) continue
      this.#database.run(
        `INSERT INTO facts (name, value) VALUES (?1, ?2)
           ON CONFLICT (name) DO UPDATE SET value = value + ?2`,
        DELETED + event,
        count,
      )
    }
  }
}

/** A number for a writer to the audit log of a cluster that no other has. */
export function drawWriter(): number {
  return randomInt(MAX_WRITER)
}

/** An event that has no number yet. */
type WaitingRecord = Omit<AuditRecord, 'number'>

/** Events that wait to be stored. Those of one kind beyond its limit are counted, and the count becomes an event. */
export class AuditQueue {
  readonly #maxWaiting: number
  #waiting: WaitingRecord[] = []
  /** Of `#waiting`, by kind. */
  readonly #counts = new Map<string, number>()
  /** Left out since the last time that they were taken, by kind. */
  readonly #newlyDropped = new Map<string, number>()
  readonly #dropped: Record<string, number> = {}

  /** @param maxWaiting - events of each kind. */
  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** Whether there is anything to take. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** How many events of each kind were left out since the start. */
  get dropped(): Readonly<Record<string, number>> {
    return this.#dropped
  }

  /** Adds an event that happens now. */
  add(event: AuditEvent, fields: AuditFields): void {
    const count = this.#counts.get(event) ?? 0
    if (count < this.#maxWaiting) {
      this.#counts.set(event, count + 1)
      this.#waiting.push(auditRecord(event, fields))
      return
    }
    this.#newlyDropped.set(event, (this.#newlyDropped.get(event) ?? 0) + 1)
    this.#dropped[event] = (this.#dropped[event] ?? 0) + 1
  }

  /**
   * Hands over the waiting events; they are removed when `keep` returns, and go on waiting when it throws.
   *
   * @param keep - must store all of them or none.
   */
  take(keep: (records: readonly WaitingRecord[]) => void): void {
    const dropped = [...this.#newlyDropped].map(([kind, count]) =>
      auditRecord('audit.dropped', { kind, count }),
    )
    keep([...this.#waiting, ...dropped])
    this.#waiting = []
    this.#counts.clear()
    this.#newlyDropped.clear()
  }
}
