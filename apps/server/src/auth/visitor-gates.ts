import type { Endpoint, ReadVisitorRules } from '@proj/tunnel/server'
import {
  AuthError,
  Gate,
  type GateParts,
  matchesPattern,
  parsePolicy,
  PasswordChecks,
  policyOf,
  SourceLimiter,
  VISITOR_FAILURES,
  type VisitorPolicy,
  type VisitorSettings,
} from '@proj/auth'

/** What the operator demands of the visitors of some endpoints. */
export interface StandingPolicy {
  /** Endpoints that are meant, `web` or `pc*`, of every tenant. */
  readonly name: string
  /** What their visitors have to be. */
  readonly policy: VisitorPolicy
}

/** Makes the gates of a server; all of them share their limits. */
export class VisitorGates {
  readonly #parts: GateParts = {
    checks: new PasswordChecks(),
    failures: new SourceLimiter(VISITOR_FAILURES),
  }

  /** Reads what an agent demands; see `UpstreamAcceptorOptions.readVisitorRules`. */
  readonly read: ReadVisitorRules<Gate> = (rules, kind) => {
    const gate = new Gate(parsePolicy(rules), this.#parts)
    if (kind === 'tcp' && gate.needsHttp) {
      throw new AuthError('VISITORS_POLICY_INVALID', 'a TCP connection has no credentials')
    }
    return gate
  }

  /** What the operator demands; see `UpstreamRegistry.setStandingRules`. */
  standing(policies: readonly StandingPolicy[]): (endpoint: Endpoint) => readonly Gate[] {
    const gates = policies.map(({ name, policy }) => ({
      name,
      gate: new Gate(policy, this.#parts),
    }))
    return (endpoint) =>
      gates.flatMap(({ name, gate }) => (matchesPattern(name, endpoint.name) ? [gate] : []))
  }
}

/** The operator's policies, from the settings; passwords become verifiers. */
export async function standingPolicies(
  endpoints: readonly { readonly name: string; readonly visitors: VisitorSettings }[],
): Promise<readonly StandingPolicy[]> {
  const made = await Promise.all(
    endpoints.map(async ({ name, visitors }) => ({ name, policy: await policyOf(visitors) })),
  )
  return made.flatMap(({ name, policy }) => (policy === undefined ? [] : [{ name, policy }]))
}
