import type { Gate } from '@proj/auth'
import type { Session, WindowBudget } from '@proj/mux'
import type { AdminAnswer } from '@proj/program-kit'
import type { NameClaims, UpstreamAcceptor, UpstreamRegistry } from '@proj/tunnel/server'

import type { VisitorGates } from '../auth/visitor-gates.ts'
import type { PortClaims } from '../public-ports/port-claims.ts'
import type { PublicPorts } from '../public-ports/public-ports.ts'
import { aloneView, type ClusterView } from './cluster-view.ts'
import type { NodeIdentity } from './node-identity.ts'

/** The parts of a server that a cluster is joined with. */
export interface ClusterParts {
  /** Where visitors look for agents. */
  readonly registry: UpstreamRegistry<Gate>
  /** The sessions of the agents. */
  readonly upstream: UpstreamAcceptor<Gate>
  readonly publicPorts: PublicPorts
  /** Reads what agents demand of visitors. */
  readonly gates: VisitorGates
  /** Memory that the windows of all sessions may grow by together. */
  readonly windowBudget: WindowBudget
  /** Reads an admin page of this node for another one. */
  readonly readPage: (path: string) => Promise<AdminAnswer>
  /** Another node stops: ends what visitors have over its session without an end of its own. */
  readonly onLongLivedOver: (session: Session) => void
}

/** What a server has of the cluster that it is a node of. */
export interface ClusterMember {
  /** For status pages and metrics. */
  readonly view: ClusterView
  /** Decides about names on all nodes. Default: the server alone does. */
  readonly claims?: NameClaims
  /** Decides about public ports on all nodes. Default: the server alone does. */
  readonly portClaims?: PortClaims
  /** Called once, when the parts of the server are there and none of them has a peer yet. Default: nothing. */
  attach?(parts: ClusterParts): void
}

/** A server without a cluster. */
export function aloneMember(identity: NodeIdentity, version: string): ClusterMember {
  return { view: aloneView(identity, version) }
}
