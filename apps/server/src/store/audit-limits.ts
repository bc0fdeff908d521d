/** Bounds of the log. */
export interface AuditLimits {
  /** Events kept; the oldest go first. Default 100 000: some 15 MB. */
  readonly maxRecords?: number
  /** Events that wait to be kept; one more is counted and not kept. Default 10 000. */
  readonly maxWaiting?: number
}

/** Defaults of the bounds. */
export const AUDIT_LIMITS: Readonly<Required<AuditLimits>> = Object.freeze({
  maxRecords: 100_000,
  // A second of a storm of agents that come back; written in one go, they cost a second.
  maxWaiting: 10_000,
})
