import { printable } from '@proj/config'
import { formatTable } from '@proj/program-kit'

import type { AuditRecord } from '../store/audit-log.ts'

/** An event as `--json` shows it. */
export function describeAudit({ at, event, fields }: AuditRecord): Record<string, unknown> {
  return { time: new Date(at).toISOString(), event, ...fields }
}

/** Formats events for a person, one per line. */
export function formatAudit(records: readonly AuditRecord[]): string {
  if (records.length === 0) return 'no events\n'
  const rows = records.map(({ at, event, fields }) => {
    const details = Object.entries(fields)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${name}=${printable(String(value))}`)
    return [`${new Date(at).toISOString().slice(0, 19)}Z`, event, details.join(' ')]
  })
  return formatTable(rows)
}
