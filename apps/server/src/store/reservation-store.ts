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
