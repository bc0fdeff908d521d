import type { Endpoint } from '../protocol/endpoint.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import type { Upstream } from './upstream.ts'

/** Why a name cannot be registered: another identity has it. */
export interface NameConflict {
  /** What holds it: a reservation, or the sessions that serve it. */
  readonly holder: 'reservation' | 'session'
  /** The other identity. It is of the same tenant, so it may be told. */
  readonly identity: string
  /** Since when it has the name, ms since the epoch. */
  readonly since: number
  /** Delay after which to ask again, ms; undefined where that does not help: a reservation stays. */
  readonly retryAfterMs: number | undefined
  /** Set when the same identity serves it, and one of the two agents is exclusive. */
  readonly isExclusive?: true
}

/** A name that was not registered because of a conflict, for an audit log. */
export interface RejectedName {
  /** The endpoint whose name it is. */
  readonly endpoint: Endpoint
  /** The identity that asked for it. */
  readonly identity: string
  readonly remoteAddress: string | undefined
  /** Why it was rejected. */
  readonly conflict: NameConflict
}

/** Names that are held for identities, whether or not an agent is connected. */
export interface NameReservations {
  /** The identity a name is reserved for, and since when (ms since the epoch); undefined: none. */
  find(endpoint: Endpoint): { readonly identity: string; readonly reservedAt: number } | undefined
}

/** A request for a name. */
export interface NameClaim {
  /** The endpoint whose name it is. */
  readonly endpoint: Endpoint
  /** The identity that asks. */
  readonly identity: string
  /** The session that asks, once there is one. */
  readonly session?: Upstream
  /** Whether the agent that asks wants to be the only one; undefined when no agent asks. */
  readonly isExclusive?: boolean
}

/** What a claim is checked against. */
export interface ClaimContext {
  /** Which sessions serve which endpoint. */
  readonly registry: UpstreamRegistry
  /** Names that are reserved, and for whom. */
  readonly reservations: NameReservations
  /** Delay after which to ask again, ms. */
  readonly nameRetryAfterMs: number
}

/**
 * Checks whether an identity may have a name. It belongs to the identity it is reserved for, otherwise
 * to the first one that registered it, as long as one of its sessions serves it. Sessions of one
 * identity share a name.
 *
 * If the same identity has come back, the sessions that serve the name are pinged: an old connection, which
 * may hang, gets no visitors until it answers. Another identity causes no ping, as a ping that is not answered
 * in time ends a session: the holder's connection has pings of its own, and the name is free when they show
 * that the holder is gone. Another agent of the same identity is rejected too when one of the two wants to be the
 * only one.
 *
 * @returns the conflict, or undefined when the name may be registered.
 */
export function claimName(claim: NameClaim, context: ClaimContext): NameConflict | undefined {
  const { endpoint, identity, session, isExclusive } = claim
  const { registry, reservations, nameRetryAfterMs } = context
  const reserved = reservations.find(endpoint)
  if (reserved !== undefined && reserved.identity !== identity) {
    const { identity: owner, reservedAt: since } = reserved
    return { holder: 'reservation', identity: owner, since, retryAfterMs: undefined }
  }
  const others = registry.sessions(endpoint).filter((one) => one !== session)
  const other = others.find((one) => one.identity !== identity)
  if (other !== undefined && reserved !== undefined) {
    // Another identity has served it since before it was reserved: the reservation wins.
    for (const one of others) one.end(`${JSON.stringify(endpoint.name)} is reserved for another`)
    return undefined
  }
  for (const one of others) {
    if (one.identity !== identity) continue
    // Beside another session of the same agent a silent one only has to be avoided: to end it would cut what
    // an agent on a slow line carries each time its other connection comes back. The new one may be there
    // because the address of the old one is gone.
    if (session !== undefined && one.peer === session.peer) one.doubt(true)
    else one.probe()
  }
  if (other === undefined) {
    const rival = others.find(
      (one) =>
        one.peer !== session?.peer && (isExclusive === true || registry.isExclusive(endpoint, one)),
    )
    if (rival === undefined || isExclusive === undefined) return undefined
    const retryAfterMs = nameRetryAfterMs
    return {
      holder: 'session',
      identity,
      since: rival.connectedAt,
      retryAfterMs,
      isExclusive: true,
    }
  }
  const since = registry.takenAt(endpoint) ?? Date.now()
  return { holder: 'session', identity: other.identity, since, retryAfterMs: nameRetryAfterMs }
}

/** A conflict as one sentence. */
export function conflictText(
  endpoint: string,
  { holder, identity, since, isExclusive }: NameConflict,
): string {
  if (isExclusive) {
    const at = new Date(since).toISOString()
    return `another agent serves ${JSON.stringify(endpoint)} since ${at}, and one of the two is exclusive`
  }
  const how = holder === 'reservation' ? 'reserved for' : 'served by'
  return `${JSON.stringify(endpoint)} is ${how} ${identity} since ${new Date(since).toISOString()}`
}

/** A conflict as JSON. */
export interface ConflictDetails {
  readonly code: 'name-taken' | 'name-in-use'
  /** What holds the name. */
  readonly holder: NameConflict['holder']
  /** Since when, ISO 8601. */
  readonly since: string
  /** Delay after which to ask again; absent where that does not help. */
  readonly retryAfterMs?: number
}

/** Makes the JSON of a conflict. */
export function conflictDetails({
  holder,
  since,
  retryAfterMs,
  isExclusive,
}: NameConflict): ConflictDetails {
  return {
    code: isExclusive ? 'name-in-use' : 'name-taken',
    holder,
    since: new Date(since).toISOString(),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}
