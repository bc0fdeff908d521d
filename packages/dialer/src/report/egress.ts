// How the kernel would send a packet, without sending one. To connect a datagram socket sends nothing,
// but makes the kernel choose source and route. This ignores policy rules for the source address; on
// Linux the program `ip` asks the kernel with these rules.

import { execFile } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { networkInterfaces } from 'node:os'

import { withoutZone } from '../endpoint.ts'
import type { ResolvedAddress } from '../connect/lookup.ts'

// The kernel answers within microseconds; this is for a program that does not end.
const IP_TIMEOUT_MS = 2_000

/** The route to one destination. */
export interface Egress {
  /** IP address that the route leads to. */
  readonly destination: string
  /** Source address of the packets; absent when there is no route. */
  readonly source?: string
  /** Interface that has this source address. */
  readonly sourceInterface?: string
  /** Interface through which packets leave; absent when there is no route. */
  readonly interface?: string
  /** Commands that make packets of this source leave through its own interface, if they do not. */
  readonly remedy?: readonly string[]
}

/**
 * Finds the route to a destination.
 * @param source - source address of the socket; undefined when the system chooses
 */
export async function findEgress(
  destination: ResolvedAddress,
  source: string | undefined,
): Promise<Egress> {
  const { address } = destination
  const chosen = await kernelSource(destination)
  const from = source ?? chosen
  if (from === undefined) return { destination: address }
  const sourceInterface = interfaceOf(from)
  const route = await ipRoute(address, source, undefined)
  const byTable = chosen === undefined ? undefined : interfaceOf(chosen)
  const leaving = route?.dev ?? byTable
  const base: Egress = {
    destination: address,
    source: from,
    ...(sourceInterface === undefined ? {} : { sourceInterface }),
    ...(leaving === undefined ? {} : { interface: leaving }),
  }
  // On Linux the route table chooses the interface; on other systems the source address does.
  const elsewhere =
    process.platform === 'linux' &&
    sourceInterface !== undefined &&
    leaving !== sourceInterface &&
    sourceInterface !== 'lo' &&
    leaving !== 'lo'
  if (!elsewhere) return base
  const own = await ipRoute(address, undefined, sourceInterface)
  return { ...base, remedy: policyRule(destination.family, from, sourceInterface, own?.gateway) }
}

/** Returns the source address the route table chooses; undefined without a route. */
function kernelSource({ address, family }: ResolvedAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
    const finish = (source: string | undefined): void => {
      socket.removeAllListeners()
      socket.close()
      resolve(source)
    }
    socket.once('error', () => finish(undefined))
    socket.once('connect', () => finish(socket.address().address))
    // Port 9 is "discard"; nothing is sent to it.
    socket.connect(9, address)
  })
}

function interfaceOf(address: string): string | undefined {
  const bare = withoutZone(address)
  return Object.entries(networkInterfaces()).find(([, list]) =>
    (list ?? []).some((item) => item.address === bare),
  )?.[0]
}

interface IpRoute {
  readonly dev: string
  readonly gateway?: string
}

/** Asks the kernel with the program `ip`; undefined without the program or a route. */
function ipRoute(
  destination: string,
  from: string | undefined,
  device: string | undefined,
): Promise<IpRoute | undefined> {
  const args = ['-json', 'route', 'get', withoutZone(destination)]
  if (from !== undefined) args.push('from', withoutZone(from))
  if (device !== undefined) args.push('oif', device)
  return new Promise((resolve) => {
    if (process.platform !== 'linux') {
      resolve(undefined)
      return
    }
    execFile('ip', args, { timeout: IP_TIMEOUT_MS }, (error, stdout) => {
      resolve(error === null ? parseIpRoute(stdout) : undefined)
    })
  })
}

function parseIpRoute(json: string): IpRoute | undefined {
  try {
    const [route] = JSON.parse(json) as readonly {
      readonly dev?: unknown
      readonly gateway?: unknown
    }[]
    if (typeof route?.dev !== 'string') return undefined
    return {
      dev: route.dev,
      ...(typeof route.gateway === 'string' ? { gateway: route.gateway } : {}),
    }
  } catch {
    return undefined
  }
}

function policyRule(
  family: 4 | 6,
  source: string,
  name: string,
  gateway: string | undefined,
): readonly string[] {
  const ip = family === 6 ? 'ip -6' : 'ip'
  const via = gateway ?? `<gateway of ${name}>`
  // 100 is free on common distributions, which reserve 0 and 253 to 255.
  return [
    `${ip} route add default via ${via} dev ${name} table 100`,
    `${ip} rule add from ${source} table 100`,
  ]
}
