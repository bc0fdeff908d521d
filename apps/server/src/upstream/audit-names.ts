import type { UpstreamRegistry } from '@proj/tunnel/server'

import type { AuditLog } from '../store/audit-log.ts'

/** Writes to the audit log when an endpoint gets its first session, and when it loses the last one. */
export function auditNames(registry: UpstreamRegistry, audit: AuditLog): void {
  registry.on(
    'endpoint',
    ({ tenant, name: endpoint }, present, { identity, remoteAddress, id }) => {
      const fields = { endpoint, tenant, identity, remoteAddress, session: id }
      audit.write(present ? 'name.taken' : 'name.lost', fields)
    },
  )
}
