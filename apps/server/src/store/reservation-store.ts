import { type Endpoint, endpointKey } from '@proj/tunnel/server'

import { type LimitReached, limitReached, type ShareLimits } from './share-limits.ts'

/** A name that is reserved for an identity, whether or not an agent of it is connected. */
export interface Reservation {
  /** Tenant whose name it is; empty on servers without tenants. */
  readonly tenant: string
  readonly endpoint: string
  /** The identity it is reserved for, as in `Grant.identity`. */
  readonly identity: string
  /** Protocol of the endpoint. */
  readonly kind: 'http' | 'tcp'
  /** Public TCP port that is reserved with it, once it has had one. */
  readonly port: number | undefined
  /** When it was reserved, ms since the epoch. */
  readonly reservedAt: number
}

/** Result of a reservation. */
export type ReserveOutcome =
  /** It is reserved, and was before if it is not `isNew`. */
  | { readonly ok: true; readonly isNew: boolean; readonly reservation: Reservation }
  /** It is reserved for another identity. */
  | { readonly ok: false; readonly code: 'name-taken'; readonly reservation: Reservation }
  /** The caller has seen it otherwise. */
  | { readonly ok: false; readonly code: 'not-as-seen' }
  | LimitReached

/** Judges the reservation of a name as it is right before a change, with nothing in between. */
export type IsAsSeen = (held: Reservation | undefined) => boolean

/** Which names to list. */
export interface ReservationFilter {
  /** Of this tenant only. */
  readonly tenant?: string
  /** Of this identity only. */
  readonly identity?: string
}

/** Reserved names. Reading is synchronous; when the promise of a write resolves, the change is on the disk. */
export interface ReservationStore {
  /** The reservation of a name. */
  find(endpoint: Endpoint): Reservation | undefined
  /** The reservation that a public port belongs to. */
  findByPort(port: number): Reservation | undefined
  /** Reservations, ordered by tenant and name. */
  list(filter?: ReservationFilter): readonly Reservation[]
  /**
   * Reserves a name. An identity that has it already changes its kind and port; `reservedAt` stays. A port
   * belongs to one name: where another name has it, the name keeps the port that it had, or has none.
   *
   * @param isAsSeen - Default: it may be any.
   */
  reserve(wanted: Reservation, isAsSeen?: IsAsSeen): Promise<ReserveOutcome>
  /**
   * Releases a name.
   *
   * @param identity - releases it only if it is reserved for this identity; without it, for any.
   * @param isAsSeen - Default: it may be any.
   * @returns the former reservation; undefined when there was none, or another one.
   */
  release(
    endpoint: Endpoint,
    identity?: string,
    isAsSeen?: IsAsSeen,
  ): Promise<Reservation | undefined>
}

/** How many names may be reserved. Default: RESERVATION_LIMITS. */
export type ReservationLimits = Partial<ShareLimits>

/** Defaults of the limits: more than a person sets up by hand, and what fits in a few dozen MB. */
export const RESERVATION_LIMITS: ShareLimits = Object.freeze({
  maxPerIdentity: 100,
  maxPerTenant: 10_000,
  maxTotal: 100_000,
})

/** Reservations in memory, for servers without a data directory and for tests. */
export class MemoryReservationStore implements ReservationStore {
  readonly #held = new Map<string, Reservation>()
  readonly #limits: ShareLimits

  constructor(limits: ReservationLimits = {}) {
    this.#limits = { ...RESERVATION_LIMITS, ...limits }
  }

  /** @inheritdoc */
  find(endpoint: Endpoint): Reservation | undefined {
    return this.#held.get(endpointKey(endpoint))
  }

  /** @inheritdoc */
  findByPort(port: number): Reservation | undefined {
    return this.list().find((one) => one.port === port)
  }

  /** @inheritdoc */
  list({ tenant, identity }: ReservationFilter = {}): readonly Reservation[] {
    return [...this.#held.values()]
      .filter((one) => tenant === undefined || one.tenant === tenant)
      .filter((one) => identity === undefined || one.identity === identity)
      .toSorted((a, b) => compare(a.tenant, b.tenant) || compare(a.endpoint, b.endpoint))
  }

  /** @inheritdoc */
  async reserve(wanted: Reservation, isAsSeen?: IsAsSeen): Promise<ReserveOutcome> {
    const { tenant, endpoint, identity } = wanted
    const held = { tenant, name: endpoint }
    const found = this.find(held)
    if (isAsSeen?.(found) === false) return { ok: false, code: 'not-as-seen' }
    if (found !== undefined && found.identity !== identity) {
      return { ok: false, code: 'name-taken', reservation: found }
    }
    if (found === undefined) {
      const counts = {
        ofIdentity: this.list({ tenant, identity }).length,
        ofTenant: this.list({ tenant }).length,
        all: this.#held.size,
      }
      const limit = limitReached(tenant, counts, this.#limits)
      if (limit !== undefined) return limit
    }
    const owner = wanted.port === undefined ? undefined : this.findByPort(wanted.port)
    const isFree = owner === undefined || (owner.tenant === tenant && owner.endpoint === endpoint)
    const reservation = {
      ...wanted,
      port: isFree ? wanted.port : found?.port,
      reservedAt: found?.reservedAt ?? wanted.reservedAt,
    }
    this.#held.set(endpointKey(held), reservation)
    return { ok: true, isNew: found === undefined, reservation }
  }

  /** @inheritdoc */
  async release(
    endpoint: Endpoint,
    identity?: string,
    isAsSeen?: IsAsSeen,
  ): Promise<Reservation | undefined> {
    const found = this.find(endpoint)
    if (!isReleasable(found, identity, isAsSeen)) return undefined
    this.#held.delete(endpointKey(endpoint))
    return found
  }
}

/** Whether a name is reserved, for this identity, and as its caller has seen it. */
export function isReleasable(
  found: Reservation | undefined,
  identity: string | undefined,
  isAsSeen: IsAsSeen | undefined,
): found is Reservation {
  if (found === undefined || (identity !== undefined && found.identity !== identity)) return false
  return isAsSeen?.(found) !== false
}

/** By code units, as SQLite compares what both can hold. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
