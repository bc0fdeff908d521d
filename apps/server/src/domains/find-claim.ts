import type { DomainClaim, DomainFilter, DomainStore } from '../store/domain-store.ts'

/**
 * Finds the claim of a domain that an operator means.
 *
 * @param domain - in its canonical form.
 * @returns the one that has proved it, else the only one; `several`: an identity or a tenant has to be named.
 */
export function findClaim(
  domains: DomainStore,
  domain: string,
  owner: DomainFilter = {},
): DomainClaim | 'none' | 'several' {
  const found = domains.list(owner).filter((claim) => claim.domain === domain)
  const [only, ...others] = found
  if (only === undefined) return 'none'
  if (others.length === 0) return only
  return found.find(({ provedAt }) => provedAt !== undefined) ?? 'several'
}
