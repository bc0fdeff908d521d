// Finds a free port by claiming it, so that it stays free. A port number alone can be busy when it is
// used.
import { inspect } from 'node:util'
import type { PortRange } from '@proj/config/address'
import { type Claim, claimPlan, type ClaimOptions } from './claim.ts'
import { isPortcheckError, PortcheckError } from '../errors.ts'
import { type WarningCode } from '../warnings.ts'
import { atPort, type Plan, planWant } from './plan.ts'
import { readWant } from './wanted-address.ts'

/** Without a range: most ports that the system is asked for. */
const MAX_DRAWS = 20

/** Warnings for a port that another program has too; such a port is skipped. */
const SHARED: ReadonlySet<WarningCode> = new Set(['PC101', 'PC102', 'PC103'])

/** Which port to find. */
export interface FindFreeOptions extends ClaimOptions {
  /** Host as in a Want. @default every address, IPv6 and IPv4 */
  readonly host?: string
  /**
   * Ports to try first, in this order, 1 to 65535. When none of them is free, the search goes on as
   * without this option. @default []
   */
  readonly prefer?: readonly number[]
  /** Ports to choose from, both ends included, 1 to 65535. @default a port that the system chooses */
  readonly range?: PortRange
  /** Ports to skip, in addition to those that browsers block. @default [] */
  readonly avoid?: readonly number[]
  /**
   * Returns a number in [0, 1): the place in the range where the search starts, so that parallel
   * searches do not try the same ports. @default Math.random
   */
  readonly random?: () => number
  /** Ends the search; the call rejects with the reason of the signal. */
  readonly signal?: AbortSignal
}

/**
 * Claims a free port that is free on the other IP family too.
 * @throws {PortcheckError} PORTCHECK_RANGE_EXHAUSTED when there is none; another code when the host
 *   cannot be bound.
 */
export async function findFree(options: FindFreeOptions = {}): Promise<Claim> {
  const { host, prefer = [], range, avoid = [], random = Math.random, signal } = options
  signal?.throwIfAborted()
  const read = readWant(host === undefined ? 0 : { host, port: 0 })
  const rest = range === undefined ? draws() : walk(resolveRange(range), random())
  const candidates = inOrder(resolvePreferred(prefer), rest)
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

/** Busy ports, and ports that the system reserves, do not end the search. */
function isSkippable(error: unknown): boolean {
  return (
    isPortcheckError(error, 'PORTCHECK_PORT_BUSY') ||
    isPortcheckError(error, 'PORTCHECK_PORT_DENIED')
  )
}

function* inOrder(first: Iterable<number>, then: Iterable<number>): Generator<number> {
  yield* first
  yield* then
}

function* draws(): Generator<number> {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) yield 0
}

function* walk({ first, last }: PortRange, start: number): Generator<number> {
  const size = last - first + 1
  const offset = Math.floor(start * size)
  for (let step = 0; step < size; step += 1) yield first + ((offset + step) % size)
}

function resolvePreferred(ports: readonly number[]): readonly number[] {
  const wrong = ports.find((port) => !isPort(port))
  if (wrong === undefined) return ports
  throw new RangeError(`prefer must be ports from 1 to 65535, got ${inspect(wrong)}`)
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

// Ports that browsers block: https://fetch.spec.whatwg.org/#port-blocking.
const BAD_PORTS: ReadonlySet<number> = new Set([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
  103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
  512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
  995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
  6669, 6679, 6697, 10080,
])

/** Tells whether a free port must not be chosen: browsers block it, or AirPlay of macOS uses it too. */
export function isUnsafePort(port: number, platform: NodeJS.Platform = process.platform): boolean {
  return BAD_PORTS.has(port) || (platform === 'darwin' && (port === 5000 || port === 7000))
}
