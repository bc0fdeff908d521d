// From a want to the sockets that have to be opened for it. A want may need two sockets (localhost,
// names, all addresses on systems where one dual-stack socket would let a stranger keep IPv4), and
// some of them may be missing on a machine with one IP family.
import { lookup } from 'node:dns/promises'
import { isIPv6 } from 'node:net'

import type { TcpListenAddress } from '@proj/config/address'

import { errnoOf } from './bind-verdict.ts'
import type { Endpoint } from './endpoint.ts'
import { PortcheckError } from './errors.ts'
import type { ReadWant } from './want.ts'

/**
 * How kernels answer for a family they do not have: Linux without IPv6, FreeBSD without an IPv6
 * address or a family switched off by sysctl, and some kernels for `::`.
 */
const NO_FAMILY: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']

/** What a want means on this machine. */
export interface Plan extends ReadWant {
  /** The sockets to open, in this order. */
  readonly endpoints: readonly Endpoint[]
  /**
   * The platform errors for which a socket may be left out, as long as one opens or there is a
   * fallback. They all say "not on this machine"; a busy or forbidden port is never left out.
   */
  readonly absences: readonly string[]
  /** Opened instead, when the only endpoint is left out. */
  readonly fallback: Endpoint | undefined
}

/**
 * Works out the sockets for a want: resolves names, decides families.
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
    // macOS and the BSDs let a dual-stack socket bind beside a stranger's 0.0.0.0, silently; OpenBSD
    // has no dual-stack sockets. Two sockets make the conflict an error everywhere.
    return { ...base, endpoints: singles(['0.0.0.0', '::'], port) }
  }
  if (hostKind === 'localhost') return { ...base, endpoints: singles(['127.0.0.1', '::1'], port) }
  if (hostKind === 'name') {
    const hosts = await resolveName(host, family)
    return { ...base, endpoints: singles(hosts, port), absences: ['EAFNOSUPPORT'] }
  }
  return { ...base, endpoints: singles([host], port), absences: [] }
}

/** The same plan on another port. */
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
  // Link-local answers come without the zone that a bind needs.
  const hosts = new Set(
    found
      .map((answer) => answer.address)
      .filter((host) => !isIPv6(host) || !/^fe[89ab]/i.test(host)),
  )
  if (hosts.size === 0) {
    throw new PortcheckError('PORTCHECK_ADDRESS_INVALID', `${name} has only link-local addresses`, {
      address: name,
    })
  }
  return [...hosts]
}
