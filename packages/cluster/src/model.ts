import type { AnswerStrictness, StreamReuse } from '@proj/tunnel'

/** A node as the others know it. */
export interface ClusterNode {
  /** Names it, across restarts. */
  readonly id: string
  /** Names this run of it: random for each start. */
  readonly boot: string
  /** `host:port` of its cluster port, as the other nodes reach it. */
  readonly address: string
  /** SHA-256 of its certificate, hex in lower case. */
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
  /** Streams that are open. */
  readonly streams: number
}

/** What an agent's registrations on one node say of an endpoint. */
export interface RouteFacts {
  /** Who serves it. */
  readonly identity: string
  /** What its streams carry; undefined: only Piko agents serve it, which do not say. */
  readonly kind: 'http' | 'tcp' | undefined
  /** Sessions that serve it on the node, above 0. */
  readonly sessions: number
  /** Whether its agent wants to be the only one. */
  readonly exclusive: boolean
  /** The agent that wants to be the only one; undefined where none does. */
  readonly peer: string | undefined
  /** When its streams carry another request; undefined: as the server is set. */
  readonly reuse: StreamReuse | undefined
  /** How answers of its service are read; undefined: `lenient`. */
  readonly strictness: AnswerStrictness | undefined
  /** The rules of its agents for visitors, as JSON; undefined: none. */
  readonly rules: string | undefined
}

/** An endpoint served by a node. */
export interface ClusterRoute extends RouteFacts {
  /** The node that serves it. The same object for all its routes; its load changes in place. */
  readonly node: ClusterNode
  /** Of the name: it rises with every change of its holder. */
  readonly epoch: number
}
