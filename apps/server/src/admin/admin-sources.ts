import type { Gate } from '@proj/auth'
import type { UpstreamRegistry } from '@proj/tunnel/server'

import type { Authenticator } from '../auth/authenticator.ts'
import type { ClusterView } from '../cluster/cluster-view.ts'
import type { PortConnections } from '../connection-budget.ts'
import type { HttpProxy } from '../proxy/http-proxy.ts'
import type { PublicPorts } from '../public-ports/public-ports.ts'
import type { TlsPortStatus } from '../tls/tls-status.ts'

/** The parts of a server that its admin pages and metrics read. */
export interface AdminSources {
  readonly edge: HttpProxy
  readonly registry: UpstreamRegistry<Gate>
  readonly publicPorts: PublicPorts
  /** The nodes, also of a server alone. */
  readonly cluster: ClusterView
  /** Connections of the upstream port. */
  readonly upstreamConnections: PortConnections
  /** Connections of the admin port. */
  readonly adminConnections: PortConnections
  /** Looks, one a second, that found no free file descriptor. */
  readonly descriptorsExhausted: () => number
  /** Connections that the system could not hand over, by port. */
  readonly failedAccepts: () => Readonly<Record<string, number>>
  /** Agent sessions open now. */
  readonly sessions: () => number
  readonly tls: readonly TlsPortStatus[]
  /** Limits on handshakes. Default: none. */
  readonly handshakes: Authenticator['limits'] | undefined
  /** Events that the audit log left out since the start, by kind. */
  readonly auditDropped: () => Readonly<Record<string, number>>
  /** Lines of the access log; undefined: there is none. */
  readonly accessLog: () => { readonly written: number; readonly dropped: number } | undefined
  /** Spans of requests; undefined: there are none. */
  readonly spans: () => { readonly sent: number; readonly dropped: number } | undefined
  /** Log lines that were left out since the start. */
  readonly leftOutLines: () => number
}
