// Source addresses as the options give them. Each dial finds out which of them this host has, in
// current-sources.ts.

import { isConfigError, parseSourceAddress } from '@proj/config/address'

import { checkPort } from '../endpoint.ts'

/** Source of a connection. With a proxy this is the connection to the proxy. */
export interface SourceOptions {
  /**
   * Source address, or a list. The first address of each family is tried at once, further addresses
   * of a family after the earlier ones failed. Forms: `192.0.2.7`, `192.0.2.7:4000`, `2001:db8::7`,
   * `[2001:db8::7]:4000`, `fe80::1%eth0`. A family without an address in the list is not used. With
   * an unspecified address (`0.0.0.0`, `::`) the system chooses. Default: the system chooses. On
   * Linux the route table chooses the interface, not the source address: see `explainRoute()`.
   */
  readonly localAddress?: string | readonly string[] | undefined
  /**
   * Source port for addresses without a port, 1 to 65535. Addresses are then tried one after another.
   * Default: the system chooses.
   */
  readonly localPort?: number | undefined
  /**
   * Use the addresses that this interface has at the moment of the dial; link-local addresses only
   * for a link-local target. Cannot be used with `localAddress`. Default: none.
   */
  readonly interface?: string | undefined
  /**
   * Bind the socket to this device (SO_BINDTODEVICE, Linux), so that packets leave through it. The
   * dial fails with DIAL_BIND_DEVICE where this is not possible. Default: none.
   */
  readonly device?: string | undefined
}

export interface SourcePlan {
  readonly addresses: readonly SourceAddress[]
  readonly localPort: number | undefined
  readonly interface: string | undefined
  readonly device: string | undefined
}

/** One source to bind to. */
export interface SourceAddress {
  readonly family: 4 | 6
  /** Address with its zone. */
  readonly address: string
  readonly port: number | undefined
}

/**
 * Checks source options, without a look at the system.
 * @throws {TypeError | RangeError} naming the option and its value
 */
export function resolveSources(options: SourceOptions): SourcePlan {
  const { localAddress, localPort, device } = options
  if (localPort !== undefined) checkPort('localPort', localPort)
  if (localAddress !== undefined && options.interface !== undefined) {
    throw new TypeError('set only one of localAddress and interface')
  }
  const texts = localAddress === undefined ? [] : [localAddress].flat()
  const addresses = texts.map(parseSource)
  return { addresses, localPort, interface: options.interface, device }
}

function parseSource(text: string): SourceAddress {
  try {
    const { host, family, port } = parseSourceAddress(text)
    return { family: family === 'ipv6' ? 6 : 4, address: host, port: port === 0 ? undefined : port }
  } catch (error) {
    if (!isConfigError(error)) throw error
    const hint = error.hint === undefined ? '' : `; ${error.hint}`
    throw new TypeError(`localAddress: ${error.message}${hint}`, { cause: error })
  }
}
