import type { Endpoint } from '@proj/tunnel/server'

/** A name that is held for somebody, whether or not an agent of theirs is connected. */
export interface Reservation {
  /** Tenant whose name it is; empty on servers without tenants. */
  readonly tenant: string
  /** The name. */
  readonly endpoint: string
  /** Whom it is held for, as `Grant.identity` has it. */
  readonly identity: string
  /** What it is meant to carry. */
  readonly kind: 'http' | 'tcp'
  /** Public TCP port that is held with it, once it has had one. */
  readonly port: number | undefined
  /** Since when, ms since the epoch. */
  readonly reservedAt: number
}

/** What came of the wish for a name. */
export type ReserveOutcome =
  /** It is held, and was before if it is not `isNew`; `reservation` says how. */
  | { readonly ok: true; readonly isNew: boolean; readonly reservation: Reservation }
  /** It is held for somebody else. */
  | { readonly ok: false; readonly code: 'name-taken'; readonly reservation: Reservation }
  /** As many names are held as there may be, for this identity or at all. */
  | { readonly ok: false; readonly code: 'limit-reached'; readonly limit: number }

/** Which names to list. */
export interface ReservationFilter {
  /** Of this tenant only. */
  readonly tenant?: string
  /** Of this identity only. */
  readonly identity?: string
}

/** Names held for identities. Reading is immediate; what a write has resolved for is there to stay. */
export interface ReservationStore {
  /** Whom a name is held for. */
  find(endpoint: Endpoint): Reservation | undefined
  /** Names that are held, by tenant and name. */
  list(filter?: ReservationFilter): readonly Reservation[]
  /**
   * Holds a name. An identity that has it already changes its kind and port; since when it has it
   * stays.
   */
  reserve(wanted: Reservation): Promise<ReserveOutcome>
  /**
   * Gives a name up.
   *
   * @param identity - gives it up only if it is held for this one; left out, whoever it is held for.
   * @returns what was held, or undefined if it was not.
   */
  release(endpoint: Endpoint, identity?: string): Promise<Reservation | undefined>
}

/** How many names may be held. */
export interface ReservationLimits {
  /** For one identity of one tenant. Default 100. */
  readonly maxPerIdentity?: number
  /** At all. Default 100 000. */
  readonly maxTotal?: number
}

/** Defaults of the limits: more than an agent serves by hand, and what fits in a few dozen MB. */
export const RESERVATION_LIMITS: Readonly<Required<ReservationLimits>> = Object.freeze({
  maxPerIdentity: 100,
  maxTotal: 100_000,
})

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
