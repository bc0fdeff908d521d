import { networkInterfaces } from 'node:os'

import { formatHostPort } from '@proj/config/address'

/** An address that a listener has bound. */
export interface BoundHost {
  /** IP address, or a wildcard. */
  readonly host: string
  readonly port: number
}

type Interfaces = ReturnType<typeof networkInterfaces>

/** Addresses that are reached from the own network alone: RFC 1918, and RFC 4193 for IPv6. */
const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|f[cd][0-9a-f]{2}:)/

/**
 * Where the other nodes reach this one: the address that was bound, or for a wildcard the first private address of
 * this machine, else any other one, as Piko does it.
 *
 * @param interfaces - of this machine. Default: those of the system.
 */
export function advertisedAddress(
  { host, port }: BoundHost,
  interfaces: Interfaces = networkInterfaces(),
): string {
  if (host !== '0.0.0.0' && host !== '::') return formatHostPort(host, port)
  const all = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address))
    .toSorted((a, b) => Number(b.family === 'IPv4') - Number(a.family === 'IPv4'))
  const found = all.find(({ address }) => PRIVATE.test(address)) ?? all[0]
  return formatHostPort(found?.address ?? '127.0.0.1', port)
}
