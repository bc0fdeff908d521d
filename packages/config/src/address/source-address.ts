import { isIPv6 } from 'node:net'

import { formatHostPort, refuser, splitAddress, withUsefulHint } from './split-address.ts'
import { parseHost } from './host.ts'

/** An address of this machine that outgoing connections are made from. */
export interface SourceAddress {
  /** Canonical IP literal without brackets, zone kept. */
  readonly host: string
  /** Family of `host`. */
  readonly family: 'ipv4' | 'ipv6'
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
}

/**
 * Reads a source address: an IP address of this machine and optionally a port.
 *
 * An IPv6 address may stand without brackets when no port follows; a text such as
 * `2001:db8::1:8080` therefore is an address without port.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID, also for names: those of interfaces have a setting
 *   of their own
 */
export function parseSourceAddress(text: string): SourceAddress {
  return withUsefulHint(text, readSourceAddress)
}

function readSourceAddress(text: string): SourceAddress {
  const refuse = refuser(text)
  if (isIPv6(text.replace(/%.*$/, ''))) {
    return { host: parseHost(text, true, refuse).host, family: 'ipv6', port: 0 }
  }
  const parts = splitAddress(text, '')
  if ('kind' in parts || parts.forced !== undefined || parts.host === undefined) {
    return refuse('a source address is an IP address of this machine', {
      write: '192.168.1.100',
    })
  }
  const { host, hostKind } = parts.host
  if (hostKind !== 'ipv4' && hostKind !== 'ipv6') {
    return refuse(
      `${hostKind === 'localhost' ? 'localhost' : 'a name'} is not a source address`,
      'write an IP address such as 192.168.1.100; an interface has its own setting',
    )
  }
  return { host, family: hostKind, port: parts.port ?? 0 }
}

/** Writes a source address so that {@link parseSourceAddress} gives the same one back. */
export function formatSourceAddress(address: SourceAddress): string {
  return address.port === 0 ? address.host : formatHostPort(address.host, address.port)
}
