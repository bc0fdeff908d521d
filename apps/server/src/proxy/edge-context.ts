import type { Logger } from '@proj/tunnel'
import type { ConsumerAcceptor, UpstreamRegistry } from '@proj/tunnel/server'

import type { Authenticator } from '../auth/authenticator.ts'
import type { Deadlines } from './deadlines.ts'
import type { ResolvedEdgeOptions } from './edge-options.ts'
import type { EdgeStats } from './edge-stats.ts'
import type { RequestIds } from './request-ids.ts'
import type { StreamPool } from './stream-pool.ts'

/** What every connection of the edge shares. */
export interface EdgeContext {
  readonly options: ResolvedEdgeOptions
  readonly registry: UpstreamRegistry
  readonly connect: ConsumerAcceptor
  /** Asks visitors for a token, where the proxy port has keys. */
  readonly authenticator: Authenticator | undefined
  readonly requestIds: RequestIds
  readonly pool: StreamPool
  readonly deadlines: Deadlines
  readonly stats: EdgeStats
  readonly logger: Logger
  /** Whether the server is stopping: answers say so, and idle connections end. */
  readonly draining: boolean
}
