import type { Endpoint } from '../protocol/endpoint.ts'
import type { VisitorRules } from '../protocol/visitor-rules.ts'
import type { LocalRoute } from './local-route.ts'
import type { Upstream } from './upstream.ts'

/** How another node serves an endpoint: a copy of what is a LocalRoute there. */
export type RemoteRoute = Pick<
  LocalRoute,
  'kind' | 'sessions' | 'reuse' | 'strictness' | 'rules' | 'limits' | 'agents' | 'isDown'
>

/** The nodes of a cluster besides this one, as far as an endpoint's visitors are concerned. */
export interface RemoteUpstreams<
  Rules extends VisitorRules = VisitorRules,
  Route extends RemoteRoute = RemoteRoute,
> {
  /** The routes of an endpoint, one for each node that serves it. Asked once per request: allocates nothing. */
  routes(endpoint: Endpoint): readonly Route[]
  /**
   * What opens streams by a route; the same object as long as it has open streams.
   *
   * @param agentKey - key of the agent that is to get them. Default: the node chooses one for each.
   */
  upstream(route: Route, endpoint: Endpoint, agentKey?: string): Upstream
  /** What its node does now, for the choice between nodes: the least is taken. */
  load(route: Route): number
  /** The rules of a route; of one that cannot be read, a rule that admits no visitor. Equal ones are one list. */
  rules(route: Route): readonly Rules[]
  /** Whether visitors of other nodes have streams to agents of this one that have no end of their own. */
  readonly hasLongLived: boolean
  /** This node stops: ends such streams, those of WebSockets and events by the nodes of their visitors. */
  endLongLived(): void
}

/** Whether the same is demanded by two lists of rules. */
export function areEqualRules(
  one: readonly VisitorRules[] | undefined,
  other: readonly VisitorRules[] | undefined,
): boolean {
  if (one === other) return true
  if (one === undefined || other === undefined || one.length !== other.length) return false
  return one.every(({ id }) => other.some((rule) => rule.id === id))
}
