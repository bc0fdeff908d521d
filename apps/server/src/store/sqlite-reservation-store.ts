import type { Endpoint } from '@proj/tunnel/server'

import type { Database, SqlRow } from './database.ts'
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

const COUNT = countShares('reservations', ['?1', '?2'])

/** Reservations in a database. */
export class SqliteReservationStore implements ReservationStore {
  readonly #database: Database
  readonly #limits: ShareLimits

  constructor(database: Database, limits: ReservationLimits = {}) {
    this.#database = database
    this.#limits = { ...RESERVATION_LIMITS, ...limits }
  }

  /** @inheritdoc */
  find({ tenant, name }: Endpoint): Reservation | undefined {
    const sql = 'SELECT * FROM reservations WHERE tenant = ? AND endpoint = ?'
    const row = this.#database.one(sql, tenant, name)
    return row && reservationOf(row)
  }

  /** @inheritdoc */
  findByPort(port: number): Reservation | undefined {
    const sql = 'SELECT * FROM reservations WHERE port = ? ORDER BY reserved_at LIMIT 1'
    const row = this.#database.one(sql, port)
    return row && reservationOf(row)
  }

  /** @inheritdoc */
  list({ tenant, identity }: ReservationFilter = {}): readonly Reservation[] {
    const sql = `SELECT * FROM reservations
      WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR identity = ?2)
      ORDER BY tenant, endpoint`
    return this.#database.all(sql, tenant ?? null, identity ?? null).map(reservationOf)
  }

  /** @inheritdoc */
  async reserve(wanted: Reservation, isAsSeen?: IsAsSeen): Promise<ReserveOutcome> {
    return this.#database.transaction(() => this.#reserve(wanted, isAsSeen))
  }

  /** @inheritdoc */
  async release(
    endpoint: Endpoint,
    identity?: string,
    isAsSeen?: IsAsSeen,
  ): Promise<Reservation | undefined> {
    return this.#database.transaction(() => {
      const found = this.find(endpoint)
      if (!isReleasable(found, identity, isAsSeen)) return undefined
      const sql = 'DELETE FROM reservations WHERE tenant = ? AND endpoint = ?'
      this.#database.run(sql, endpoint.tenant, endpoint.name)
      return found
    })
  }

  #reserve(wanted: Reservation, isAsSeen: IsAsSeen | undefined): ReserveOutcome {
    const { tenant, endpoint, identity, kind, reservedAt } = wanted
    const found = this.find({ tenant, name: endpoint })
    if (isAsSeen?.(found) === false) return { ok: false, code: 'not-as-seen' }
    if (found !== undefined && found.identity !== identity) {
      return { ok: false, code: 'name-taken', reservation: found }
    }
    const limit = found === undefined ? this.#limitReached(tenant, identity) : undefined
    if (limit !== undefined) return limit
    const owner = wanted.port === undefined ? undefined : this.findByPort(wanted.port)
    const isFree = owner === undefined || (owner.tenant === tenant && owner.endpoint === endpoint)
    const port = isFree ? wanted.port : found?.port
    this.#database.run(
      `INSERT INTO reservations (tenant, endpoint, identity, kind, port, reserved_at)
       VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (tenant, endpoint) DO UPDATE SET kind = excluded.kind, port = excluded.port`,
      tenant,
      endpoint,
      identity,
      kind,
      port ?? null,
      reservedAt,
    )
    const reservation = { ...wanted, port, reservedAt: found?.reservedAt ?? reservedAt }
    return { ok: true, isNew: found === undefined, reservation }
  }

  #limitReached(tenant: string, identity: string): LimitReached | undefined {
    const row = this.#database.one(COUNT, tenant, identity)
    return limitReached(tenant, shareCounts(row), this.#limits)
  }
}

/** A row of the table `reservations`. */
export function reservationOf(row: SqlRow): Reservation {
  return {
    tenant: String(row['tenant']),
    endpoint: String(row['endpoint']),
    identity: String(row['identity']),
    kind: row['kind'] === 'tcp' ? 'tcp' : 'http',
    port: (row['port'] as number | null) ?? undefined,
    reservedAt: Number(row['reserved_at']),
  }
}
