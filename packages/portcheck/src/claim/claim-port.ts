// A claim with a policy for a busy port: fail with the holder of the port, wait until it is free, or use
// the next port. `wait` retries the real claim, because no system reports when a port becomes free.
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'

import { blockersOf } from '../probe/blocked-warnings.ts'
import { type Claim, claimPlan, type ClaimOptions } from './claim.ts'
import { isPortcheckError, PortcheckError } from '../errors.ts'
import { limitOf } from '../limits.ts'
import { explainPlan } from '../probe/explain.ts'
import { describeHolder } from '../holders/holder.ts'
import { reportOn } from '../probe/probe.ts'
import { atPort, type Plan, planWant } from './plan.ts'
import { readWant, type Want } from './wanted-address.ts'

/** What to do when the port is busy. */
export interface ConflictOptions {
  /**
   * `fail` rejects; `wait` retries for `waitMs`; `next` uses the first free one of the `maxNext`
   * following ports. Only a busy port is a conflict. @default 'fail'
   */
  readonly conflict?: 'fail' | 'wait' | 'next'
  /** How long `wait` retries, ms; see PORTCHECK_LIMITS. */
  readonly waitMs?: number
  /** How many ports `next` tries after the given one; see PORTCHECK_LIMITS. */
  readonly maxNext?: number
  /** Called once when `wait` starts to wait, with an error that has the holder. */
  readonly onWait?: (error: PortcheckError) => void
  /** Ends the wait; the call rejects with the reason of the signal. */
  readonly signal?: AbortSignal
}

/** Pause between two attempts: short at first, for a restart, then long enough to cost little. */
const FIRST_PAUSE_MS = 20
const MAX_PAUSE_MS = 250

/**
 * Holds a port: opens every socket of `want` and listens.
 * @throws {PortcheckError} PORTCHECK_PORT_BUSY and the other codes of a failed bind, with a report.
 * @throws {ConfigError | TypeError | RangeError} when the want or an option is not valid.
 */
export async function claim(
  want: Want,
  options: ClaimOptions & ConflictOptions = {},
): Promise<Claim> {
  const read = readWant(want)
  options.signal?.throwIfAborted()
  return await claimWithPolicy(await planWant(read), options)
}

/** Claims a plan with the policy for a busy port. */
export async function claimWithPolicy(
  plan: Plan,
  options: ClaimOptions & ConflictOptions,
): Promise<Claim> {
  const { conflict, waitMs, maxNext } = resolveConflictOptions(options)
  try {
    if (conflict === 'wait') return await claimWaiting(plan, options, waitMs)
    if (conflict === 'next') return await claimNext(plan, options, maxNext)
    return await claimPlan(plan, options)
  } catch (error) {
    throw isPortcheckError(error) ? await withReport(error, plan) : error
  }
}

async function claimWaiting(
  plan: Plan,
  options: ClaimOptions & ConflictOptions,
  waitMs: number,
): Promise<Claim> {
  const { signal, onWait } = options
  const deadline = performance.now() + waitMs
  let reported = onWait === undefined
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    signal?.throwIfAborted()
    try {
      return await claimPlan(plan, options)
    } catch (error) {
      const left = deadline - performance.now()
      if (!isPortcheckError(error, 'PORTCHECK_PORT_BUSY') || left <= 0) throw error
      if (!reported) onWait?.(await withReport(error, plan))
      reported = true
      await pause(Math.min(pauseMs, left), signal)
    }
  }
}

async function claimNext(
  plan: Plan,
  options: ClaimOptions & ConflictOptions,
  maxNext: number,
): Promise<Claim> {
  const wanted = plan.endpoints[0]?.port ?? 0
  const last = wanted === 0 ? 0 : Math.min(wanted + maxNext, 65_535)
  for (let port = wanted; ; port += 1) {
    options.signal?.throwIfAborted()
    try {
      return await claimPlan(atPort(plan, port), options)
    } catch (error) {
      if (!isPortcheckError(error, 'PORTCHECK_PORT_BUSY') || port >= last) throw error
    }
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    // The timer rejects with an AbortError, but callers get the reason of the signal.
    signal?.throwIfAborted()
    throw error
  }
}

/** Adds a report on the port and its holder, as far as they can be found after the failure. */
async function withReport(error: PortcheckError, plan: Plan): Promise<PortcheckError> {
  const failedPlan = error.port === undefined ? plan : atPort(plan, error.port)
  const report = await reportOn(plan.address, async () => await explainPlan(failedPlan))
  const [holder] = report.failed === undefined ? [] : blockersOf(report.failed, report.holders)
  const [why] = report.warnings
  const named = holder?.state === 'listening' && why?.code !== 'PC133'
  const reason = named ? `held by ${describeHolder(holder)}` : (why?.text ?? '')
  const message = reason === '' ? error.message : `${error.message}, ${reason}`
  const { code, errno, address, port, cause } = error
  return new PortcheckError(code, message, { errno, address, port, cause, report })
}

function resolveConflictOptions(
  options: ConflictOptions,
): Required<Pick<ConflictOptions, 'conflict' | 'waitMs' | 'maxNext'>> {
  const { conflict = 'fail' } = options
  if (!['fail', 'wait', 'next'].includes(conflict)) {
    throw new TypeError(`conflict must be fail, wait or next, got ${inspect(conflict)}`)
  }
  return {
    conflict,
    waitMs: limitOf('waitMs', options.waitMs),
    maxNext: limitOf('maxNext', options.maxNext),
  }
}
