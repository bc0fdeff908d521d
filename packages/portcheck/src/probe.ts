// Would listening work, and would it surprise? The first answer is the kernel's: the real sockets
// are opened and closed. Everything else is advice and never changes the verdict.
import { errnoOf, verdictOf } from './bind-verdict.ts'
import { isPortcheckError } from './errors.ts'
import { openPlan } from './open-plan.ts'
import type { Report } from './report.ts'
import { siblingWarnings } from './siblings.ts'
import { type Plan, planWant, readWant, type Want } from './want.ts'
import type { Warning } from './warnings.ts'

/**
 * Finds out whether listening on `want` would succeed, with no lasting effect. A busy port is an
 * answer, not an error.
 * @throws {ConfigError | TypeError | RangeError} when the want is none.
 */
export async function probe(want: Want): Promise<Report> {
  const read = readWant(want)
  const start = performance.now()
  const common = { want: read.text, holders: [], platform: process.platform }
  try {
    const plan = await planWant(read)
    const found = await probePlan(plan)
    return { ...common, ...found, tookMs: performance.now() - start }
  } catch (error) {
    // A name that does not resolve: the answer of the resolver is the answer.
    if (!isPortcheckError(error)) throw error
    const { errno = 'UNKNOWN' } = error
    return {
      ...common,
      endpoints: [],
      bind: 'bad-address',
      errno,
      warnings: [],
      confidence: 'certain',
      tookMs: performance.now() - start,
    }
  }
}

/** The verdict for a plan, with the warnings that need no look at other programs. */
export async function probePlan(
  plan: Plan,
): Promise<Pick<Report, 'endpoints' | 'bind' | 'errno' | 'failed' | 'warnings' | 'confidence'>> {
  let warnings: readonly Warning[]
  let endpoints = plan.endpoints
  try {
    // A client that comes in this moment is turned away; the socket is closed in the same tick.
    const opened = await openPlan(plan, { backlog: 1, onConnection: (socket) => socket.destroy() })
    for (const { server } of opened.sockets) server.close()
    warnings = opened.warnings
    endpoints = opened.sockets.map((socket) => socket.endpoint)
  } catch (error) {
    if (!isPortcheckError(error)) throw error
    const { errno = errnoOf(error.cause), address, port } = error
    const bind = verdictOf(errno)
    const failed = endpoints.find((one) => one.host === address && one.port === port)
    return {
      endpoints,
      bind,
      errno,
      ...(failed === undefined ? {} : { failed }),
      warnings: [],
      confidence: bind === 'unknown' ? 'guess' : 'certain',
    }
  }
  const siblings = await siblingWarnings(endpoints)
  return { endpoints, bind: 'free', warnings: [...warnings, ...siblings], confidence: 'certain' }
}
