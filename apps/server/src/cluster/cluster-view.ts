import type { ClusterNode, ClusterRoute } from '@proj/cluster'
import type { AdminAnswer } from '@proj/program-kit'
import type { Endpoint } from '@proj/tunnel/server'

import type { NodeIdentity } from './node-identity.ts'

/** What is known of the database. */
export interface DatabaseHealth {
  /** Whether its last answer was no failure. */
  readonly isReachable: boolean
  /** Since when it has not answered, ms since the epoch; undefined: it answers, or was not asked yet. */
  readonly awaySince?: number | undefined
  /** How old what this node knows of the others is, ms. */
  readonly lagMs: number
  /** How long ago this node renewed its lease, ms. */
  readonly leaseAgeMs: number
}

/** Traffic between this node and the others, since the start. */
export interface LinkCounts {
  /** Streams to other nodes, by node id. */
  readonly hopsOut: ReadonlyMap<string, number>
  /** Streams from other nodes. */
  readonly hopsIn: number
  /** Streams from other nodes that were rejected, because nothing here serves their endpoint any more. */
  readonly hopsRefused: number
  readonly connectionsIn: number
  readonly connectionsOut: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** What status pages and metrics read of the nodes; of a server alone, too. */
export interface ClusterView {
  /** This node. */
  readonly local: NodeIdentity & {
    readonly version: string
    /** `host:port` of its cluster port; undefined: it is alone. */
    readonly address: string | undefined
    readonly isLeaving: boolean
  }
  /** The other nodes. */
  nodes(): Iterable<ClusterNode>
  /** Whether the link to another node is in use and the node answers. */
  isConnected(nodeId: string): boolean
  /** Endpoints that other nodes serve. */
  entries(): Iterable<readonly [endpoint: Endpoint, routes: readonly ClusterRoute[]]>
  /** How many these are. */
  readonly size: number
  /** Undefined: there is no database. */
  health(): DatabaseHealth | undefined
  links(): LinkCounts
  /**
   * Reads an admin page of another node.
   *
   * @throws when the node does not answer.
   */
  ask(nodeId: string, path: string): Promise<AdminAnswer>
}

const NO_LINKS: LinkCounts = Object.freeze({
  hopsOut: new Map<string, number>(),
  hopsIn: 0,
  hopsRefused: 0,
  connectionsIn: 0,
  connectionsOut: 0,
  bytesIn: 0,
  bytesOut: 0,
})

/** The view of a server without a cluster. */
export function aloneView(identity: NodeIdentity, version: string): ClusterView {
  return {
    local: { ...identity, version, address: undefined, isLeaving: false },
    nodes: () => [],
    isConnected: () => false,
    entries: () => [],
    size: 0,
    health: () => undefined,
    links: () => NO_LINKS,
    ask: async (nodeId) => await Promise.reject(new Error(`there is no node ${nodeId}`)),
  }
}
