import type { Gate } from '@proj/auth'
import type { Logger } from '@proj/tunnel'
import type { ConsumerAcceptor, Endpoint, UpstreamRegistry } from '@proj/tunnel/server'

import type { AccessLog } from '../access-log/access-log.ts'
import type { Tracer } from '../tracing/tracer.ts'
import type { EndpointHistory } from '../endpoint-history/endpoint-history.ts'
import type { EndpointLimiter } from '../endpoint-limits/endpoint-limiter.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Deadlines } from './deadlines.ts'
import type { DomainTable } from './domains.ts'
import type { ErrorPages } from './error-pages.ts'
import type { ForwardedNote } from './forwarded-note.ts'
import type { ProxyHeaderNote } from '../proxy-protocol.ts'
import type { ResolvedProxyOptions } from './proxy-options.ts'
import type { ProxyStats } from './proxy-stats.ts'
import type { RequestAdmission } from './request-admission.ts'
import type { RequestIds } from './request-ids.ts'
import type { StreamPool } from './stream-pool.ts'
import type { TrustedProxies } from './trusted-proxies.ts'
import type { UpgradedConnection } from './upgraded-connection.ts'

/** What every visitor's connection shares. */
export interface ProxyContext {
  readonly options: ResolvedProxyOptions
  readonly registry: UpstreamRegistry<Gate>
  readonly connect: ConsumerAcceptor
  /** Asks visitors for a token, where the proxy port has keys. */
  readonly authenticator: Authenticator | undefined
  readonly requestIds: RequestIds
  /** Limits of endpoints. */
  readonly limiter: EndpointLimiter
  /** Domains that lead to endpoints. */
  readonly domains: DomainTable
  /** What is answered at PROOF_PATH, by domain. */
  readonly proofFiles: ReadonlyMap<string, string>
  /** Pages of the operator for errors. */
  readonly pages: ErrorPages
  /** The page of an endpoint without an agent. */
  readonly offlinePage: (endpoint: Endpoint, code: string) => string | undefined
  /** Proxies in front whose forwarding headers are believed. */
  readonly trusted: TrustedProxies
  /** Tells the operator of forwarding headers that are discarded. */
  readonly forwardedNote: ForwardedNote
  readonly proxyHeaderNote: ProxyHeaderNote
  readonly pool: StreamPool
  readonly deadlines: Deadlines
  readonly stats: ProxyStats
  /** The last hour of each endpoint. */
  readonly history: EndpointHistory
  /** Says whether one more request may run. */
  readonly admission: RequestAdmission
  /** Gets a line for each request; undefined: there is none. */
  readonly accessLog: AccessLog | undefined
  /** Makes a span of each request; undefined: there are none. */
  readonly tracer: Tracer | undefined
  readonly logger: Logger
  /** Connections that were upgraded, to close them when the server stops. */
  readonly upgraded: Set<UpgradedConnection>
  /** Whether the server is stopping: then no connection is kept alive. */
  readonly draining: boolean
}
