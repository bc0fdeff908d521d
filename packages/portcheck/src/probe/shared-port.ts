// Other programs with the same port although the bind succeeds: on the other IP family; on an address
// that we also serve, on systems that allow a specific address and a wildcard at once; or with
// SO_REUSEPORT. Nothing fails, but `localhost` can reach one program in one browser and another in the
// next.
//
// On Linux they are in the table of sockets, which all users can read: a trial bind could take the port
// from a program that wants it in this moment. Within a family the kernel rejects every overlap, so only
// the loopback of a family that is not in use can be held by another program. Elsewhere, and without a
// table, they are found by trial binds.
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'

import { isLinkLocal, isUnspecified } from '@proj/config/address'
import { type Endpoint, formatEndpoint } from '../endpoint.ts'
import { findHolders } from '../holders/find-holders.ts'
import { describeHolder, type Holder, mayBlock } from '../holders/holder.ts'
import { readSocketTable } from '../holders/linux-socket-table.ts'
import { supportsReusePort, isHeld } from '../claim/open-server.ts'
import { type Warning, warning, type WarningCode } from '../warnings.ts'
import type { OpenedPlan } from '../claim/open-plan.ts'
import type { Plan } from '../claim/plan.ts'

/** A socket that another program must not hold. */
export interface Neighbour {
  readonly code: Extract<WarningCode, 'PC101' | 'PC102' | 'PC103'>
  readonly endpoint: Endpoint
  /**
   * How to find out. A trial bind of a wildcard makes the firewalls of macOS and Windows ask the user;
   * for a loopback the table of sockets is used there.
   */
  readonly by: 'bind' | 'table'
}

/** Warns about every neighbour of `endpoints` that another program holds. */
async function neighbourWarnings(
  endpoints: readonly Endpoint[],
  reusePort: boolean,
): Promise<Warning[]> {
  const port = endpoints[0]?.port ?? 0
  if (port === 0) return []
  const addresses = Object.values(networkInterfaces()).flatMap((infos) =>
    (infos ?? []).map((info) => info.address),
  )
  const suspects: Neighbour[] = []
  // With SO_REUSEPORT another program can have our address, and the table does not tell whose socket it is,
  // nor whether one on :: takes IPv4: only a trial bind does.
  const own = reusePort ? [] : endpoints
  const isSuspect = (one: Endpoint): Promise<boolean> =>
    reusePort ? isHeld(one) : isTaken(one, own)
  for (const neighbour of neighboursOf(endpoints, process.platform, addresses)) {
    if (neighbour.by === 'table' || (await isSuspect(neighbour.endpoint))) suspects.push(neighbour)
  }
  if (suspects.length === 0) return []
  const holders = await findHolders(port)
  return suspects.flatMap((neighbour) => neighbourWarning(neighbour, endpoints, own, holders))
}

/** Tells whether another socket than `own` holds an endpoint, or whether it can. */
async function isTaken(endpoint: Endpoint, own: readonly Endpoint[]): Promise<boolean> {
  const rows = process.platform === 'linux' ? await readSocketTable(endpoint.port) : undefined
  if (rows === undefined) return await isHeld(endpoint)
  return rows.some(
    ({ address, state }) =>
      state === 'listening' &&
      mayBlock({ host: address }, endpoint) &&
      !own.some(({ host }) => host === address),
  )
}

/** Returns the sockets that another program must not hold beside `endpoints`. */
export function neighboursOf(
  endpoints: readonly Endpoint[],
  platform: NodeJS.Platform,
  addresses: readonly string[],
): Neighbour[] {
  const at = (host: string): Endpoint => ({ host, port: endpoints[0]?.port ?? 0, dual: false })
  const loopback = missingLoopback(endpoints)
  const split: Neighbour[] =
    loopback === undefined ? [] : [{ code: 'PC101', endpoint: at(loopback), by: 'bind' }]
  if (platform === 'linux') return split
  // On other systems the trial bind succeeds although a wildcard of that family is held.
  if (loopback !== undefined) {
    split.push({ code: 'PC101', endpoint: at(wildcardOf(loopback)), by: 'table' })
  }
  const overlaps = endpoints.flatMap((endpoint): Neighbour[] => {
    const v6 = isIPv6(endpoint.host)
    if (!isUnspecified(endpoint.host)) {
      const by = ['127.0.0.1', '::1'].includes(endpoint.host) ? 'table' : 'bind'
      return [{ code: 'PC103', endpoint: at(wildcardOf(endpoint.host)), by }]
    }
    const specifics = ['127.0.0.1', '::1', ...addresses].filter(
      (address) => endpoint.dual || isIPv6(address) === v6,
    )
    return [...new Set(specifics)]
      .filter((address) => !isLinkLocal(address))
      .map((address) => ({ code: 'PC102', endpoint: at(address), by: 'bind' }))
  })
  return [...split, ...overlaps]
}

function wildcardOf(host: string): string {
  return isIPv6(host) ? '::' : '0.0.0.0'
}

/** Returns the other loopback of `localhost` when `endpoints` serve that of one family only. */
function missingLoopback(endpoints: readonly Endpoint[]): string | undefined {
  const serves = (...hosts: string[]): boolean => endpoints.some((one) => hosts.includes(one.host))
  const v4 = serves('127.0.0.1', '0.0.0.0') || endpoints.some((one) => one.dual)
  const v6 = serves('::1', '::')
  if (v4 === v6) return undefined
  return v4 ? '::1' : '127.0.0.1'
}

