// Warnings about IP families that this machine does not have, or has only on paper.
import { isIPv6 } from 'node:net'

import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { type Warning, warning } from './warnings.ts'

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EAFNOSUPPORT', 'this kernel does not have it'],
  ['EADDRNOTAVAIL', 'it is switched off or has no address here'],
])

/** PC150: one family could not be opened and was left out. */
export function familyMissing(endpoint: Endpoint, errno: string): Warning {
  const [gone, left] = isIPv6(endpoint.host) ? ['IPv6', 'IPv4'] : ['IPv4', 'IPv6']
  const reason = REASONS.get(errno) ?? 'the kernel refused it'
  return warning(
    'PC150',
    `only ${left} clients can connect: ${gone} is not available, ${reason} (${errno})`,
    `nothing to do if this machine is meant to have no ${gone}; write the ${left} address to silence this`,
    { endpoint: formatEndpoint(endpoint) },
  )
}
