import type { Logger } from '@proj/tunnel'

/**
 * The events of the audit log: names and ports taken, lost and refused, reservations, domains, tokens created, changed and
 * revoked, agents drained and disconnected, sessions of the console, credentials that failed.
 */
export const AUDIT_EVENTS = [
  'name.taken',
  'name.lost',
  'name.refused',
  'name.reserved',
  'name.released',
  'port.taken',
  'port.lost',
  'domain.asked',
  'domain.proved',
  'domain.missing',
  'domain.lost',
  'domain.refused',
  'domain.removed',
  'token.created',
  'token.changed',
  'token.revoked',
  'agent.drained',
  'agent.disconnected',
  'session.opened',
  'session.closed',
  'auth.failed',
  'audit.dropped',
] as const

/** One of {@link AUDIT_EVENTS}. */
export type AuditEvent = (typeof AUDIT_EVENTS)[number]

/** Details of an event; no secrets, and texts are shortened to what a person reads. */
export type AuditFields = Readonly<Record<string, string | number | undefined>>

export interface AuditRecord {
  /** Its place in the log: it rises with each event, and a page of the log begins before one. */
  readonly number: number
  /** When, ms since the epoch. */
  readonly at: number
  readonly event: string
  /** Identity, name, address and the like. */
  readonly fields: Readonly<Record<string, string | number>>
}

/** Which events to read. */
export interface AuditRange {
  /** Ms since the epoch; earlier ones are left out. Default: none is. */
  readonly since?: number
  /** Only those with a smaller number. Default: all. */
  readonly before?: number | undefined
  /** Only those of this kind. Default: all. */
  readonly event?: string | undefined
  /** At most so many, the newest. Default: all. */
  readonly limit?: number
}

/**
 * The audit log. Writing never fails and never waits, because no session may depend on it: an event is
 * stored with the next `flush`.
 */
export interface AuditLog {
  /** Is told of each event that is written by this process. Default: nothing is told. */
  onWrite?: ((event: AuditEvent) => void) | undefined
  write(event: AuditEvent, fields: AuditFields): void
  /**
   * Resolves when the events that were added are stored.
   *
   * @throws {StoreError} when they cannot be; they go on waiting then.
   */
  flush(): Promise<void>
  /** Stored events, oldest first. */
  read(options?: AuditRange): Promise<readonly AuditRecord[]>
  /** How many events of each kind were deleted for newer ones; a kind without any is left out. */
  deleted(): Promise<Readonly<Record<string, number>>>
  /**
   * How many events of each kind were not stored since the start, because too many of that kind waited to
   * be; a kind without any is left out.
   */
  dropped(): Readonly<Record<string, number>>
}

/** Bounds of the log. */
export interface AuditLimits {
  /**
   * Events stored of each kind; the oldest are deleted first, and counted. A peer that causes events of one
   * kind without end must not displace the others. Default 20 000: about 3 MB each.
   */
  readonly maxRecords?: number
  /** Events of each kind that wait to be stored; further ones are counted and dropped. Default 10 000. */
  readonly maxWaiting?: number
}

/** Defaults of the bounds. */
export const AUDIT_LIMITS: Readonly<Required<AuditLimits>> = Object.freeze({
  maxRecords: 20_000,
  // A second of a storm of agents that come back; in one commit they take less than 0.1 s.
  maxWaiting: 10_000,
})

/** Texts of an event are cut to this many characters: some come from unauthenticated peers. */
const MAX_TEXT = 200

/** The record of an event that happens now. */
export function auditRecord(event: AuditEvent, fields: AuditFields): Omit<AuditRecord, 'number'> {
  const known = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [[name, typeof value === 'string' ? value.slice(0, MAX_TEXT) : value] as const],
  )
  return { at: Date.now(), event, fields: Object.fromEntries(known) }
}

/** The newest events of one kind: a ring, so that a new one replaces the oldest in one step. */
interface KindRing {
  readonly records: AuditRecord[]
  /** Place of the oldest one, once the ring is full. */
  oldest: number
}

/** An audit log in memory, for servers without a data directory and for tests. */
export class MemoryAuditLog implements AuditLog {
  readonly #maxRecords: number
  readonly #kinds = new Map<AuditEvent, KindRing>()
  readonly #deleted: Record<string, number> = {}
  #written = 0

  constructor({ maxRecords = AUDIT_LIMITS.maxRecords }: AuditLimits = {}) {
    this.#maxRecords = maxRecords
  }

  /** @inheritdoc */
  write(event: AuditEvent, fields: AuditFields): void {
    let ring = this.#kinds.get(event)
    if (ring === undefined) this.#kinds.set(event, (ring = { records: [], oldest: 0 }))
    const numbered = { number: ++this.#written, ...auditRecord(event, fields) }
    if (ring.records.length < this.#maxRecords) {
      ring.records.push(numbered)
      return
    }
    ring.records[ring.oldest] = numbered
    ring.oldest = (ring.oldest + 1) % this.#maxRecords
    this.#deleted[event] = (this.#deleted[event] ?? 0) + 1
  }

  /** @inheritdoc */
  async flush(): Promise<void> {} // memory is all there is

  /** @inheritdoc */
  async read(range: AuditRange = {}): Promise<readonly AuditRecord[]> {
    const { since = 0, before = Infinity, event: kind, limit = Infinity } = range
    const found = [...this.#kinds]
      .flatMap(([event, { records }]) => (kind === undefined || event === kind ? records : []))
      .filter(({ at, number }) => at >= since && number < before)
      .toSorted((one, other) => one.number - other.number)
    return found.slice(Math.max(0, found.length - limit))
  }

  /** @inheritdoc */
  async deleted(): Promise<Readonly<Record<string, number>>> {
    return { ...this.#deleted }
  }

  /** @inheritdoc */
  dropped(): Readonly<Record<string, number>> {
    return {} // nothing waits
  }
}

/** An audit log whose events are log lines as well. */
export class MirroredAuditLog implements AuditLog {
  readonly #log: AuditLog
  readonly #logger: Logger
  onWrite: ((event: AuditEvent) => void) | undefined

  constructor(log: AuditLog, logger: Logger) {
    this.#log = log
    this.#logger = logger
  }

  /** @inheritdoc */
  write(event: AuditEvent, fields: AuditFields): void {
    this.#logger.info({ event, ...fields }, 'audit')
    this.#log.write(event, fields)
    this.onWrite?.(event)
  }

  /** @inheritdoc */
  async flush(): Promise<void> {
    await this.#log.flush()
  }

  /** @inheritdoc */
  async read(range?: AuditRange): Promise<readonly AuditRecord[]> {
    return await this.#log.read(range)
  }

  /** @inheritdoc */
  async deleted(): Promise<Readonly<Record<string, number>>> {
    return await this.#log.deleted()
  }

  /** @inheritdoc */
  dropped(): Readonly<Record<string, number>> {
    return this.#log.dropped()
  }
}
