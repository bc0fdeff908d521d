import type { ForwardRequestOptions, RequestHead, VisitorConnection } from '@proj/http1'
import { type VisitorRules } from '@proj/tunnel'
import { endpointKey } from '@proj/tunnel/server'
import { clientAddress, Gate, judgeAll, type Verdict } from '@proj/auth'

import { admitVisitor } from './admit-visitor.ts'
import { EDGE_ANSWERS, type EdgeAnswer } from './edge-answer.ts'
import type { EdgeContext } from './edge-context.ts'
import { type NamedEndpoint, namedEndpoint } from './visitor-tenant.ts'

/** Where a request goes that may pass. */
export interface Route {
  /** Name the visitor used. */
  readonly endpoint: string
  /** Key of the endpoint in the registry. */
  readonly key: string
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
  const named = namedEndpoint(head, edge.options)
  if (named === undefined) return { answer: EDGE_ANSWERS.endpointMissing }
  const { endpoint } = named
  const { trustedHops } = edge.options
  const { scheme } = connection
  const requestId = edge.requestIds.of(head, trustedHops)
  const forward = { clientAddress: connection.clientAddress, scheme, trustedHops, requestId }
  const admission = admitVisitor(edge, head, named, connection)
  if (admission === undefined) return follow(edge, head, named, forward)
  return admission.then((verdict) => {
    if ('status' in verdict) return { answer: verdict }
    const { tenant, consumed: authorizationConsumed } = verdict
    return follow(edge, head, { endpoint, tenant }, { ...forward, authorizationConsumed })
  })
}

/** Asks the rules of the endpoint that is meant, where there are any. */
function follow(
  edge: EdgeContext,
  head: RequestHead,
  { endpoint, tenant }: NamedEndpoint,
  forward: Route['forward'],
): Route | Refused | Promise<Route | Refused> {
  const { registry, authenticator } = edge
  const key = endpointKey(tenant, endpoint)
  const isUnknown = tenant !== '' && authenticator?.knowsTenant(tenant) !== true
  if (isUnknown && registry.count(key) === 0) return { answer: EDGE_ANSWERS.tenantUnknown }
  const rules = registry.hasRules ? registry.rules(key) : undefined
  if (rules === undefined) return { endpoint, key, rules, forward }
  return judge(edge, head, { endpoint, key, rules, forward })
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
  const verdict = judgeAll(gates, { headers, address, endpoint })
  if (!(verdict instanceof Promise)) return routing(route, verdict)
  return verdict.then(
    (late) => {
      const now = edge.registry.rules(route.key)
      // While it was judged, an agent may have come with other rules.
      if (now !== undefined && now !== rules) {
        return judge(edge, head, { ...route, rules: now })
      }
      return routing(route, late)
    },
    (error: unknown) => {
      edge.logger.error(
        { err: error, endpoint, requestId: forward.requestId },
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
