// Claiming with an answer to conflicts: say who holds the port, wait until it is free, or take the
// next one. Waiting tries the real claim again and again, since no system tells when a port becomes
// free; the moment it succeeds the port is ours.
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'

import { blockersOf } from './blocked-warnings.ts'
import { type Claim, claimPlan, type ClaimOptions } from './claim.ts'
import { isPortcheckError, PortcheckError } from './errors.ts'
import { explainPlan } from './explain.ts'
import { describeHolder } from './holder.ts'
import { reportOn } from './probe.ts'
import { atPort, type Plan, planWant } from './plan.ts'
import { readWant, type Want } from './want.ts'

/** How a conflict is met. */
export interface ConflictOptions {
  /**
   * `fail` rejects; `wait` tries again for `waitMs`; `next` takes the first free port of the
   * `maxNext` that follow. Only a busy port is a conflict. @default 'fail'
   */
  readonly conflict?: 'fail' | 'wait' | 'next'
  /** How long `wait` waits, in milliseconds; 0 or more, or Infinity. @default 10000 */
  readonly waitMs?: number
  /** How many ports `next` tries after the wanted one, 1 to 65535. @default 20 */
  readonly maxNext?: number
  /** Told once that `wait` has begun to wait, with an error that names the holder. */
  readonly onWait?: (error: PortcheckError) => void
  /** Ends the wait; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** The defaults of {@link ConflictOptions}. */
export const CONFLICT_DEFAULTS: Readonly<{
  conflict: 'fail' | 'wait' | 'next'
  waitMs: number
  maxNext: number
}> = Object.freeze({ conflict: 'fail', waitMs: 10_000, maxNext: 20 })

/** Pause between two attempts: short at first for a restart, then rare enough to cost nothing. */
const FIRST_PAUSE_MS = 20
const MAX_PAUSE_MS = 250

/**
 * Holds a port: opens and listens on every socket of `want`.
 * @throws {PortcheckError} PORTCHECK_PORT_BUSY and the other codes of a failed bind, with a report.
 * @throws {ConfigError | TypeError | RangeError} when the want or an option is none.
 */
export async function claim(
  want: Want,
  options: ClaimOptions & ConflictOptions = {},
): Promise<Claim> {
  const read = readWant(want)
  options.signal?.throwIfAborted()
  return await claimWithPolicy(await planWant(read), options)
}

/** Claims a plan, meeting a conflict as `options` say. */
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
  let told = onWait === undefined
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    signal?.throwIfAborted()
    try {
      return await claimPlan(plan, options)
    } catch (error) {
      const left = deadline - performance.now()
      if (!isPortcheckError(error, 'PORTCHECK_PORT_BUSY') || left <= 0) throw error
      if (!told) onWait?.(await withReport(error, plan))
      told = true
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
    // The timer rejects with its own AbortError; callers are promised the signal's reason.
    signal?.throwIfAborted()
    throw error
  }
}

/** Says who holds the port, as far as it can be seen after the fact. */
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

function resolveConflictOptions(options: ConflictOptions): typeof CONFLICT_DEFAULTS {
  const conflict = options.conflict ?? CONFLICT_DEFAULTS.conflict
  const waitMs = options.waitMs ?? CONFLICT_DEFAULTS.waitMs
  const maxNext = options.maxNext ?? CONFLICT_DEFAULTS.maxNext
  if (!['fail', 'wait', 'next'].includes(conflict)) {
    throw new TypeError(`conflict must be fail, wait or next, got ${inspect(conflict)}`)
  }
  if (!(waitMs >= 0)) throw new RangeError(`waitMs must be 0 or more, got ${inspect(waitMs)}`)
  if (!Number.isInteger(maxNext) || maxNext < 1 || maxNext > 65_535) {
    throw new RangeError(`maxNext must be an integer from 1 to 65535, got ${inspect(maxNext)}`)
  }
  return { conflict, waitMs, maxNext }
}
