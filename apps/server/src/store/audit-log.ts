import type { Logger } from '@proj/tunnel'

/**
 * What the audit log tells of: whose a name or a port became and ceased to be, who was refused one, what was
 * reserved, which tokens came and went, who knocked with the wrong one.
 */
export const AUDIT_EVENTS = [
  'name.taken',
  'name.lost',
  'name.refused',
  'name.reserved',
  'name.released',
  'port.taken',
  'port.lost',
  'token.created',
  'token.revoked',
  'auth.failed',
  'audit.dropped',
] as const

/** One of {@link AUDIT_EVENTS}. */
export type AuditEvent = (typeof AUDIT_EVENTS)[number]

/** Details of an event; no secrets, and texts are shortened to what a person reads. */
export type AuditFields = Readonly<Record<string, string | number | undefined>>

/** One event. */
export interface AuditRecord {
  /** When, ms since the epoch. */
  readonly at: number
  /** What happened. */
  readonly event: string
  /** Who, which name, from where. */
  readonly fields: Readonly<Record<string, string | number>>
}

/**
 * What happened, for whoever has to answer for it later. Writing never fails and never waits, because
 * no session may hang on it: an event is kept with the next `flush`.
 */
export interface AuditLog {
  /** Notes an event. */
  write(event: AuditEvent, fields: AuditFields): void
  /** Keeps what was noted. */
  flush(): void
  /**
   * Events that are kept, oldest first.
   *
   * @param options.since - ms since the epoch; earlier ones are left out.
   * @param options.limit - only the newest so many.
   */
  read(options?: { readonly since?: number; readonly limit?: number }): readonly AuditRecord[]
}

/** Bounds of the log. */
export interface AuditLimits {
  /**
   * Events kept of each of two kinds, refusals and all others; the oldest go first. Strangers make as
   * many refusals as they like, and must not be able to push the rest out. Default 50 000: together
   * some 15 MB.
   */
  readonly maxRecords?: number
  /** Events that wait to be kept; one more is counted and not kept. Default 10 000. */
  readonly maxWaiting?: number
}

/** Defaults of the bounds. */
export const AUDIT_LIMITS: Readonly<Required<AuditLimits>> = Object.freeze({
  maxRecords: 50_000,
  // A second of a storm of agents that come back; in one commit they take less than 0.1 s.
  maxWaiting: 10_000,
})

/** Events that anybody can cause, without any right: kept apart from the others. */
export const REFUSAL_EVENTS: ReadonlySet<string> = new Set<AuditEvent>([
  'name.refused',
  'auth.failed',
  'audit.dropped',
])

/** Texts of an event are cut to this many characters: some come from strangers. */
const MAX_TEXT = 200

/** The record of an event that happens now. */
export function auditRecord(event: AuditEvent, fields: AuditFields): AuditRecord {
  const known = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined
      ? []
      : [[name, typeof value === 'string' ? value.slice(0, MAX_TEXT) : value] as const],
  )
  return { at: Date.now(), event, fields: Object.fromEntries(known) }
}

/** The audit log of one process, for servers that are part of a program and for tests. */
export class MemoryAuditLog implements AuditLog {
  readonly #maxRecords: number
  readonly #records: AuditRecord[] = []
  readonly #counts = { refusals: 0, others: 0 }

  constructor({ maxRecords = AUDIT_LIMITS.maxRecords }: AuditLimits = {}) {
    this.#maxRecords = maxRecords
  }

  /** @inheritdoc */
  write(event: AuditEvent, fields: AuditFields): void {
    this.#records.push(auditRecord(event, fields))
    const isRefusal = REFUSAL_EVENTS.has(event)
    const kind = isRefusal ? 'refusals' : 'others'
    if (this.#counts[kind] < this.#maxRecords) {
      this.#counts[kind] += 1
      return
    }
    const oldest = this.#records.findIndex((one) => REFUSAL_EVENTS.has(one.event) === isRefusal)
    this.#records.splice(oldest, 1)
  }

  /** @inheritdoc */
  flush(): void {} // there is nowhere else to keep it

  /** @inheritdoc */
  read({
    since = 0,
    limit = Infinity,
  }: Parameters<AuditLog['read']>[0] = {}): readonly AuditRecord[] {
    const found = this.#records.filter(({ at }) => at >= since)
    return found.slice(Math.max(0, found.length - limit))
  }
}

/** An audit log whose events are log lines as well, for whoever collects those. */
export class MirroredAuditLog implements AuditLog {
  readonly #log: AuditLog
  readonly #logger: Logger

  constructor(log: AuditLog, logger: Logger) {
    this.#log = log
    this.#logger = logger
  }

  /** @inheritdoc */
  write(event: AuditEvent, fields: AuditFields): void {
    this.#logger.info({ event, ...fields }, 'audit')
    this.#log.write(event, fields)
  }

  /** @inheritdoc */
  flush(): void {
    this.#log.flush()
  }

  /** @inheritdoc */
  read(options?: Parameters<AuditLog['read']>[0]): readonly AuditRecord[] {
    return this.#log.read(options)
  }
}
