// A free port that stays free: found by claiming it. A bare number would be a guess by the time it
// is used.
import { inspect } from 'node:util'

import type { PortRange } from '@proj/config/address'

import { type Claim, claimPlan, type ClaimOptions } from './claim.ts'
import { isPortcheckError, PortcheckError } from './errors.ts'
import { isUnsafePort } from './unsafe-ports.ts'
import { type WarningCode } from './warnings.ts'
import { atPort, type Plan, planWant } from './plan.ts'
import { readWant } from './want.ts'

/** With no range, how many ports the system is asked for before giving up. */
const MAX_DRAWS = 20

/** Warnings that make a port unfit: another program has it too. */
const SHARED: ReadonlySet<WarningCode> = new Set(['PC101', 'PC102', 'PC103'])

/** What kind of port is wanted. */
export interface FindFreeOptions extends ClaimOptions {
  /** Host as in a want. @default every address, IPv6 and IPv4 */
  readonly host?: string
  /** Ports to choose from, both ends included, 1 to 65535. @default whatever the system draws */
  readonly range?: PortRange
  /** Ports never to choose, beside those that browsers refuse to open. @default [] */
  readonly avoid?: readonly number[]
  /**
   * Returns a number in [0, 1): where in the range the search begins, so that parallel searches do
   * not queue up behind each other. @default Math.random
   */
  readonly random?: () => number
  /** Ends the search; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/**
 * Claims a free port that nobody holds on the other IP family either.
 * @throws {PortcheckError} PORTCHECK_RANGE_EXHAUSTED when there is none; other codes when the host
 *   cannot be bound at all.
 */
export async function findFree(options: FindFreeOptions = {}): Promise<Claim> {
  const { host, range, avoid = [], random = Math.random, signal } = options
  signal?.throwIfAborted()
  const read = readWant(host === undefined ? 0 : { host, port: 0 })
  const candidates = range === undefined ? draws() : walk(resolveRange(range), random())
  const plan = await planWant(read)
  const avoided = new Set(avoid)
  let cause: unknown
  for (const port of candidates) {
    signal?.throwIfAborted()
    if (avoided.has(port) || isUnsafePort(port)) continue
    try {
      const claimed = await claimFree(atPort(plan, port), avoided, options)
      if (claimed !== undefined) return claimed
    } catch (error) {
      if (!isSkippable(error)) throw error
      cause = error
    }
  }
  const where = range === undefined ? 'any port' : `ports ${range.first} to ${range.last}`
  throw new PortcheckError('PORTCHECK_RANGE_EXHAUSTED', `no free port for ${where}`, { cause })
}

async function claimFree(
  plan: Plan,
  avoided: ReadonlySet<number>,
  options: ClaimOptions,
): Promise<Claim | undefined> {
  const claimed = await claimPlan(plan, options)
  const taken = avoided.has(claimed.port) || isUnsafePort(claimed.port)
  if (!taken && !claimed.warnings.some((one) => SHARED.has(one.code))) return claimed
  claimed.destroy()
  return undefined
}

/** Busy ports, and ports a system keeps for itself, do not end the search. */
function isSkippable(error: unknown): boolean {
  return (
    isPortcheckError(error, 'PORTCHECK_PORT_BUSY') ||
    isPortcheckError(error, 'PORTCHECK_PORT_DENIED')
  )
}

function* draws(): Generator<number> {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) yield 0
}

function* walk({ first, last }: PortRange, start: number): Generator<number> {
  const size = last - first + 1
  const offset = Math.floor(start * size)
  for (let step = 0; step < size; step += 1) yield first + ((offset + step) % size)
}

function resolveRange(range: PortRange): PortRange {
  const { first, last } = range
  if (!isPort(first) || !isPort(last) || last < first) {
    throw new RangeError(`range must be two ports, first to last, got ${inspect(range)}`)
  }
  return range
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
}
