import { policyOf, type VisitorSettings } from '@proj/auth'

import type { StandingPolicy } from './visitor-gates.ts'

/** The operator's policies, from the settings; passwords become verifiers. */
export async function standingPolicies(
  endpoints: readonly { readonly name: string; readonly visitors: VisitorSettings }[],
): Promise<readonly StandingPolicy[]> {
  const made = await Promise.all(
    endpoints.map(async ({ name, visitors }) => ({ name, policy: await policyOf(visitors) })),
  )
  return made.flatMap(({ name, policy }) => (policy === undefined ? [] : [{ name, policy }]))
}
