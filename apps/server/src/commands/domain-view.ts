import { printable } from '@proj/config'
import { EXIT, formatTable, UserError } from '@proj/program-kit'

import { describeClaim, stateOf } from '../domains/claim-view.ts'
import { findClaim } from '../domains/find-claim.ts'
import { canonicalDomain } from '../proxy/domains.ts'
import type { DomainClaim } from '../store/domain-store.ts'
import type { Store } from '../store/store.ts'
import { notADomain } from '../upstream/claim-domain.ts'

/** Formats the domains that identities have asked for, for a person, one per line. */
export function formatDomains(claims: readonly DomainClaim[]): string {
  if (claims.length === 0) return 'no domains are asked for\n'
  const rows = claims.map((claim) => [
    printable(claim.domain),
    printable(claim.endpoint),
    claim.tenant === '' ? '-' : printable(claim.tenant),
    stateOf(claim),
    claim.challenge,
    printable(claim.identity),
    `${describeClaim(claim).since.slice(0, 16)}Z`,
  ])
  return formatTable([
    ['DOMAIN', 'ENDPOINT', 'TENANT', 'STATE', 'PROOF', 'IDENTITY', 'SINCE'],
    ...rows,
  ])
}

/** Whose domain the operator means; each only where it is given. */
export interface DomainOwner {
  readonly tenant: string | undefined
  readonly identity: string | undefined
}

/**
 * Takes a domain away from its identity, proved or not.
 *
 * @throws {UserError} exit code 2 for a text that is no domain, 1 when nobody has asked for it or it is not said whose.
 */
export async function removeDomainForOperator(
  store: Store,
  text: string,
  { tenant, identity }: DomainOwner,
): Promise<DomainClaim> {
  const domain = canonicalDomain(text)
  if (domain === undefined) throw new UserError(notADomain(text), { exitCode: EXIT.usage })
  const owner = {
    ...(tenant !== undefined && { tenant }),
    ...(identity !== undefined && { identity }),
  }
  const found = findClaim(store.domains, domain, owner)
  const hint = 'adit-server domain list shows the domains with their identities'
  if (found === 'several') {
    throw new UserError(`several identities have asked for ${domain}`, {
      exitCode: EXIT.failed,
      hint: `select one with --identity or --tenant; ${hint}`,
    })
  }
  const removed = found === 'none' ? undefined : await store.domains.remove(found.value)
  if (removed === undefined) {
    throw new UserError(`${domain} was not asked for`, { exitCode: EXIT.failed, hint })
  }
  const { endpoint } = removed
  store.audit.write('domain.removed', {
    domain,
    endpoint,
    tenant: removed.tenant,
    identity: removed.identity,
    by: 'operator',
  })
  return removed
}
