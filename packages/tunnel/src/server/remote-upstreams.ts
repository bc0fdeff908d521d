import type { AnswerStrictness } from '../protocol/answer-strictness.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import type { StreamReuse } from '../protocol/stream-reuse.ts'
import type { VisitorRules } from '../protocol/visitor-rules.ts'
import type { Upstream } from './upstream.ts'

/** How another node serves an endpoint; see `LocalRoute`, of which it is the copy. */
export interface RemoteRoute {
  /** `tcp`: it is a TCP endpoint there; `http`: it is none; undefined: for some agents it is. */
  readonly kind: 'http' | 'tcp' | undefined
  /** Sessions that serve it there, 1 or more. */
  readonly sessions: number
  /** The strictest that they asked for; undefined: none did. */
  readonly reuse: StreamReuse | undefined
  /** Undefined: none of them asked for strict reading. */
  readonly strictness: AnswerStrictness | undefined
  /** The agents' rules for visitors, of `LocalRoute.rules`; undefined: there are none. */
  readonly rules: string | undefined
}

/** The nodes of a cluster besides this one, as far as an endpoint's visitors are concerned. */
export interface RemoteUpstreams<
  Rules extends VisitorRules = VisitorRules,
  Route extends RemoteRoute = RemoteRoute,
> {
  /** The routes of an endpoint, one for each node that serves it. Asked once per request: allocates nothing. */
  routes(endpoint: Endpoint): readonly Route[]
  /** What opens streams by a route; the same object as long as the node lives. */
  upstream(route: Route, endpoint: Endpoint): Upstream
  /** What its node does now, for the choice between nodes: the least is taken. */
  load(route: Route): number
  /** The rules of a route; of one that cannot be read, a rule that admits no visitor. Equal ones are one list. */
  rules(route: Route): readonly Rules[]
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
