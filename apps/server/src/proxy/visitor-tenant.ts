import { endpointId, type RequestHead } from '@proj/http1'

/** A tenant whose endpoints have hosts of their own. */
export interface TenantDomain {
  /** The tenant. */
  readonly tenant: string
  /** Domain below which its endpoints live. */
  readonly baseDomain: string
}

/** Which endpoint a request is for. */
export interface NamedEndpoint {
  /** Its tenant; '' is the usual one. */
  readonly tenant: string
  /** Its name there. */
  readonly endpoint: string
}

/**
 * Names the endpoint of a request, and whose it is: the tenant of `x-piko-tenant-id`, else of the longest
 * domain the host is below, else none.
 */
export function namedEndpoint(
  head: RequestHead,
  { baseDomain, tenantDomains }: NamingOptions,
): NamedEndpoint | undefined {
  const domain =
    tenantDomains.length === 0 ? undefined : domainOf(head.hostParts.name, tenantDomains)
  const endpoint = endpointId(head, { baseDomain: domain?.baseDomain ?? baseDomain })
  if (endpoint === undefined) return undefined
  const named = head.header('x-piko-tenant-id')
  return { tenant: named || (domain?.tenant ?? ''), endpoint }
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
