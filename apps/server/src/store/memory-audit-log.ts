import { AUDIT_LIMITS, type AuditLimits, REFUSAL_EVENTS } from './audit-limits.ts'
import type { AuditEvent, AuditFields, AuditLog, AuditRecord } from './audit-log.ts'
import { auditRecord } from './audit-queue.ts'

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
