import type { Endpoint } from '@proj/tunnel/server'

import type { ClusterNode, RouteFacts } from '../model.ts'

/** Longest tenant, name, identity or agent that is stored, bytes: three of them fit into a row of an index. */
export const MAX_TEXT_BYTES = 1024

/** Longest id of a node, bytes. */
export const MAX_NODE_ID_BYTES = 255

/** Longest rules that are stored, bytes. */
export const MAX_RULES_BYTES: number = 64 * 1024

/**
 * Largest epoch, below 2^53: epochs are microseconds of the clock of the database, which come to it in the year 2255.
 * A stored one that is larger was not written by a node.
 */
export const MAX_EPOCH = 9_000_000_000_000_000

/** Nodes that are read at most; a cluster has far fewer. */
export const MAX_NODES = 1_000

/** What every call of an engine takes. */
export interface EngineCallOptions {
  /** Aborted: the call rejects with its reason; whether a write was done is then unknown. */
  readonly signal: AbortSignal
}

/** Rows of a node that are stored and agree with the names: enough to tell whether any is missing. */
export interface RouteDigest {
  readonly count: number
  /** Sum of their versions. */
  readonly versions: number
}

/** How a node is to be joined. */
export interface JoinRequest {
  readonly node: ClusterNode
  /** The highest version that this boot has used; 0 before the first. */
  readonly head: number
  readonly leaseMs: number
  /** The boot that this one replaced when it joined first; undefined at the first join: then it replaces any. */
  readonly replaces: string | undefined
}

/** Answer to {@link Engine.join}. */
export type JoinAnswer =
  | {
      readonly isReplaced: false
      /** Version to count on from. */
      readonly head: number
      /** The boot that was stored before; that of the node itself when it was joined already. */
      readonly previousBoot: string | undefined
      /** What is stored of this boot. */
      readonly digest: RouteDigest
    }
  | {
      /** Another boot has the row, and its lease is not over. */
      readonly isReplaced: true
      /** Its beat: if that changes, it lives; otherwise the row is one of a run before, which a backup had. */
      readonly beat: number
    }

/** A route to be stored, which needs its name. */
export interface RoutePut {
  readonly endpoint: Endpoint
  /** The epoch under which the node has the name; 0: it claims it. */
  readonly epoch: number
  /** The name is reserved for this identity, which takes it from any other. */
  readonly isReserved: boolean
  readonly facts: RouteFacts
}

/** Who has a name that another asked for. */
export interface NameHolder {
  readonly identity: string
  /** Since when, ms since the epoch by the clock of the database. */
  readonly since: number
  /** Whether it is the same identity, and one of the two agents is exclusive. */
  readonly isExclusive: boolean
}

/** What came of a {@link RoutePut}: the epoch under which the name was granted, or who has it. */
export type PutAnswer = { readonly epoch: number } | NameHolder

/** What a node writes in one transaction; it renews its lease too. */
export interface WriteBatch {
  readonly node: ClusterNode
  /** The version it knows for its last; another one is stored: nothing is written. */
  readonly head: number
  readonly leaseMs: number
  /** Rises with every write of this boot: a database that was made again would count from the start. */
  readonly beat: number
  /** Each endpoint at most once. The put with index i gets the version head + 1 + i. */
  readonly puts: readonly RoutePut[]
  /** Endpoints that it serves no more; none of the puts. They get the versions after those of the puts. */
  readonly removes: readonly Endpoint[]
  /** Routes with this version or a lower one are not served any more; 0: none. They get the versions after those of the removes. */
  readonly removeUpTo: number
  /** Whether all routes of the node are stored with this batch: others may read them. */
  readonly isSettled: boolean
  /** Ids of nodes that the writer knows to be alive, whatever their lease says. */
  readonly alive: readonly string[]
  /** An epoch that is given is above this one: the highest that the writer has seen. */
  readonly epochFloor: number
}

/** Answer to {@link Engine.write}. */
export type WriteAnswer =
  | {
      readonly isDone: true
      readonly head: number
      /** Whether the lease was over before: others may have taken names. */
      readonly wasLapsed: boolean
      /** In the order of the puts; undefined: its name was deleted at the same moment, put it again. */
      readonly puts: readonly (PutAnswer | undefined)[]
    }
  /** The row of the node is missing, of another boot, or at another version: join again. */
  | { readonly isDone: false }

