import { printable } from '@proj/config'
import { EXIT, formatTable, UserError } from '@proj/program-kit'

import type { Reservation } from '../store/reservation-store.ts'
import type { Store } from '../store/store.ts'

/** A reservation as `--json` shows it. */
export function describeReservation(reservation: Reservation): Record<string, unknown> {
  const { tenant, endpoint, kind, identity, port, reservedAt } = reservation
  const since = new Date(reservedAt).toISOString()
  return { tenant, endpoint, kind, identity, since, ...(port !== undefined && { port }) }
}

/** Formats reservations for a person, one per line. */
export function formatReservations(reservations: readonly Reservation[]): string {
  if (reservations.length === 0) return 'no names are reserved\n'
  const rows = reservations.map(({ tenant, endpoint, kind, identity, port, reservedAt }) => [
    printable(endpoint),
    tenant === '' ? '-' : printable(tenant),
    port === undefined ? kind : `${kind} ${port}`,
    printable(identity),
    `${new Date(reservedAt).toISOString().slice(0, 16)}Z`,
  ])
  return formatTable([['NAME', 'TENANT', 'KIND', 'IDENTITY', 'SINCE'], ...rows])
}

/**
 * Releases a reserved name without its token, for example when the token is lost.
 *
 * @throws {UserError} exit code 1 when it is not reserved.
 */
export async function releaseForOperator(
  store: Store,
  tenant: string,
  endpoint: string,
): Promise<Reservation> {
  const released = await store.reservations.release({ tenant, name: endpoint })
  if (released === undefined) {
    throw new UserError(`${JSON.stringify(endpoint)} is not reserved`, {
      exitCode: EXIT.failed,
      hint: 'adit-server name list shows the reserved names; --tenant selects the tenant',
    })
  }
  const { identity } = released
  store.audit.write('name.released', { endpoint, tenant, identity, by: 'operator' })
  return released
}
