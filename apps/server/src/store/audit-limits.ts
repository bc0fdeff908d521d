import type { AuditEvent } from './audit-log.ts'

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
