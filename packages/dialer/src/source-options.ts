// Source addresses as the caller asks for them. What this host can do about it is looked up at each
// dial, in current-sources.ts.

import { isConfigError, parseSourceAddress } from '@proj/config/address'

/** Where a connection leaves from. With a proxy this is about the connection to the proxy. */
export interface SourceOptions {
  /**
   * Source address, or several: addresses of different families are used side by side, further
   * ones of the same family are tried after the earlier ones failed. Forms: `192.0.2.7`,
   * `192.0.2.7:4000`, `2001:db8::7`, `[2001:db8::7]:4000`, `fe80::1%eth0`. Families that are not
   * listed are not used. An unspecified address (`0.0.0.0`, `::`) means the system chooses.
   * Default: the system chooses. On Linux a source address does not choose the interface the
   * packets leave by, the route table does: see `explainRoute()`.
   */
  readonly localAddress?: string | readonly string[] | undefined
  /**
   * Source port for the addresses that name none, 1 to 65535. Addresses are then tried one after
   * the other. Default: the system chooses.
   */
  readonly localPort?: number | undefined
  /**
   * Use the addresses this interface has at the moment of the dial; link-local ones only towards a
   * link-local target. Excludes `localAddress`. Default: none.
   */
  readonly interface?: string | undefined
  /**
   * Tie the socket to this device (SO_BINDTODEVICE, Linux), so that it does choose the way out.
   * Fails with DIAL_BIND_DEVICE where that is not possible, never falls back. Default: none.
   */
  readonly device?: string | undefined
}

/** Checked source options. */
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
 * Checks the form of source options; touches nothing of the system.
 * @throws {TypeError | RangeError} naming the option and its value
 */
export function resolveSources(options: SourceOptions): SourcePlan {
  const { localAddress, localPort, device } = options
  if (localPort !== undefined) checkPort('localPort', localPort)
  if (localAddress !== undefined && options.interface !== undefined) {
    throw new TypeError('localAddress and interface exclude each other')
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

function checkPort(name: string, port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`${name} must be an integer between 1 and 65535, got ${String(port)}`)
  }
}
