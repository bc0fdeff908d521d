import { isHostLabel } from '@proj/tunnel'

/**
 * Where visitors reach an endpoint: its URLs, or else the command that a consumer runs, or the header
 * for a name that no host name can carry.
 */
export function visitorAddresses({
  endpoint,
  kind,
  urls,
}: {
  readonly endpoint: string
  readonly kind: 'http' | 'tcp'
  readonly urls: readonly string[]
}): readonly string[] {
  const direct = kind === 'http' ? urls : urls.filter((url) => url.startsWith('tcp:'))
  if (direct.length > 0) return direct
  const isByHeader = kind === 'http' && !isHostLabel(endpoint)
  return [isByHeader ? `only by header x-piko-endpoint: ${endpoint}` : `adit access ${endpoint}`]
}
