import type { ControlMessage, Rejection } from '../protocol/control-message.ts'
import { checkEndpointName } from '../protocol/endpoint.ts'
import { isTunnelError } from '../errors.ts'
import type { Grant } from './authorization.ts'
import type { ReadVisitorRules, VisitorRules } from '../protocol/visitor-rules.ts'

/** The message by which an agent asks to serve an endpoint. */
export type Register = Extract<ControlMessage, { type: 'register' }>

/** What a session knows when it is asked for an endpoint. */
export interface RegistrationContext {
  /** Whether the session or the server is ending. */
  readonly isLeaving: boolean
  /** What the agent may do. */
  readonly grant: Grant
  /** Endpoints the session serves already. */
  readonly endpoints: ReadonlySet<string>
  /** Endpoints that wait for a public port. */
  readonly waiting: number
  /** Endpoints it may serve. */
  readonly maxEndpoints: number
  /** Delay to advise when the server is stopping, ms. */
  readonly drainRetryAfterMs: number
  /** What is demanded of the endpoint's visitors already. */
  readonly demanded: readonly VisitorRules[]
  /** Reads rules for visitors; undefined when this server does not enforce any. */
  readonly readVisitorRules: ReadVisitorRules | undefined
}

/** Different rules that may hold for one endpoint: while agents change theirs, there are two. */
const MAX_RULES_PER_ENDPOINT = 8
const RULES_RETRY_MS = 1_000

/** Checks whether an endpoint may be registered, and reads the rules for its visitors. */
export function judgeRegistration(
  { endpoint, kind, visitors, port }: Register,
  context: RegistrationContext,
): Rejection | { readonly rules?: VisitorRules } {
  const { isLeaving, grant, endpoints, waiting, maxEndpoints, drainRetryAfterMs } = context
  if (isLeaving) {
    const message = 'this server is shutting down'
    return { code: 'draining', message, retryAfterMs: drainRetryAfterMs }
  }
  try {
    checkEndpointName(endpoint)
  } catch (error) {
    if (!isTunnelError(error)) throw error
    return { code: 'endpoint-invalid', message: error.message }
  }
  if (kind !== 'http' && kind !== 'tcp') {
    return { code: 'kind-unknown', message: 'this server knows the kinds http and tcp' }
  }
  if (!grant.permits('listen', endpoint)) {
    const allowed = grant.describe?.('listen')
    const message = 'endpoint not permitted'
    return {
      code: 'not-permitted',
      message: allowed === undefined ? message : `${message}: ${allowed}`,
    }
  }
  if (endpoints.size + waiting >= maxEndpoints && !endpoints.has(endpoint)) {
    return { code: 'limit-reached', message: `a session may register ${maxEndpoints} endpoints` }
  }
  if (port !== undefined && kind !== 'tcp') {
    return { code: 'port-kind', message: 'a public port is for kind tcp' }
  }
  // An answer that does not confirm the rules tells the agent that they are not enforced.
  if (visitors === undefined || context.readVisitorRules === undefined) return {}
  return judgeRules(visitors, kind, context.readVisitorRules, context.demanded)
}

function judgeRules(
  visitors: object,
  kind: 'http' | 'tcp',
  read: ReadVisitorRules,
  demanded: readonly VisitorRules[],
): Rejection | { readonly rules: VisitorRules } {
  let rules: VisitorRules
  try {
    rules = read(visitors, kind)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { code: 'visitors-invalid', message: message.slice(0, 500) }
  }
  if (demanded.length < MAX_RULES_PER_ENDPOINT || demanded.some(({ id }) => id === rules.id)) {
    return { rules }
  }
  return {
    code: 'limit-reached',
    message: `the agents of an endpoint may have ${MAX_RULES_PER_ENDPOINT} different rules`,
    retryAfterMs: RULES_RETRY_MS,
  }
}
