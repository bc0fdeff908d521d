// Source addresses: what the caller asked for, and what this host can do about it at the moment of
// a dial. Interfaces come and go, so names and zones are resolved anew at every dial, from
// os.networkInterfaces(), which lists the interfaces that are up and have an address.

import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

import { isConfigError, parseSourceAddress } from '@proj/config'

import { DialError } from './dial-error.ts'

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

/**
 * Finds the sources that exist right now.
 * @param linkLocalTarget - whether the target is a link-local address
 * @returns sources in order of preference; undefined when the system is to choose
 * @throws {DialError} DIAL_BIND_INTERFACE_UNKNOWN, DIAL_BIND_INTERFACE_DOWN or DIAL_BIND_ZONE
 */
export function currentSources(
  plan: SourcePlan,
  linkLocalTarget: boolean,
): readonly SourceAddress[] | undefined {
  if (plan.interface !== undefined) return ofInterface(plan.interface, plan, linkLocalTarget)
  if (plan.addresses.length === 0) {
    if (plan.localPort === undefined) return undefined
    return [
      { family: 6, address: '::', port: plan.localPort },
      { family: 4, address: '0.0.0.0', port: plan.localPort },
    ]
  }
  if (
    plan.addresses.every((source) => isUnspecified(source.address) && source.port === undefined)
  ) {
    return plan.localPort === undefined
      ? undefined
      : currentSources({ ...plan, addresses: [] }, false)
  }
  return plan.addresses.map((source) => {
    checkZone(source.address)
    return { ...source, port: source.port ?? plan.localPort }
  })
}

/** True for `0.0.0.0` and `::`, which bind to nothing in particular. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/** Lists the addresses of this host, such as `eth0 192.0.2.7, lo 127.0.0.1`, for error hints. */
export function listLocalAddresses(): string {
  return Object.entries(networkInterfaces())
    .flatMap(([name, list]) => (list ?? []).map((item) => `${name} ${item.address}`))
    .join(', ')
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

function ofInterface(name: string, plan: SourcePlan, linkLocal: boolean): readonly SourceAddress[] {
  const all = networkInterfaces()
  const list = Object.hasOwn(all, name) ? (all[name] ?? []) : []
  const sources = list
    .map((item) => ({
      family: item.family === 'IPv6' ? (6 as const) : (4 as const),
      address:
        item.family === 'IPv6' && isLinkLocal(item.address)
          ? `${item.address}%${name}`
          : item.address,
      port: plan.localPort,
    }))
    .filter((source) => linkLocal || !isLinkLocal(source.address))
    // RFC 6724 section 5, rule 2: a link-local source fits a link-local target best.
    .toSorted((a, b) => Number(isLinkLocal(b.address)) - Number(isLinkLocal(a.address)))
  if (sources.length > 0) return sources
  const up = Object.keys(all).join(', ') || 'none'
  // Linux lists every interface below /sys, also one that is down and therefore missing above.
  if (list.length > 0 || existsSync(`/sys/class/net/${encodeURIComponent(name)}`)) {
    throw new DialError(
      'DIAL_BIND_INTERFACE_DOWN',
      `interface ${JSON.stringify(name)} is down or has no usable address`,
      { phase: 'bind', leg: 'local', hint: `interfaces that are up: ${up}` },
    )
  }
  throw new DialError('DIAL_BIND_INTERFACE_UNKNOWN', `no interface named ${JSON.stringify(name)}`, {
    phase: 'bind',
    leg: 'local',
    hint: `interfaces that are up: ${up}`,
  })
}

/** True for addresses that only mean something on one link (RFC 4291 2.5.6, RFC 3927). */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address) || address.startsWith('169.254.')
}

/**
 * libuv takes the first link-local interface when a zone is unknown, so a wrong one would silently
 * leave by another link.
 */
function checkZone(address: string): void {
  const zone = address.split('%')[1]
  const names = Object.keys(networkInterfaces())
  if (zone === undefined || names.includes(zone)) return
  throw new DialError('DIAL_BIND_ZONE', `source ${address} names an interface that is not up`, {
    phase: 'bind',
    leg: 'local',
    hint: `append one of: ${names.map((name) => `%${name}`).join(', ')}`,
  })
}
