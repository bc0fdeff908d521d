// Would listening work, and would it surprise? The first answer is the kernel's: the real sockets
// are opened and closed. Everything else is advice and never changes the verdict.
import { errnoOf, verdictOf } from './bind-verdict.ts'
import { isPortcheckError } from './errors.ts'
import { openPlan } from './open-plan.ts'
import type { Report } from './report.ts'
import { surpriseWarnings } from './surprises.ts'
import { type Plan, planWant } from './plan.ts'
import { readWant, type Want } from './want.ts'

/** The part of a report that one bind of a plan gives. */
export type Probed = Pick<
  Report,
  'endpoints' | 'bind' | 'errno' | 'failed' | 'warnings' | 'confidence'
>

/**
 * Finds out whether listening on `want` would succeed, with no lasting effect. A busy port is an
 * answer, not an error.
 * @throws {ConfigError | TypeError | RangeError} when the want is none.
 */
export async function probe(want: Want): Promise<Report> {
  return await reportOn(want, probePlan)
}

/** Plans a want, answers it by `look`, and adds what every report has. */
export async function reportOn(
  want: Want,
  look: (plan: Plan) => Promise<Probed & Partial<Report>>,
): Promise<Report> {
  const read = readWant(want)
  const start = performance.now()
  const answer = async (): Promise<Probed & Partial<Report>> => {
    try {
      return await look(await planWant(read))
    } catch (error) {
      // A name that does not resolve: the answer of the resolver is the answer.
      if (!isPortcheckError(error)) throw error
      const { errno = 'UNKNOWN' } = error
      return { endpoints: [], bind: 'bad-address', errno, warnings: [], confidence: 'certain' }
    }
  }
  const answered = await answer()
  return {
    want: read.text,
    holders: [],
    ...answered,
    platform: process.platform,
    tookMs: performance.now() - start,
  }
}

/** The verdict for a plan, with the warnings that do not depend on who holds the port. */
export async function probePlan(plan: Plan): Promise<Probed> {
  try {
    // A client that comes in this moment is turned away; the socket is closed in the same tick.
    const opened = await openPlan(plan, { backlog: 1, onConnection: (socket) => socket.destroy() })
    for (const { server } of opened.sockets) server.close()
    const endpoints = opened.sockets.map((socket) => socket.endpoint)
    const warnings = [...opened.warnings, ...(await surpriseWarnings(plan, opened))]
    return { endpoints, bind: 'free', warnings, confidence: 'certain' }
  } catch (error) {
    if (!isPortcheckError(error)) throw error
    const { errno = errnoOf(error.cause), address, port } = error
    const bind = verdictOf(errno)
    const tried = [...plan.endpoints, ...(plan.fallback === undefined ? [] : [plan.fallback])]
    const failed = tried.find((one) => one.host === address && one.port === port)
    return {
      endpoints: plan.endpoints,
      bind,
      errno,
      ...(failed === undefined ? {} : { failed }),
      warnings: [],
      confidence: bind === 'unknown' ? 'guess' : 'certain',
    }
  }
}
