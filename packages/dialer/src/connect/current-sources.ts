// Which of the requested source addresses the host has at the moment of a dial. Interfaces change, so
// names and zones are resolved at each dial, with os.networkInterfaces(): it lists the interfaces that
// are up and have an address.

import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

import { isLinkLocal, isUnspecified } from '@proj/config/address'

import { DialError } from '../errors.ts'
import type { SourceAddress, SourcePlan } from './source-options.ts'

/**
 * Finds the source addresses that the host has now.
 * @param linkLocalTarget - whether the target is a link-local address
 * @returns sources in order of preference; undefined when the system chooses
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
    // RFC 6724 section 5, rule 2: prefer a link-local source for a link-local target.
    .toSorted((a, b) => Number(isLinkLocal(b.address)) - Number(isLinkLocal(a.address)))
  if (sources.length > 0) return sources
  const up = Object.keys(all).join(', ') || 'none'
  // Linux lists every interface below /sys, also an interface that is down and not in the list above.
  if (list.length > 0 || existsSync(`/sys/class/net/${encodeURIComponent(name)}`)) {
    throw new DialError(
      'DIAL_BIND_INTERFACE_DOWN',
      `interface ${JSON.stringify(name)} is down or has no usable address`,
      { phase: 'bind', leg: 'local', hint: `interfaces that are up: ${up}` },
    )
  }
  throw new DialError(
    'DIAL_BIND_INTERFACE_UNKNOWN',
    `there is no interface ${JSON.stringify(name)}`,
    {
      phase: 'bind',
      leg: 'local',
      hint: `interfaces that are up: ${up}`,
    },
  )
}

/**
 * Rejects an unknown zone: libuv would use the first link-local interface instead, so the packets
 * would leave through another link without an error.
 */
function checkZone(address: string): void {
  const zone = address.split('%')[1]
  const names = Object.keys(networkInterfaces())
  if (zone === undefined || names.includes(zone)) return
  throw new DialError('DIAL_BIND_ZONE', `source ${address}: the interface in its zone is not up`, {
    phase: 'bind',
    leg: 'local',
    hint: `use one of the zones ${names.map((name) => `%${name}`).join(', ')}`,
  })
}

/** Lists the addresses of this host, such as `eth0 192.0.2.7, lo 127.0.0.1`, for hints. */
export function listLocalAddresses(): string {
  return Object.entries(networkInterfaces())
    .flatMap(([name, list]) => (list ?? []).map((item) => `${name} ${item.address}`))
    .join(', ')
}
