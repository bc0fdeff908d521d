// An address to listen on, as a user gives it. Parsing it does not use the network.
import { inspect } from 'node:util'

import {
  formatHostPort,
  formatListenAddress,
  type ListenAddress,
  parseListenAddress,
  type TcpListenAddress,
} from '@proj/config/address'

/** The parts of an address to listen on. */
export interface WantParts {
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
  /**
   * An IP address, `localhost` (both loopbacks), or a name (all its addresses). Absent or `*`: every
   * address, IPv6 and IPv4.
   */
  readonly host?: string
  /** Accept no IPv4. @default false */
  readonly ipv6Only?: boolean
  /**
   * Set SO_REUSEPORT: the port is shared with other sockets that set it too. Needs Node 22.12 or newer
   * on Linux or FreeBSD; warning PC152 reports where it has no effect. @default false
   */
  readonly reusePort?: boolean
}

/**
 * An address to listen on: a port, an address as text (`127.0.0.1:80`, `[::]:80`, `:80`, `localhost:80`), an
 * address as `@proj/config` parses it, or its parts.
 */
export type Want = number | string | ListenAddress | WantParts

export interface ReadWant {
  /** The want as it was given. */
  readonly text: string
  readonly address: TcpListenAddress
  readonly reusePort: boolean
}

/**
 * Parses a want.
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID when it does not follow the grammar for addresses.
 * @throws {TypeError | RangeError} when it is not an address, or not a TCP address.
 */
export function readWant(want: Want): ReadWant {
  if (typeof want === 'string') return { text: want, address: parseTcp(want), reusePort: false }
  if (typeof want === 'object' && want !== null && 'kind' in want) {
    return { text: formatListenAddress(want), address: tcpOnly(want), reusePort: false }
  }
  const parts = typeof want === 'number' ? { port: want } : want
  if (typeof parts !== 'object' || parts === null) {
    throw new TypeError(`want must be a port, an address or its parts, got ${inspect(parts)}`)
  }
  const { host = '*', port, ipv6Only = false, reusePort = false } = parts
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port must be an integer from 0 to 65535, got ${inspect(port)}`)
  }
  const place = formatHostPort(host === '' ? '*' : host, port)
  const address = parseTcp(ipv6Only ? `tcp6://${place}` : place)
  return { text: formatListenAddress(address), address, reusePort }
}

function parseTcp(text: string): TcpListenAddress {
  return tcpOnly(parseListenAddress(text))
}

function tcpOnly(address: ListenAddress): TcpListenAddress {
  if (address.kind === 'tcp') return address
  throw new TypeError(`${formatListenAddress(address)} is not a TCP address`)
}
