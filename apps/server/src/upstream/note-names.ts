import type { UpstreamRegistry } from '@proj/tunnel/server'

import type { AuditLog } from '../store/audit-log.ts'

/** Notes in the audit log whose a name became, and that it is nobody's any more. */
export function noteNames(registry: UpstreamRegistry, audit: AuditLog): void {
  registry.on(
    'endpoint',
    ({ tenant, name: endpoint }, present, { identity, remoteAddress, id }) => {
      const fields = { endpoint, tenant, identity, remoteAddress, session: id }
      audit.write(present ? 'name.taken' : 'name.lost', fields)
    },
  )
}
