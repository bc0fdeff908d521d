import { endpointId, type RequestHead } from '@proj/http1'
import type { Endpoint } from '@proj/tunnel/server'

/** A tenant whose endpoints have hosts of their own. */
export interface TenantDomain {
  /** The tenant. */
  readonly tenant: string
  /** Domain below which its endpoints live. */
  readonly baseDomain: string
}

/**
 * Names the endpoint of a request, and whose it is: the tenant of `x-piko-tenant-id`, else of the longest
 * domain the host is below, else none.
 */
export function namedEndpoint(
  head: RequestHead,
  { baseDomain, tenantDomains }: NamingOptions,
): Endpoint | undefined {
  const domain =
    tenantDomains.length === 0 ? undefined : domainOf(head.hostParts.name, tenantDomains)
  const name = endpointId(head, { baseDomain: domain?.baseDomain ?? baseDomain })
  if (name === undefined) return undefined
  const tenant = head.header('x-piko-tenant-id')
  return { tenant: tenant || (domain?.tenant ?? ''), name }
}

/** How hosts are read. */
export interface NamingOptions {
  /** Domain of endpoints without a tenant. */
  readonly baseDomain: string | undefined
  /** Domains of tenants. */
  readonly tenantDomains: readonly TenantDomain[]
}

function domainOf(name: string, domains: readonly TenantDomain[]): TenantDomain | undefined {
  let found: TenantDomain | undefined
  for (const one of domains) {
    const isLonger = one.baseDomain.length > (found?.baseDomain.length ?? 0)
    if (isLonger && name.endsWith(`.${one.baseDomain}`)) found = one
  }
  return found
}