function neighbourWarning(
  neighbour: Neighbour,
  endpoints: readonly Endpoint[],
  own: readonly Endpoint[],
  holders: readonly Holder[] | undefined,
): Warning[] {
  const { code, endpoint, by } = neighbour
  const listening = (holders ?? (by === 'table' ? [] : undefined))?.filter(
    (holder) =>
      holder.state === 'listening' &&
      !own.some(({ host }) => host === holder.host) &&
      (by === 'table' ? holder.host === endpoint.host : mayBlock(holder, endpoint)),
  )
  // Outgoing connections and idle sockets accept no connections.
  if (listening?.length === 0) return []
  if (listening?.every((holder) => holder.relation === 'self') === true) return []
  const holder = listening?.[0]
  const where = formatEndpoint(endpoint)
  const fact = holder === undefined ? `another program holds ${where}` : describeHolder(holder)
  const { text, hint } = words(code, endpoint, endpoints, fact)
  return [warning(code, text, hint, { endpoint: where, holder })]
}

function words(
  code: Neighbour['code'],
  endpoint: Endpoint,
  endpoints: readonly Endpoint[],
  fact: string,
): { text: string; hint: string } {
  const { port } = endpoint
  const where = formatEndpoint(endpoint)
  if (code === 'PC101') {
    const wildcard = endpoints.some((one) => isUnspecified(one.host))
    return {
      text: `http://localhost:${port} may open another program instead of yours: ${fact}`,
      hint: `listen on both families (${wildcard ? '' : 'localhost'}:${port}) after that program has ended, or use another port`,
    }
  }
  if (code === 'PC102') {
    return {
      text: `${where} opens another program instead of yours: ${fact}`,
      hint: 'use another port, or stop that program',
    }
  }
  return {
    text: `another program would lose connections to you: ${fact}`,
    hint: 'use another port',
  }
}

// SO_REUSEPORT: several sockets of one user can have one port. With equal addresses the kernel distributes
// connections; otherwise the more specific address gets all of them, and a listener can get none without
// an error.
type SharingCode = Extract<WarningCode, 'PC102' | 'PC103' | 'PC104' | 'PC105' | 'PC106'>

/** Warns about sockets that share the port with `endpoints`, which use SO_REUSEPORT. */
async function sharingWarnings(endpoints: readonly Endpoint[]): Promise<Warning[]> {
  const found: Warning[] = []
  for (const endpoint of endpoints) {
    if (endpoint.port === 0 || !(await isTaken(endpoint, []))) continue
    const holders = (await findHolders(endpoint.port)) ?? []
    for (const holder of holders) {
      if (holder.state !== 'listening' || holder.relation === 'self') continue
      const code = sharingCode(endpoint, { ...holder, dual: await isDual(holder, holders) })
      if (code !== undefined) found.push(sharingWarning(code, endpoint, holder))
    }
  }
  return found
}

/** Returns the effect of sharing for `own`, measured on Linux; undefined when the addresses do not overlap. */
export function sharingCode(
  own: Endpoint,
  holder: Pick<Endpoint, 'host' | 'dual'>,
): SharingCode | undefined {
  const { host } = holder
  if (own.host === host && own.dual === holder.dual) return 'PC105'
  const overlaps = own.dual || holder.dual || isIPv4(own.host) === isIPv4(host)
  if (!overlaps) return undefined
  if (own.dual) return host === '0.0.0.0' ? 'PC104' : 'PC102'
  // A dual-stack holder gets all IPv6 connections, and an IPv6-only wildcard none.
  if (own.host === '::' && holder.dual) return 'PC106'
  if (isUnspecified(own.host)) return isUnspecified(host) ? 'PC103' : 'PC102'
  return isUnspecified(host) ? 'PC103' : undefined
}

/**
 * The socket table does not show whether `::` accepts IPv4; a trial bind of 0.0.0.0 does. With an IPv4
 * listener on the port, which makes that bind fail too, `::` counts as IPv6 only.
 */
async function isDual(holder: Holder, all: readonly Holder[]): Promise<boolean> {
  if (holder.host !== '::' || all.some((other) => isIPv4(other.host))) return false
  return await isHeld({ host: '0.0.0.0', port: holder.port, dual: false })
}

function sharingWarning(code: SharingCode, own: Endpoint, holder: Holder): Warning {
  const texts: Record<SharingCode, string> = {
    PC102: 'another program gets a part of your connections',
    PC103: 'another program would lose connections to you',
    PC104: 'you would get no IPv4 connections',
    PC105: 'connections are distributed between you and another program',
    PC106: 'you would get no connections',
  }
  return warning(
    code,
    `${texts[code]}: ${describeHolder(holder)} shares ${formatEndpoint(own)} with SO_REUSEPORT`,
    code === 'PC105' ? 'nothing to do if that program is one of yours' : 'use another port',
    { endpoint: formatEndpoint(own), holder },
  )
}

/** Warns about other programs with the same port, for sockets that are open or were a moment ago. */
export async function sharedPortWarnings(plan: Plan, opened: OpenedPlan): Promise<Warning[]> {
  const endpoints = opened.sockets.map((socket) => socket.endpoint)
  const reusePort = plan.reusePort && supportsReusePort()
  const sharing = reusePort ? await sharingWarnings(endpoints) : []
  return [...(await neighbourWarnings(endpoints, reusePort)), ...sharing]
}
