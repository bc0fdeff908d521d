import type { ForwardRequestOptions, RequestHead, VisitorConnection } from '@proj/http1'
import { type VisitorRules } from '@proj/tunnel'
import type { Endpoint } from '@proj/tunnel/server'
import { clientAddress, Gate, judgeAll, type Verdict } from '@proj/auth'

import { admitVisitor } from './admit-visitor.ts'
import { EDGE_ANSWERS, type EdgeAnswer } from './edge-answer.ts'
import type { EdgeContext } from './edge-context.ts'
import { namedEndpoint } from './visitor-tenant.ts'

/** Where a request goes that may pass. */
export interface Route {
  /** The endpoint it is for. */
  readonly endpoint: Endpoint
  /** The rules it was judged by; undefined when there are none. */
  readonly rules: readonly VisitorRules[] | undefined
  /** How its headers are rewritten. */
  readonly forward: ForwardRequestOptions & { readonly requestId: string }
}

/** A request that goes nowhere. */
export interface Refused {
  /** What the visitor gets. */
  readonly answer: EdgeAnswer
}

/**
 * Names the endpoint of a request and asks whether its visitor may go there. At once where nobody demands
 * anything, and mostly where somebody does.
 */
export function routeRequest(
  edge: EdgeContext,
  head: RequestHead,
  connection: VisitorConnection,
): Route | Refused | Promise<Route | Refused> {
  const endpoint = namedEndpoint(head, edge.options)
  if (endpoint === undefined) return { answer: EDGE_ANSWERS.endpointMissing }
  const { trustedHops } = edge.options
  const { scheme } = connection
  const requestId = edge.requestIds.of(head, trustedHops)
  const forward = { clientAddress: connection.clientAddress, scheme, trustedHops, requestId }
  const admission = admitVisitor(edge, head, endpoint, connection)
  if (admission === undefined) return follow(edge, head, endpoint, forward)
  return admission.then((verdict) => {
    if ('status' in verdict) return { answer: verdict }
    const { tenant, consumed: authorizationConsumed } = verdict
    return follow(
      edge,
      head,
      { tenant, name: endpoint.name },
      { ...forward, authorizationConsumed },
    )
  })
}

/** Asks the rules of the endpoint that is meant, where there are any. */
function follow(
  edge: EdgeContext,
  head: RequestHead,
  endpoint: Endpoint,
  forward: Route['forward'],
): Route | Refused | Promise<Route | Refused> {
  const { registry, authenticator } = edge
  const { tenant } = endpoint
  const isUnknown = tenant !== '' && authenticator?.knowsTenant(tenant) !== true
  if (isUnknown && registry.count(endpoint) === 0) return { answer: EDGE_ANSWERS.tenantUnknown }
  const rules = registry.hasRules ? registry.rules(endpoint) : undefined
  if (rules === undefined) return { endpoint, rules, forward }
  return judge(edge, head, { endpoint, rules, forward })
}

function judge(
  edge: EdgeContext,
  head: RequestHead,
  route: Route & { readonly rules: readonly VisitorRules[] },
): Route | Refused | Promise<Route | Refused> {
  const { headers } = head
  const { endpoint, rules, forward } = route
  const address = clientAddress(headers, forward.clientAddress, edge.options.trustedHops)
  // Rules that were not made by this program cannot be applied by it: then nobody passes.
  const gates = rules.filter((one) => one instanceof Gate)
  if (gates.length < rules.length) return { answer: EDGE_ANSWERS.rulesUnknown }
  const verdict = judgeAll(gates, { headers, address, endpoint: endpoint.name })
  if (!(verdict instanceof Promise)) return routing(route, verdict)
  return verdict.then(
    (late) => {
      const now = edge.registry.rules(endpoint)
      // While it was judged, an agent may have come with other rules.
      if (now !== undefined && now !== rules) {
        return judge(edge, head, { ...route, rules: now })
      }
      return routing(route, late)
    },
    (error: unknown) => {
      edge.logger.error(
        { err: error, endpoint: endpoint.name, requestId: forward.requestId },
        'visitor could not be judged',
      )
      return { answer: EDGE_ANSWERS.judgeFailed }
    },
  )
}

function routing(route: Route, verdict: Verdict): Route | Refused {
  if (verdict.admitted) {
    const { authorizationConsumed: before = false } = route.forward
    const forward = { ...route.forward, authorizationConsumed: before || verdict.consumed }
    return { ...route, forward }
  }
  const { status, error, code, headers } = verdict
  return { answer: { status, error, code, headers } }
}
