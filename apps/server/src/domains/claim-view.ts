import type { DomainClaim } from '../store/domain-store.ts'
import { proofUrl } from './http-proof.ts'
import { recordName } from './txt-proof.ts'

/** A claim as its identity sees it. */
export function describeClaim({ domain, endpoint, value, challenge, ...times }: DomainClaim) {
  const { checkedAt, provedAt, lostAt } = times
  const iso = (at: number): string => new Date(at).toISOString()
  return {
    domain,
    endpoint,
    state: stateOf(times),
    challenge,
    ...(challenge === 'txt'
      ? { record: { name: recordName(domain), type: 'TXT', value } }
      : { file: { url: proofUrl(domain), content: value } }),
    since: iso(times.askedAt),
    ...(checkedAt !== undefined && { checkedAt: iso(checkedAt) }),
    ...(provedAt !== undefined && { provedAt: iso(provedAt) }),
    ...(lostAt !== undefined && { missingSince: iso(lostAt) }),
  }
}

/** A claim as an operator sees it. */
export function describeOwnedClaim(claim: DomainClaim) {
  const { tenant, identity } = claim
  return { tenant, identity, ...describeClaim(claim) }
}

/** The state of a claim. */
export function stateOf({
  provedAt,
  lostAt,
}: Pick<DomainClaim, 'provedAt' | 'lostAt'>): 'pending' | 'proved' | 'missing' {
  if (provedAt === undefined) return 'pending'
  return lostAt === undefined ? 'proved' : 'missing'
}
