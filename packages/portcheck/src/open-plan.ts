// Opens every socket of one plan, or none. What may be missing is decided by the plan: a family that
// this machine does not have, never a socket that somebody else holds.
import type { Socket } from 'node:net'

import { errnoOf, errorCodeOf, verdictOf } from './bind-verdict.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { PortcheckError } from './errors.ts'
import { type OpenedSocket, openServer } from './open-server.ts'
import { familyMissing, onlyOnPaper, reusePortIgnored } from './family-warnings.ts'
import { honoursReusePort } from './node-support.ts'
import { hasIPv6 } from './reachable-urls.ts'
import type { Plan } from './plan.ts'
import type { Warning } from './warnings.ts'

/** With port 0, how often another port is drawn because the second socket cannot have the first's. */
const MAX_DRAWS = 20

/** What {@link openPlan} needs to know beside the plan. */
export interface OpenPlanOptions {
  /** Length of the kernel's queue, per socket. */
  readonly backlog: number
  /** Receives every accepted socket. */
  readonly onConnection: (socket: Socket) => void
}

/** The sockets of one plan, open. */
export interface OpenedPlan {
  /** One or more listening sockets, all on the same port. */
  readonly sockets: readonly OpenedSocket[]
  /** What is not as written, such as a family this machine lacks. */
  readonly warnings: readonly Warning[]
}

/**
 * Opens the sockets of a plan.
 * @throws {PortcheckError} with a code for what the bind answered; nothing stays open.
 */
export async function openPlan(plan: Plan, options: OpenPlanOptions): Promise<OpenedPlan> {
  const { backlog, onConnection } = options
  const reusePort = plan.reusePort && honoursReusePort()
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
      ...(dual !== undefined && !hasIPv6() ? [onlyOnPaper(dual.endpoint)] : []),
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
