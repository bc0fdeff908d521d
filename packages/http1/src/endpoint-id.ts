/**
 * Finds the endpoint a request is for, as Piko does: the header `x-piko-endpoint`, verbatim, or the
 * first label of Host. Beyond Piko, an id from Host is in lower case, because host names are, and a
 * base domain can be demanded, so that unrelated names pointing here do not become endpoints.
 */

import type { RequestHead } from './request-head.ts'

/** How hosts are read. */
export interface EndpointIdOptions {
  /**
   * Domain below which endpoints live, as in `tunnel.example.com`; case does not matter. Then only
   * `<id>.<baseDomain>` gives an id: exactly one label in front. Without it the first label of any
   * name with a dot is the id.
   * @default undefined
   */
  readonly baseDomain?: string | undefined
}

/**
 * Returns the endpoint id of a request, or undefined if it has none: an address, a name without a
 * dot, a name outside the base domain. An empty header counts as absent; of several the first counts.
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
