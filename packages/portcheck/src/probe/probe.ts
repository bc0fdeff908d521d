// Whether listening would succeed: the real sockets are opened and closed, so the result is that of the
// kernel. All other facts are warnings and do not change it.
import { errnoOf, verdictOf } from '../claim/bind-verdict.ts'
import { isPortcheckError } from '../errors.ts'
import { busyFirst, inTurn, openUndisturbed } from '../claim/open-undisturbed.ts'
import type { Report } from '../report.ts'
import { sharedPortWarnings } from './shared-port.ts'
import { type Plan, planWant } from '../claim/plan.ts'
import { readWant, type Want } from '../claim/wanted-address.ts'

/** The part of a report from one bind of a plan. */
export type Probed = Pick<
  Report,
  'endpoints' | 'bind' | 'errno' | 'failed' | 'warnings' | 'confidence'
>

/**
 * Finds out whether listening on `want` would succeed. No socket stays open. A busy port is a result,
 * not an error.
 * @throws {ConfigError | TypeError | RangeError} when the want is not valid.
 */
export async function probe(want: Want): Promise<Report> {
  return await reportOn(want, probePlan)
}

/** Plans a want, calls `look`, and adds the fields that every report has. */
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
      // A name that does not resolve is a result too.
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

/**
 * Returns the result for a plan, with the warnings that do not depend on the holder of the port.
 *
 * @param confirm - look again at a port that is busy; see {@link openUndisturbed}. Default: true.
 */
export async function probePlan(plan: Plan, confirm = true): Promise<Probed> {
  return await inTurn(plan, async () => await probeNow(plan, confirm))
}

async function probeNow(plan: Plan, confirm: boolean): Promise<Probed> {
  try {
    // A client that connects in this moment is disconnected; the socket is closed in the same tick.
    const opened = await openUndisturbed(
      await busyFirst(plan),
      { backlog: 1, onConnection: (socket) => socket.destroy() },
      confirm,
    )
    for (const { server } of opened.sockets) server.close()
    const endpoints = opened.sockets.map((socket) => socket.endpoint)
    const warnings = [...opened.warnings, ...(await sharedPortWarnings(plan, opened))]
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
