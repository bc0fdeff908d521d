import { formatTable } from '@proj/console'

import type { AuditRecord } from './store/audit-log.ts'

/** What needs no quotes: everything else may hold what a terminal obeys. */
const PLAIN = /^[\w.:@/*+-]+$/

/** An event as `--json` shows it. */
export function describeAudit({ at, event, fields }: AuditRecord): Record<string, unknown> {
  return { time: new Date(at).toISOString(), event, ...fields }
}

/** Events for a person, one a line. */
export function formatAudit(records: readonly AuditRecord[]): string {
  if (records.length === 0) return 'nothing happened\n'
  const rows = records.map(({ at, event, fields }) => {
    const details = Object.entries(fields)
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${name}=${quoted(String(value))}`)
    return [`${new Date(at).toISOString().slice(0, 19)}Z`, event, details.join(' ')]
  })
  return formatTable(rows)
}

function quoted(value: string): string {
  if (PLAIN.test(value)) return value
  // JSON leaves the C1 controls as they are, and a terminal takes them for commands.
  return JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
