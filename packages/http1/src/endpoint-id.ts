/**
 * Finds the endpoint of a request as Piko does: the header `x-piko-endpoint` as sent, or the first
 * label of Host. Two things differ from Piko: an id from Host is in lower case, because host names
 * have no case, and a base domain can be required, so that other names which point to this server do
 * not become endpoints.
 */

import type { RequestHead } from './request-head.ts'

/** How an endpoint id is read from Host. */
export interface EndpointIdOptions {
  /**
   * Domain below which endpoints are found, such as `tunnel.example.com`; case is ignored. Only
   * `<id>.<baseDomain>` then has an id: exactly one label before the domain. Without this option the
   * first label of any name with a dot is the id.
   * @default undefined
   */
  readonly baseDomain?: string | undefined
}

/**
 * Returns the endpoint id of a request, or undefined if it has none: Host is an address, a name
 * without a dot, or a name outside the base domain. An empty header is ignored; the first of several
 * headers is used.
 */
export function endpointId(
  head: Pick<RequestHead, 'header' | 'hostParts'>,
  options: EndpointIdOptions = {},
): string | undefined {
  const named = head.header('x-piko-endpoint')
  if (named !== undefined && named !== '') return named
  const host = head.hostParts
  if (host.isAddress) return undefined
  return options.baseDomain === undefined
    ? firstLabel(host.name, host.hasFinalDot)
    : labelBelow(host.name, options.baseDomain.toLowerCase())
}

function firstLabel(name: string, hasFinalDot: boolean): string | undefined {
  const dot = name.indexOf('.')
  if (dot !== -1) return name.slice(0, dot)
  return hasFinalDot ? name : undefined
}

function labelBelow(name: string, baseDomain: string): string | undefined {
  const labelEnd = name.length - baseDomain.length - 1
  if (labelEnd < 1 || name[labelEnd] !== '.' || !name.endsWith(baseDomain)) return undefined
  const label = name.slice(0, labelEnd)
  return label.includes('.') ? undefined : label
}
