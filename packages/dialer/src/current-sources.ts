// What the host can do about the sources a caller asked for, at the moment of a dial. Interfaces come
// and go, so names and zones are resolved anew each time, from os.networkInterfaces(), which lists
// the interfaces that are up and have an address.

import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

import { DialError } from './dial-error.ts'
import { isLinkLocal, isUnspecified } from './local-address.ts'
import type { SourceAddress, SourcePlan } from './source-options.ts'

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
