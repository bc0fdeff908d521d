import type { Endpoint } from '@proj/tunnel/server'

import { RESERVATION_LIMITS, type ReservationLimits } from './reservation-limits.ts'
import type {
  Reservation,
  ReservationFilter,
  ReservationStore,
  ReserveOutcome,
} from './reservation-store.ts'

/** Reservations of one process, for servers that are part of a program and for tests. */
export class MemoryReservationStore implements ReservationStore {
  readonly #held = new Map<string, Reservation>()
  readonly #limits: Required<ReservationLimits>

  constructor(limits: ReservationLimits = {}) {
    this.#limits = { ...RESERVATION_LIMITS, ...limits }
  }

  /** @inheritdoc */
  find(endpoint: Endpoint): Reservation | undefined {
    return this.#held.get(keyOf(endpoint))
  }

  /** @inheritdoc */
  list({ tenant, identity }: ReservationFilter = {}): readonly Reservation[] {
    return [...this.#held.values()]
      .filter((one) => tenant === undefined || one.tenant === tenant)
      .filter((one) => identity === undefined || one.identity === identity)
      .toSorted((a, b) => compare(a.tenant, b.tenant) || compare(a.endpoint, b.endpoint))
  }

  /** @inheritdoc */
  async reserve(wanted: Reservation): Promise<ReserveOutcome> {
    const { tenant, endpoint, identity } = wanted
    const { maxPerIdentity, maxTotal } = this.#limits
    const held = { tenant, name: endpoint }
    const found = this.find(held)
    if (found !== undefined && found.identity !== identity) {
      return { ok: false, code: 'name-taken', reservation: found }
    }
    if (found === undefined) {
      const own = this.list({ tenant, identity }).length
      if (own >= maxPerIdentity) return { ok: false, code: 'limit-reached', limit: maxPerIdentity }
      if (this.#held.size >= maxTotal) return { ok: false, code: 'limit-reached', limit: maxTotal }
    }
    const reservation = { ...wanted, reservedAt: found?.reservedAt ?? wanted.reservedAt }
    this.#held.set(keyOf(held), reservation)
    return { ok: true, isNew: found === undefined, reservation }
  }

  /** @inheritdoc */
  async release(endpoint: Endpoint, identity?: string): Promise<Reservation | undefined> {
    const found = this.find(endpoint)
    if (found === undefined || (identity !== undefined && found.identity !== identity)) {
      return undefined
    }
    this.#held.delete(keyOf(endpoint))
    return found
  }
}

function keyOf({ tenant, name }: Endpoint): string {
  return JSON.stringify([tenant, name])
}

/** By code units, as SQLite compares what both can hold. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
