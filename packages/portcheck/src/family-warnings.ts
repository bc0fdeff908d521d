// Warnings about what was asked for and is not there: IP families that this machine lacks or has
// only on paper, options that this Node does not obey.
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
    `nothing to do if this machine is meant to have no ${gone}`,
    { endpoint: formatEndpoint(endpoint) },
  )
}

/** PC151: a dual-stack socket on a machine without any IPv6 address. */
export function onlyOnPaper(endpoint: Endpoint): Warning {
  return warning(
    'PC151',
    `only IPv4 clients can connect: ${formatEndpoint(endpoint)} is open, but no interface has an IPv6 address`,
    'nothing to do if this machine is meant to have no IPv6',
    { endpoint: formatEndpoint(endpoint) },
  )
}

/** PC152: reusePort on a Node or a system that does not do it. */
export function reusePortIgnored(): Warning {
  return warning(
    'PC152',
    `the port is not shared: Node ${process.versions.node} on ${process.platform} does not do reusePort`,
    'use Node 22.12 or later on Linux or FreeBSD, or leave the option out',
  )
}
