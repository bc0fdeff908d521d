import type { Endpoint } from '../protocol/endpoint.ts'

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

/** A refusal to register a name, for an audit log. */
export interface RefusedName {
  /** The endpoint whose name it is. */
  readonly endpoint: Endpoint
  /** Who asked for it. */
  readonly identity: string
  /** From where. */
  readonly remoteAddress: string | undefined
  /** Who has it. */
  readonly conflict: NameConflict
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
