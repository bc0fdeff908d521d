import type { LocalRoute } from '@proj/tunnel/server'

/** A node as the others know it. */
export interface ClusterNode {
  /** Id of the node, the same after a restart. */
  readonly id: string
  /** Id of this run of the node: random for each start. */
  readonly boot: string
  /** `host:port` of its cluster port, as the other nodes reach it; `unix:PATH` for those of the same program. */
  readonly address: string
  /** SHA-256 of its certificate, hex in lower case; any text of this boot alone where it has a unix socket. */
  readonly fingerprint: string
  /** Version of its program. */
  readonly version: string
  /** Whether it is about to stop: others send it nothing new while there is a choice. */
  readonly isLeaving: boolean
  /** What it does now, as old as its last renewal. */
  readonly load: NodeLoad
}

/** What a node does. */
export interface NodeLoad {
  /** Sessions of agents. */
  readonly sessions: number
  /** Open streams to its agents. */
  readonly streams: number
}

/** How a node serves an endpoint, as the others know it. */
export interface RouteFacts extends Omit<LocalRoute, 'epoch'> {
  /** Sessions that serve it on the node; 0: its name is claimed, and no session serves it yet. */
  readonly sessions: number
}

/** An endpoint served by a node. */
export interface ClusterRoute extends RouteFacts {
  /** The node that serves it. The same object for all its routes; its load changes in place. */
  readonly node: ClusterNode
  /** Of the name: it rises with every change of its holder. */
  readonly epoch: number
}
