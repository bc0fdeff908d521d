import type { AgentActs } from './agent-routes.ts'
import type { ChangeFeed } from './change-feed.ts'
import type { EndpointSources } from './endpoint-routes.ts'
import type { ServerSources } from './server-routes.ts'
import type { StatusSources } from './status-routes.ts'

/** What the API shows of the running server, and does with it. */
export interface ApiSources extends StatusSources, EndpointSources, ServerSources {
  readonly agents: AgentActs
  readonly changes: ChangeFeed
}
