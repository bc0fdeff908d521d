// Opens every socket of one plan, or none. A socket can be left out only when this machine does not have
// its address family, never when another program holds it.
import { isIPv6, type Socket } from 'node:net'
import { errnoOf, errorCodeOf, verdictOf } from './bind-verdict.ts'
import { type Endpoint, formatEndpoint } from '../endpoint.ts'
import { PortcheckError } from '../errors.ts'
import { supportsReusePort, type OpenedSocket, openServer } from './open-server.ts'
import { hasIPv6 } from '../reachable.ts'
import type { Plan } from './plan.ts'
import { type Warning, warning } from '../warnings.ts'

/** With port 0: most ports that are tried until one is free for all sockets of the plan. */
const MAX_DRAWS = 20

/** Options of {@link openPlan}. */
export interface OpenPlanOptions {
  /** Length of the kernel's queue of connections that are not accepted yet, per socket. */
  readonly backlog: number
  /** Receives every accepted socket. */
  readonly onConnection: (socket: Socket) => void
}

/** The open sockets of one plan. */
export interface OpenedPlan {
  /** One or more listening sockets, all on the same port. */
  readonly sockets: readonly OpenedSocket[]
  /** Differences from the given address, such as a missing family. */
  readonly warnings: readonly Warning[]
}

/**
 * Opens the sockets of a plan.
 * @throws {PortcheckError} with the code for the failed bind; no socket stays open.
 */
export async function openPlan(plan: Plan, options: OpenPlanOptions): Promise<OpenedPlan> {
  const { backlog, onConnection } = options
  const reusePort = plan.reusePort && supportsReusePort()
  const how = { backlog, onConnection, reusePort }
  for (let draw = 1; ; draw += 1) {
    const sockets: OpenedSocket[] = []
    const missing: Missing[] = []
    try {
      let drawn = 0
      for (const endpoint of plan.endpoints) {
        const target = endpoint.port === 0 ? { ...endpoint, port: drawn } : endpoint
        const opened = await openOrMiss(target, plan.absences, how)
        if ('errno' in opened) {
          missing.push(opened)
        } else {
          sockets.push(opened)
          drawn = opened.endpoint.port
        }
      }
      return await settle(plan, sockets, missing, how)
    } catch (error) {
      for (const { server } of sockets) server.close()
      const redraw = errnoOf(error) === 'EADDRINUSE' && sockets.length > 0
      const random = plan.endpoints[0]?.port === 0
      if (!redraw || !random || draw === MAX_DRAWS) throw bindFailure(plan, error)
    }
  }
}

interface Missing {
  endpoint: Endpoint
  errno: string
  cause: unknown
}

type How = Parameters<typeof openServer>[1]

async function openOrMiss(
  endpoint: Endpoint,
  absences: readonly string[],
  how: How,
): Promise<OpenedSocket | Missing> {
  try {
    return await openServer(endpoint, how)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (absences.includes(errno)) return { endpoint, errno, cause }
    throw cause
  }
}

async function settle(
  plan: Plan,
  sockets: OpenedSocket[],
  missing: readonly Missing[],
  how: How,
): Promise<OpenedPlan> {
  const [first] = missing
  if (first !== undefined) {
    if (plan.fallback !== undefined) sockets.push(await openServer(plan.fallback, how))
    else if (sockets.length === 0) throw first.cause
  }
  const dual = sockets.find((socket) => socket.endpoint.dual)
  return {
    sockets,
    warnings: [
      ...missing.map((one) => familyMissing(one.endpoint, one.errno)),
      ...(dual !== undefined && !hasIPv6() ? [withoutIPv6(dual.endpoint)] : []),
      ...(plan.reusePort && !how.reusePort ? [reusePortIgnored()] : []),
    ],
  }
}

function bindFailure(plan: Plan, cause: unknown): PortcheckError {
  const errno = errnoOf(cause)
  const { address, port } = whereOf(cause, plan)
  const where = formatEndpoint({ host: address, port })
  const asked = where === plan.text ? where : `${plan.text} (${where})`
  return new PortcheckError(errorCodeOf(verdictOf(errno)), `cannot listen on ${asked}: ${errno}`, {
    errno,
    address,
    port,
    cause,
  })
}

function whereOf(cause: unknown, plan: Plan): { address: string; port: number } {
  const { host = '*', port = 0 } = plan.endpoints[0] ?? {}
  const seen = cause instanceof Error ? cause : {}
  return {
    address: 'address' in seen && typeof seen.address === 'string' ? seen.address : host,
    port: 'port' in seen && typeof seen.port === 'number' ? seen.port : port,
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EAFNOSUPPORT', 'this kernel does not support it'],
  ['EADDRNOTAVAIL', 'it is switched off or has no address'],
])

/** PC150: one family could not be opened and was left out. */
function familyMissing(endpoint: Endpoint, errno: string): Warning {
  const [gone, left] = isIPv6(endpoint.host) ? ['IPv6', 'IPv4'] : ['IPv4', 'IPv6']
  const reason = REASONS.get(errno) ?? 'the kernel rejected it'
  return warning(
    'PC150',
    `only ${left} clients can connect: ${gone} is not available, ${reason} (${errno})`,
    `nothing to do if this machine should have no ${gone}`,
    { endpoint: formatEndpoint(endpoint) },
  )
}

/** PC151: a dual-stack socket on a machine without an IPv6 address. */
function withoutIPv6(endpoint: Endpoint): Warning {
  return warning(
    'PC151',
    `only IPv4 clients can connect: ${formatEndpoint(endpoint)} is open, but no interface has an IPv6 address`,
    'nothing to do if this machine should have no IPv6',
    { endpoint: formatEndpoint(endpoint) },
  )
}

/** PC152: reusePort on a Node or a system that does not support it. */
function reusePortIgnored(): Warning {
  return warning(
    'PC152',
    `the port is not shared: Node ${process.versions.node} on ${process.platform} does not support reusePort`,
    'use Node 22.12 or newer on Linux or FreeBSD, or remove the option',
  )
}
