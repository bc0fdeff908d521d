// What a person writes when they want to listen somewhere. Reading it touches nothing.
import { inspect } from 'node:util'

import {
  formatHostPort,
  formatListenAddress,
  type ListenAddress,
  parseListenAddress,
  type TcpListenAddress,
} from '@proj/config/address'

/** An address to listen on, in parts. */
export interface WantParts {
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
  /**
   * IP literal, `localhost` (both loopbacks), or a name (all its addresses). Absent or `*`: every
   * address, IPv6 and IPv4.
   */
  readonly host?: string
  /** Take no IPv4. @default false */
  readonly ipv6Only?: boolean
  /**
   * Ask for SO_REUSEPORT: the port is shared with other sockets that ask too. Needs Node 22.12 and
   * a system that balances; warning PC152 says where it has no effect. @default false
   */
  readonly reusePort?: boolean
}

/**
 * Where to listen: a port, an address as text (`127.0.0.1:80`, `[::]:80`, `:80`, `localhost:80`), an
 * address as `@proj/config` parses it, or its parts.
 */
export type Want = number | string | ListenAddress | WantParts

/** A want that was read and understood. */
export interface ReadWant {
  /** The want as it was written. */
  readonly text: string
  readonly address: TcpListenAddress
  readonly reusePort: boolean
}

/**
 * Reads a want without touching the network.
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID when it does not follow the address grammar.
 * @throws {TypeError | RangeError} when it is no address at all, or not one of TCP.
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
