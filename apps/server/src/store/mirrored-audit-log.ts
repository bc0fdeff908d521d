import type { Logger } from '@proj/tunnel'

import type { AuditEvent, AuditFields, AuditLog, AuditRecord } from './audit-log.ts'

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
