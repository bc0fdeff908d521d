import type { AuditEvent, AuditFields, AuditRecord } from './audit-log.ts'

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

/** Events that wait to be kept. One more than it holds is counted, and the count is an event, too. */
export class AuditQueue {
  readonly #maxWaiting: number
  #waiting: AuditRecord[] = []
  #dropped = 0

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** Whether there is anything to take. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Adds an event that happens now. */
  add(event: AuditEvent, fields: AuditFields): void {
    if (this.#waiting.length >= this.#maxWaiting) this.#dropped += 1
    else this.#waiting.push(auditRecord(event, fields))
  }

  /**
   * Hands over what waits; it is forgotten when `keep` returns, and waits on when it throws.
   *
   * @param keep - must keep all of it or nothing.
   */
  take(keep: (records: readonly AuditRecord[]) => void): void {
    const dropped = this.#dropped
    const count = dropped === 0 ? [] : [auditRecord('audit.dropped', { count: dropped })]
    keep([...this.#waiting, ...count])
    this.#waiting = []
    this.#dropped = 0
  }
}
