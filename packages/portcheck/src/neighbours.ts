// A port that binds may still have neighbours: the same port held on the other IP family, or, on
// systems that let a specific address and a wildcard coexist, on an address we also serve. Nothing
// fails, and a name such as `localhost` reaches one program in one browser and another in the next.
//
// Neighbours are found by trial binds, which need no rights and are right by definition. On Linux
// one is enough: within a family the kernel refuses every overlap, so only the loopback of a family
// that was left out can surprise. Addresses that share no name with ours are no neighbours.
import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'

import { type Endpoint, formatEndpoint, isWildcard } from './endpoint.ts'
import { findHolders } from './find-holders.ts'
import { describeHolder, type Holder, mayBlock } from './holder.ts'
import { isHeld } from './is-held.ts'
import { type Warning, type WarningCode, warning } from './warnings.ts'

/** A socket that would surprise if somebody had it. */
export interface Neighbour {
  readonly code: Extract<WarningCode, 'PC101' | 'PC102' | 'PC103'>
  readonly endpoint: Endpoint
  /**
   * How to find out. A trial bind of a wildcard would make the firewalls of macOS and Windows ask
   * the user, who only wanted the loopback: there the table of sockets must do.
   */
  readonly by: 'bind' | 'table'
}

/** Warns about every neighbour of `endpoints` that somebody else holds. */
export async function neighbourWarnings(endpoints: readonly Endpoint[]): Promise<Warning[]> {
  const port = endpoints[0]?.port ?? 0
  if (port === 0) return []
  const addresses = Object.values(networkInterfaces()).flatMap((infos) =>
    (infos ?? []).map((info) => info.address),
  )
  const suspects: Neighbour[] = []
  for (const neighbour of neighboursOf(endpoints, process.platform, addresses)) {
    if (neighbour.by === 'table' || (await isHeld(neighbour.endpoint))) suspects.push(neighbour)
  }
  if (suspects.length === 0) return []
  const holders = await findHolders(port)
  return suspects.flatMap((neighbour) => neighbourWarning(neighbour, endpoints, holders))
}

/** The sockets whose being held would surprise the users of `endpoints`. */
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
  // Elsewhere the trial bind succeeds beside a wildcard of that family.
  if (loopback !== undefined) {
    split.push({ code: 'PC101', endpoint: at(wildcardOf(loopback)), by: 'table' })
  }
  const overlaps = endpoints.flatMap((endpoint): Neighbour[] => {
    const v6 = isIPv6(endpoint.host)
    if (!isWildcard(endpoint.host)) {
      const by = ['127.0.0.1', '::1'].includes(endpoint.host) ? 'table' : 'bind'
      return [{ code: 'PC103', endpoint: at(wildcardOf(endpoint.host)), by }]
    }
    const specifics = ['127.0.0.1', '::1', ...addresses].filter(
      (address) => endpoint.dual || isIPv6(address) === v6,
    )
    return [...new Set(specifics)]
      .filter((address) => !/^fe[89ab]/i.test(address))
      .map((address) => ({ code: 'PC102', endpoint: at(address), by: 'bind' }))
  })
  return [...split, ...overlaps]
}

function wildcardOf(host: string): string {
  return isIPv6(host) ? '::' : '0.0.0.0'
}

/** The loopback that `localhost` also means, when `endpoints` serve that of one family only. */
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
  holders: readonly Holder[] | undefined,
): Warning[] {
  const { code, endpoint, by } = neighbour
  const listening = (holders ?? (by === 'table' ? [] : undefined))?.filter(
    (holder) =>
      holder.state === 'listening' &&
      (by === 'table' ? holder.host === endpoint.host : mayBlock(holder, endpoint)),
  )
  // Outgoing connections and idle sockets answer nobody.
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
    const wildcard = endpoints.some((one) => isWildcard(one.host))
    return {
      text: `http://localhost:${port} may open another program instead of yours: ${fact}`,
      hint: `listen on both families (${wildcard ? '' : 'localhost'}:${port}) once that program is gone, or use another port`,
    }
  }
  if (code === 'PC102') {
    return {
      text: `${where} opens another program instead of yours: ${fact}`,
      hint: 'use another port, or stop that program',
    }
  }
  return {
    text: `you would take connections away from another program: ${fact}`,
    hint: 'use another port',
  }
}
