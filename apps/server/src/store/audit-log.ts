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