/** A node as it is stored. */
export interface NodeState {
  readonly node: ClusterNode
  /** Changes with every renewal. */
  readonly beat: number
  /**
   * What is left of its lease by the clock of the engine, ms; 0 or less: it is over. So is one that is longer than a
   * lease can be: the clock was set back.
   */
  readonly leaseLeftMs: number
  /** Version of its last write. */
  readonly head: number
  /** Removals up to this version are forgotten: a follower that knows less has to read all. */
  readonly floor: number
  /** False while it is storing its routes after a join: what is stored is not all. */
  readonly isSettled: boolean
  /** Whether it has left: it is stopping, and its routes are removed. */
  readonly hasLeft: boolean
}

/** Which changes of a node are to be read. */
export interface ChangesQuery {
  readonly nodeId: string
  /** Those after this version. */
  readonly after: number
  /** Whether removals are left out. */
  readonly isSnapshot: boolean
  /** At most so many; the rest with another call. */
  readonly limit: number
}

/** A change of a route. */
export interface RouteChange {
  readonly endpoint: Endpoint
  readonly version: number
  /** undefined: the node does not serve it any more. */
  readonly facts: RouteFacts | undefined
  readonly epoch: number
  /** Why its row cannot be used, which no node has written so; it has no facts then. */
  readonly problem?: string
}

/** Changes of a node in the order of their versions, and the state of the node at the same moment. */
export interface ChangesPage {
  readonly boot: string
  readonly head: number
  readonly floor: number
  readonly isSettled: boolean
  readonly changes: readonly RouteChange[]
}

/** What is cleaned away. */
export interface SweepRequest {
  readonly node: ClusterNode
  /** Removals of the node's own routes older than this are forgotten, ms. */
  readonly removalsMs: number
  /** Nodes whose lease is over for longer than this, and names without a route, ms. */
  readonly forgetMs: number
  /** At most so many rows of each kind. */
  readonly limit: number
}

/**
 * Where nodes keep what they know of one another. Each node writes its own rows only, under versions that it
 * counts itself, and reads those of the others. A name is one row for all.
 *
 * Every call rejects with a ClusterError, or with the reason of its signal.
 */
export interface Engine {
  /**
   * Connects and makes or migrates what has to be stored.
   *
   * @throws {ClusterError} CLUSTER_SCHEMA_NEWER, CLUSTER_DATABASE_TOO_OLD: it will not change by itself.
   */
  open(options: EngineCallOptions): Promise<void>
  /** Makes the row of a node, or finds it again. It is not settled and not alive until it has written. */
  join(request: JoinRequest, options: EngineCallOptions): Promise<JoinAnswer>
  /** Stores routes with their names, and renews the lease; all of it or nothing. */
  write(batch: WriteBatch, options: EngineCallOptions): Promise<WriteAnswer>
  /** All nodes that are stored, at most MAX_NODES; those that renewed last, if there are more. */
  nodes(options: EngineCallOptions): Promise<readonly NodeState[]>
  /** Changes of one node; undefined: it is not stored. */
  changes(query: ChangesQuery, options: EngineCallOptions): Promise<ChangesPage | undefined>
  /** The node leaves: its routes are removed. Another boot of it is left alone. */
  leave(node: ClusterNode, options: EngineCallOptions): Promise<void>
  /** Deletes what is of no use any more. */
  sweep(request: SweepRequest, options: EngineCallOptions): Promise<void>
  /** Tells the others that a node wrote; may get lost. */
  hint(nodeId: string, options: EngineCallOptions): Promise<void>
  /** Reports the hints of all nodes until the signal is aborted or the way is broken; then it rejects. */
  watch(onHint: (nodeId: string) => void, options: EngineCallOptions): Promise<never>
  /** Ends its connections. Calls that run reject with CLUSTER_CLOSED. */
  close(): Promise<void>
}

/** The constraint of a database on a text, for an error; undefined when it can be stored. */
export function textProblem(text: string, maxBytes: number): string | undefined {
  if (Buffer.byteLength(text) > maxBytes) return `is longer than ${maxBytes} bytes`
  if (text.includes('\0')) return 'contains NUL'
  return /\p{Surrogate}/u.test(text) ? 'contains an unpaired surrogate' : undefined
}
