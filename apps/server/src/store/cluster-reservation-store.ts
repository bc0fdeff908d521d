import type { Endpoint } from '@proj/tunnel/server'

import type { SqlRow } from './database.ts'
import type { Changed, SharedTables } from './shared-tables.ts'
import type { Query } from './postgres.ts'
import {
  type IsAsSeen,
  isReleasable,
  type Reservation,
  RESERVATION_LIMITS,
  type ReservationFilter,
  type ReservationLimits,
  type ReservationStore,
  type ReserveOutcome,
} from './reservation-store.ts'
import {
  countShares,
  type LimitReached,
  limitReached,
  shareCounts,
  type ShareLimits,
} from './share-limits.ts'
import { reservationOf, type SqliteReservationStore } from './sqlite-reservation-store.ts'

const COUNT = countShares('adit_names', ['$1', '$2'])

/** What the reserved names of a cluster are made of. */
export interface ClusterReservationStoreOptions {
  /** Makes the changes, alone with the table. */
  readonly shared: SharedTables
  /** The copy in the file of this server. */
  readonly copy: SqliteReservationStore
  /** Default: RESERVATION_LIMITS. */
  readonly limits?: ReservationLimits | undefined
}

/** Names that are reserved in a cluster: changed in its database, read from the copy of this server. */
export class ClusterReservationStore implements ReservationStore {
  readonly #shared: SharedTables
  readonly #copy: SqliteReservationStore
  readonly #limits: ShareLimits

  constructor({ shared, copy, limits }: ClusterReservationStoreOptions) {
    this.#shared = shared
    this.#copy = copy
    this.#limits = { ...RESERVATION_LIMITS, ...limits }
  }

  /** @inheritdoc */
  find(endpoint: Endpoint): Reservation | undefined {
    return this.#copy.find(endpoint)
  }

  /** @inheritdoc */
  findByPort(port: number): Reservation | undefined {
    return this.#copy.findByPort(port)
  }

  /** @inheritdoc */
  list(filter?: ReservationFilter): readonly Reservation[] {
    return this.#copy.list(filter)
  }

  /** @inheritdoc */
  async reserve(wanted: Reservation, isAsSeen?: IsAsSeen): Promise<ReserveOutcome> {
    return await this.#shared.change(
      'names',
      async (query) => await this.#reserve(query, wanted, isAsSeen),
    )
  }

  /** @inheritdoc */
  async release(
    endpoint: Endpoint,
    identity?: string,
    isAsSeen?: IsAsSeen,
  ): Promise<Reservation | undefined> {
    const { tenant, name } = endpoint
    return await this.#shared.change<Reservation | undefined>('names', async (query) => {
      const found = await find(query, tenant, name)
      if (!isReleasable(found, identity, isAsSeen)) return { result: undefined, change: undefined }
      await query('DELETE FROM adit_names WHERE tenant = $1 AND endpoint = $2', tenant, name)
      return { result: found, change: { tenant, key: name, row: undefined } }
    })
  }

  /** Alone with the table: what is counted here is true when the row is written. */
  async #reserve(
    query: Query,
    wanted: Reservation,
    isAsSeen: IsAsSeen | undefined,
  ): Promise<Changed<ReserveOutcome>> {
    const { tenant, endpoint, identity, kind, reservedAt } = wanted
    const found = await find(query, tenant, endpoint)
    if (isAsSeen?.(found) === false) return refused({ ok: false, code: 'not-as-seen' })
    if (found !== undefined && found.identity !== identity) {
      return refused({ ok: false, code: 'name-taken', reservation: found })
    }
    const limit = found === undefined ? await this.#limitReached(query, wanted) : undefined
    if (limit !== undefined) return refused(limit)
    const port = (await isPortFree(query, wanted)) ? wanted.port : found?.port
    const [row] = await query(
      `INSERT INTO adit_names (tenant, endpoint, identity, kind, port, reserved_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant, endpoint) DO UPDATE SET kind = excluded.kind, port = excluded.port
         RETURNING *`,
      tenant,
      endpoint,
      identity,
      kind,
      port ?? null,
      reservedAt,
    )
    const reservation = reservationOf(row as SqlRow) // it was just written
    return {
      result: { ok: true, isNew: found === undefined, reservation },
      change: { tenant, key: endpoint, row },
    }
  }

  async #limitReached(
    query: Query,
    { tenant, identity }: Reservation,
  ): Promise<LimitReached | undefined> {
    const [row] = await query(COUNT, tenant, identity)
    return limitReached(tenant, shareCounts(row), this.#limits)
  }
}

async function find(
  query: Query,
  tenant: string,
  endpoint: string,
): Promise<Reservation | undefined> {
  const sql = 'SELECT * FROM adit_names WHERE tenant = $1 AND endpoint = $2'
  const [held] = await query(sql, tenant, endpoint)
  return held && reservationOf(held)
}

async function isPortFree(query: Query, { tenant, endpoint, port }: Reservation): Promise<boolean> {
  if (port === undefined) return true
  const [owner] = await query('SELECT tenant, endpoint FROM adit_names WHERE port = $1', port)
  return owner === undefined || (owner['tenant'] === tenant && owner['endpoint'] === endpoint)
}

function refused(result: ReserveOutcome): Changed<ReserveOutcome> {
  return { result, change: undefined }
}
