import { type Endpoint, isHostLabel } from '@proj/tunnel/server'

import type { ResolvedProxyOptions } from './proxy-options.ts'

/** How visitors reach the proxy port. */
export interface ProxyAddress extends Pick<
  ResolvedProxyOptions,
  'baseDomain' | 'publicUrl' | 'tenantDomains'
> {
  /** Scheme of the port itself. */
  readonly scheme: 'http' | 'https'
  /** Port that is bound; undefined before it is. */
  readonly port: number | undefined
}

/**
 * URLs that visitors can open for an endpoint, which the proxy finds by its host name: below the domain
 * of the tenant, of `publicUrl` or of `baseDomain`, else below `localhost`, which needs no DNS. None for
 * a name that no host name can carry, and for a tenant without a domain.
 */
export function endpointUrls({ tenant, name }: Endpoint, address: ProxyAddress): string[] {
  const { baseDomain, publicUrl, tenantDomains, scheme, port } = address
  if (port === undefined || !isHostLabel(name)) return []
  const outside = publicUrl === undefined ? undefined : new URL(publicUrl)
  const domain =
    tenant === ''
      ? (outside?.hostname ?? baseDomain ?? 'localhost')
      : tenantDomains.find((one) => one.tenant === tenant)?.baseDomain
  if (domain === undefined) return []
  if (outside !== undefined) {
    return [
      `${outside.protocol}//${name}.${domain}${outside.port === '' ? '' : `:${outside.port}`}`,
    ]
  }
  return [new URL(`${scheme}://${name}.${domain}:${port}`).href.replace(/\/$/, '')]
}
