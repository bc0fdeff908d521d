import { type Endpoint, isHostLabel } from '@proj/tunnel/server'

import type { ResolvedProxyOptions } from './proxy-options.ts'

/** How visitors reach the proxy port. */
export interface ProxyAddress extends Pick<
  ResolvedProxyOptions,
  'baseDomains' | 'publicUrl' | 'tenantDomains'
> {
  /** Scheme of the port itself. */
  readonly scheme: 'http' | 'https'
  /** Port that is bound; undefined before it is. */
  readonly port: number | undefined
}

/**
 * URLs that visitors can open for an endpoint, which the proxy finds by its host name: below the domain
 * of the tenant, of `publicUrl` or of each of `baseDomains`, else below `localhost`, which needs no DNS. None for
 * a name that no host name can carry, and for a tenant without a domain. Those of its own domains come first.
 *
 * @param own - domains that lead to it.
 */
export function endpointUrls(
  { tenant, name }: Endpoint,
  address: ProxyAddress,
  own: readonly string[] = [],
): string[] {
  const { baseDomains, publicUrl, tenantDomains, scheme, port } = address
  if (port === undefined) return []
  const outside = publicUrl === undefined ? undefined : new URL(publicUrl)
  const fallback = baseDomains.length === 0 ? ['localhost'] : baseDomains
  const domains =
    tenant === ''
      ? outside === undefined
        ? fallback
        : [outside.hostname]
      : tenantDomains.filter((one) => one.tenant === tenant).map((one) => one.baseDomain)
  const below = isHostLabel(name) ? domains.map((domain) => `${name}.${domain}`) : []
  return [...own, ...below].map((host) => {
    if (outside === undefined) return new URL(`${scheme}://${host}:${port}`).href.replace(/\/$/, '')
    return `${outside.protocol}//${host}${outside.port === '' ? '' : `:${outside.port}`}`
  })
}
