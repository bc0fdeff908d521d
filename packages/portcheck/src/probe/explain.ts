// The result of `probe` with more facts: the holders of the port, the reason of a failed bind, and the next
// free ports.
import { blockedWarnings, blockersOf } from './blocked-warnings.ts'
import { findHolders } from '../holders/find-holders.ts'
import { ephemeralAdvice, otherAddresses } from './port-advice.ts'
import { probePlan, reportOn } from './probe.ts'
import type { Report } from '../report.ts'
import { atPort, type Plan } from '../claim/plan.ts'
import type { Want } from '../claim/wanted-address.ts'

/** Number of free ports in a report, and how many ports are tried. */
const MAX_ALTERNATIVES = 3
const MAX_DISTANCE = 20

/** Options of {@link explain}. */
export interface ExplainOptions {
  /** Include command lines of the caller's own processes. They can contain secrets. @default false */
  readonly commandLine?: boolean
}

/**
 * Finds out whether listening on `want` would succeed, and all known facts about it. Slower than `probe`:
 * it reads the processes of this machine, on macOS and Windows with their own tools.
 * @throws {ConfigError | TypeError | RangeError} when the want is not valid.
 */
export async function explain(want: Want, options: ExplainOptions = {}): Promise<Report> {
  return await reportOn(want, async (plan) => {
    const explained = await explainPlan(plan, options)
    if (explained.bind !== 'busy') return explained
    return { ...explained, alternatives: await findAlternatives(plan) }
  })
}

/** Returns the result for a plan without the next free ports; see {@link explain}. */
export async function explainPlan(
  plan: Plan,
  options: ExplainOptions = {},
): Promise<Awaited<ReturnType<typeof probePlan>> & Pick<Report, 'holders'>> {
  const probed = await probePlan(plan)
  const port = plan.endpoints[0]?.port ?? 0
  if (port === 0) return { ...probed, holders: [] }
  const found = await findHolders(port, options)
  const holders = found ?? []
  const failed = probed.failed ?? plan.endpoints[0]
  if (probed.bind === 'free' || failed === undefined) {
    const { warnings, endpoints } = probed
    const listening = holders.filter((holder) => holder.state === 'listening')
    const advice = [
      ...otherAddresses(endpoints, listening, warnings),
      ...(await ephemeralAdvice(port)),
    ]
    return { ...probed, warnings: [...warnings, ...advice], holders: listening }
  }
  const blocked = await blockedWarnings(probed.bind, failed, found)
  const warnings = [...probed.warnings, ...blocked]
  const blockers = probed.bind === 'busy' ? blockersOf(failed, holders) : []
  return { ...probed, warnings, holders: blockers }
}

async function findAlternatives(plan: Plan): Promise<number[]> {
  const port = plan.endpoints[0]?.port ?? 0
  const free: number[] = []
  const last = Math.min(port + MAX_DISTANCE, 65_535)
  for (let next = port + 1; next <= last && free.length < MAX_ALTERNATIVES; next += 1) {
    const { bind, warnings } = await probePlan(atPort(plan, next), false)
    if (bind === 'free' && !warnings.some((one) => one.code === 'PC101')) free.push(next)
  }
  return free
}
