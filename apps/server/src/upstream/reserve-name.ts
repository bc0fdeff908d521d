import {
  checkEndpointName,
  type ClaimContext,
  claimName,
  type Endpoint,
  type NameConflict,
  SESSION_ENDPOINT,
} from '@proj/tunnel/server'

import type { PortOwner } from '../public-ports/port-claims.ts'
import type { IsAsSeen, Reservation } from '../store/reservation-store.ts'
import type { LimitReached } from '../store/share-limits.ts'
import type { Store } from '../store/store.ts'

/** What a reservation needs. */
export interface ReserveContext extends ClaimContext {
  /** Where reservations are stored. */
  readonly store: Store
  /** The public port that an endpoint has now; it is reserved with the name. */
  readonly portOf: (owner: PortOwner) => number | undefined
}

/** A name that is to be reserved. */
export interface NameWish {
  readonly endpoint: Endpoint
  /** The identity it is to be reserved for. */
  readonly identity: string
  readonly kind: 'http' | 'tcp'
  /** Default: its reservation may be any, or none. */
  readonly isAsSeen?: IsAsSeen
}

/** What became of it. */
export type NameOutcome =
  | { readonly code: 'reserved'; readonly isNew: boolean; readonly reservation: Reservation }
  /** Another identity has reserved or serves it. */
  | { readonly code: 'taken'; readonly conflict: NameConflict }
  /** The caller has seen its reservation otherwise. */
  | { readonly code: 'not-as-seen' }
  | LimitReached
  /** The store is in memory. */
  | { readonly code: 'not-durable' }

/** Why a name cannot be reserved. */
export const NOT_DURABLE =
  'reserved names would be lost when this server ends: it cannot write to its data_dir'

/** Says why a text is no name of an endpoint; undefined when it is one. */
export function nameProblem(endpoint: string): string | undefined {
  try {
    checkEndpointName(endpoint)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  return endpoint === SESSION_ENDPOINT ? `${endpoint} is a name of the protocol` : undefined
}

/** Reserves a name for an identity, with the public port that it has. */
export async function reserveName(wish: NameWish, context: ReserveContext): Promise<NameOutcome> {
  const { endpoint, identity, kind, isAsSeen } = wish
  const { store } = context
  if (store.file === undefined) return { code: 'not-durable' }
  const conflict = claimName({ endpoint, identity }, context)
  if (conflict !== undefined) return { code: 'taken', conflict }
  const port = context.portOf({ endpoint, identity }) ?? store.reservations.find(endpoint)?.port
  const wanted = {
    tenant: endpoint.tenant,
    endpoint: endpoint.name,
    identity,
    kind,
    port,
    reservedAt: Date.now(),
  }
  const outcome = await store.reservations.reserve(wanted, isAsSeen)
  if (outcome.ok) {
    const { isNew, reservation } = outcome
    return { code: 'reserved', isNew, reservation }
  }
  if (outcome.code === 'limit-reached') return outcome
  if (outcome.code === 'not-as-seen') return { code: 'not-as-seen' }
  return { code: 'taken', conflict: heldBy(outcome.reservation) }
}

/** The conflict with a reservation. */
export function heldBy({ identity, reservedAt }: Reservation): NameConflict {
  return { holder: 'reservation', identity, since: reservedAt, retryAfterMs: undefined }
}
