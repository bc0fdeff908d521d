// The sockets for a want. A want can need two sockets: for localhost, for a name, and for all addresses on
// systems where a dual-stack socket does not conflict with another program's IPv4 socket. On a machine
// with one IP family some of them are left out.
import { lookup } from 'node:dns/promises'
import { isIPv6 } from 'node:net'

import { isLinkLocal, type TcpListenAddress } from '@proj/config/address'

import { errnoOf } from './bind-verdict.ts'
import type { Endpoint } from '../endpoint.ts'
import { PortcheckError } from '../errors.ts'
import type { ReadWant } from './wanted-address.ts'

/**
 * Errors of a kernel without an address family: Linux without IPv6, FreeBSD without an IPv6 address or
 * with a family switched off by sysctl, and some kernels for `::`.
 */
const NO_FAMILY: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']

/** The meaning of a want on this machine. */
export interface Plan extends ReadWant {
  /** The sockets to open, in this order. */
  readonly endpoints: readonly Endpoint[]
  /**
   * Platform errors for which a socket is left out, if another one opens or there is a fallback. They
   * all mean "not on this machine"; a busy or denied port is never left out.
   */
  readonly absences: readonly string[]
  /** The socket to open when the only endpoint is left out. */
  readonly fallback: Endpoint | undefined
}

/**
 * Finds the sockets for a want: resolves names and chooses families.
 * @throws {PortcheckError} PORTCHECK_ADDRESS_INVALID when a name does not resolve.
 */
export async function planWant(
  want: ReadWant,
  platform: NodeJS.Platform = process.platform,
): Promise<Plan> {
  const { host, hostKind, family, port } = want.address
  const base = { ...want, absences: NO_FAMILY, fallback: undefined }
  if (hostKind === 'any' || (host === '::' && family === 'both')) {
    if (platform === 'linux' || platform === 'win32') {
      const fallback = { host: '0.0.0.0', port, dual: false }
      return { ...base, endpoints: [{ host: '::', port, dual: true }], fallback }
    }
    // On macOS and the BSDs a dual-stack socket does not conflict with another program's 0.0.0.0; OpenBSD
    // has no dual-stack sockets. With two sockets the conflict is an error everywhere.
    return { ...base, endpoints: singles(['0.0.0.0', '::'], port) }
  }
  if (hostKind === 'localhost') return { ...base, endpoints: singles(['127.0.0.1', '::1'], port) }
  if (hostKind === 'name') {
    const hosts = await resolveName(host, family)
    return { ...base, endpoints: singles(hosts, port), absences: ['EAFNOSUPPORT'] }
  }
  return { ...base, endpoints: singles([host], port), absences: [] }
}

/** Returns the same plan for another port. */
export function atPort(plan: Plan, port: number): Plan {
  return {
    ...plan,
    endpoints: plan.endpoints.map((endpoint) => ({ ...endpoint, port })),
    fallback: plan.fallback === undefined ? undefined : { ...plan.fallback, port },
  }
}

function singles(hosts: readonly string[], port: number): Endpoint[] {
  return hosts.map((host) => ({ host, port, dual: false }))
}

async function resolveName(name: string, family: TcpListenAddress['family']): Promise<string[]> {
  let found: { address: string }[]
  try {
    const number = family === 'both' ? 0 : family === 'ipv4' ? 4 : 6
    found = await lookup(name, { all: true, verbatim: true, family: number })
  } catch (cause) {
    const errno = errnoOf(cause)
    throw new PortcheckError('PORTCHECK_ADDRESS_INVALID', `cannot resolve ${name}: ${errno}`, {
      errno,
      address: name,
      cause,
    })
  }
  // Link-local results have no zone, which a bind needs.
  const hosts = new Set(
    found.map((answer) => answer.address).filter((host) => !isIPv6(host) || !isLinkLocal(host)),
  )
  if (hosts.size === 0) {
    throw new PortcheckError('PORTCHECK_ADDRESS_INVALID', `${name} has only link-local addresses`, {
      address: name,
    })
  }
  return [...hosts]
}
