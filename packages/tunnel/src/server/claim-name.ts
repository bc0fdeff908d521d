import type { Endpoint } from '../protocol/endpoint.ts'
import type { Upstream, UpstreamRegistry } from './upstream-registry.ts'

/** Why a name is not to be had. */
export interface NameConflict {
  /** It is reserved, or sessions of somebody else serve it. */
  readonly holder: 'reservation' | 'session'
  /** Whose it is. Names of one tenant meet nobody else's, so whoever asks may know. */
  readonly identity: string
  /** Since when it is theirs, ms since the epoch. */
  readonly since: number
  /** When asking again may help, ms; undefined: it will not, for a reservation stays. */
  readonly retryAfterMs: number | undefined
}

/** A name that was not registered because of a conflict, for an audit log. */
export interface RejectedName {
  /** The endpoint whose name it is. */
  readonly endpoint: Endpoint
  /** Who asked for it. */
  readonly identity: string
  /** From where. */
  readonly remoteAddress: string | undefined
  /** Who has it. */
  readonly conflict: NameConflict
}

/** Names that are held for somebody whether or not they are connected. */
export interface NameReservations {
  /** Whom a name is held for, and since when (ms since the epoch); undefined: nobody. */
  find(endpoint: Endpoint): { readonly identity: string; readonly reservedAt: number } | undefined
}

/** Who wants which name. */
export interface NameClaim {
  /** The endpoint whose name it is. */
  readonly endpoint: Endpoint
  /** Who wants it. */
  readonly identity: string
  /** The session it is for, once there is one. */
  readonly session?: Upstream
}

/** What a claim is judged by. */
export interface ClaimContext {
  /** Who serves what. */
  readonly registry: UpstreamRegistry
  /** What is reserved. */
  readonly reservations: NameReservations
  /** When asking again may help, ms: longer than a holder that is gone takes to be noticed. */
  readonly nameRetryAfterMs: number
}

/**
 * Judges who may have a name: whom it is reserved for, else who came first, as long as a session of
 * theirs serves it. Sessions of one identity share it.
 *
 * Whoever has it is asked for a sign of life in either case. If the newcomer is the holder come back,
 * an old connection of theirs that hangs gets no visitors in the meantime; if it is a stranger, the
 * name of a holder that is gone is free by the time they ask again.
 *
 * @returns the conflict, or undefined when the name may be registered.
 */
export function claimName(claim: NameClaim, context: ClaimContext): NameConflict | undefined {
  const { endpoint, identity, session } = claim
  const { registry, reservations, nameRetryAfterMs } = context
  const reserved = reservations.find(endpoint)
  if (reserved !== undefined && reserved.identity !== identity) {
    const { identity: owner, reservedAt: since } = reserved
    return { holder: 'reservation', identity: owner, since, retryAfterMs: undefined }
  }
  const others = registry.sessions(endpoint).filter((one) => one !== session)
  const stranger = others.find((one) => one.identity !== identity)
  if (stranger !== undefined && reserved !== undefined) {
    // Served by somebody else since before it was reserved: now it is the owner's.
    for (const one of others) one.end(`${JSON.stringify(endpoint.name)} is reserved for another`)
    return undefined
  }
  for (const one of others) one.probe()
  if (stranger === undefined) return undefined
  const since = registry.takenAt(endpoint) ?? Date.now()
  return { holder: 'session', identity: stranger.identity, since, retryAfterMs: nameRetryAfterMs }
}

/** Says a conflict in a sentence. */
export function conflictText(endpoint: string, { holder, identity, since }: NameConflict): string {
  const how = holder === 'reservation' ? 'reserved for' : 'served by'
  return `${JSON.stringify(endpoint)} is ${how} ${identity} since ${new Date(since).toISOString()}`
}

/** What a program may want to know of a conflict, as JSON has it. */
export interface ConflictDetails {
  /** Stable. */
  readonly code: 'name-taken'
  /** What holds the name. */
  readonly holder: NameConflict['holder']
  /** Since when, ISO 8601. */
  readonly since: string
  /** When asking again may help; absent: it will not. */
  readonly retryAfterMs?: number
}

/** Puts a conflict into the words of a program. */
export function conflictDetails({ holder, since, retryAfterMs }: NameConflict): ConflictDetails {
  return {
    code: 'name-taken',
    holder,
    since: new Date(since).toISOString(),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}
