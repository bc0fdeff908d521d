// The command `portcheck`: parses its arguments, calls the library, prints, and returns an exit status.
import type { Claim } from '../claim/claim.ts'
import { claim } from '../claim/claim-port.ts'
import { type CliArguments, parseCliArguments, USAGE } from './arguments.ts'
import { holdUntilSignal, runWithPort } from './hold.ts'
import { formatReaches, formatReport } from './text.ts'
import { isPortcheckError, PORTCHECK_ERRORS } from '../errors.ts'
import { explain } from '../probe/explain.ts'
import { findFree } from '../claim/find-free.ts'
import { probe } from '../probe/probe.ts'
import type { Report } from '../report.ts'
import { type Reach, verify } from '../verify.ts'

/** The parts of the process that the command uses. */
export interface CliProcess {
  /** Arguments without the interpreter and the script. */
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly version: string
  /** Whether standard output has colours. */
  readonly color: boolean
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
}

/** The exit statuses; with several addresses the highest one is used. */
export const EXIT: Readonly<
  Record<'free' | 'busy' | 'usage' | 'warned' | 'denied' | 'unknown', number>
> = Object.freeze({ free: 0, busy: 1, usage: 2, warned: 3, denied: 4, unknown: 5 })

/** Runs the command and resolves to its exit status. */
export async function runCli(host: CliProcess): Promise<number> {
  let parsed: CliArguments
  try {
    parsed = parseCliArguments(host.argv)
  } catch (error) {
    return usageError(host, error)
  }
  if (parsed.help) {
    host.stdout(USAGE)
    return EXIT.free
  }
  if (parsed.version) {
    host.stdout(`${host.version}\n`)
    return EXIT.free
  }
  const quiet: CliProcess = parsed.quiet ? { ...host, stdout: () => {} } : host
  try {
    if (parsed.find !== undefined || parsed.hold || parsed.command.length > 0) {
      return await runHolding(quiet, parsed)
    }
    let status: number = EXIT.free
    for (const want of parsed.wants) {
      status = Math.max(status, await runOne(quiet, parsed, want))
    }
    return status
  } catch (error) {
    return usageError(host, error)
  }
}

async function runOne(host: CliProcess, parsed: CliArguments, want: string): Promise<number> {
  if (parsed.waitMs !== undefined) await waitFor(want, parsed.waitMs)
  const look = parsed.explain ? explain : probe
  const report = await look(want, { commandLine: parsed.commandLine })
  if (!parsed.verify || report.bind !== 'free') {
    // A busy port is always reported with its holder.
    const full = report.bind === 'free' || parsed.explain ? report : await explain(want)
    print(host, parsed, full)
    return statusOf(full, parsed.strict)
  }
  await using claimed = await claim(want)
  const { reached, warnings } = await verify(claimed)
  const more = warnings.filter((one) => !report.warnings.some((other) => other.code === one.code))
  const full = { ...report, warnings: [...report.warnings, ...more] }
  print(host, parsed, full, reached)
  return statusOf(full, parsed.strict)
}

/** Holds one port, given or found: until a signal, or for a command. */
async function runHolding(host: CliProcess, parsed: CliArguments): Promise<number> {
  const [want = ''] = parsed.wants
  let claimed: Claim
  try {
    claimed = await claimWanted(parsed, want)
  } catch (error) {
    if (!isPortcheckError(error)) throw error
    if (error.report !== undefined) print(host, parsed, { ...error.report, want })
    else host.stderr(`portcheck: ${error.message}\n`)
    return error.report === undefined ? EXIT.busy : statusOf(error.report, parsed.strict)
  }
  await using held = claimed
  if (parsed.command.length > 0) {
    return await runWithPort(held, parsed.command, {
      pass: parsed.hold,
      env: host.env,
      stderr: host.stderr,
    })
  }
  const { endpoints, warnings, port } = held
  const { reached, warnings: found } = parsed.verify
    ? await verify(held)
    : { reached: [], warnings: [] }
  const report: Report = {
    want: parsed.find === undefined ? want : String(port),
    endpoints,
    bind: 'free',
    holders: [],
    warnings: [...warnings, ...found],
    confidence: 'certain',
    platform: process.platform,
    tookMs: 0,
  }
  print(host, parsed, report, reached)
  if (parsed.hold) await holdUntilSignal(held)
  return statusOf(report, parsed.strict)
}

async function claimWanted(parsed: CliArguments, want: string): Promise<Claim> {
  if (parsed.find !== undefined) {
    return await findFree({ range: parsed.find, ...(want === '' ? {} : { host: want }) })
  }
  return await claim(
    want,
    parsed.waitMs === undefined ? {} : { conflict: 'wait', waitMs: parsed.waitMs },
  )
}

/** Waits until the address can be bound. The report after it has the result, also of a failed wait. */
async function waitFor(want: string, waitMs: number): Promise<void> {
  try {
    await using _free = await claim(want, { conflict: 'wait', waitMs })
  } catch (error) {
    if (!isPortcheckError(error)) throw error
  }
}

function print(
  host: CliProcess,
  parsed: CliArguments,
  report: Report,
  reached: readonly Reach[] = [],
): void {
  if (parsed.json) {
    const { tookMs, ...rest } = report
    const rounded = Math.round(tookMs * 100) / 100
    const extra = reached.length === 0 ? {} : { reached }
    host.stdout(`${JSON.stringify({ v: 1, ...rest, ...extra, tookMs: rounded })}\n`)
    return
  }
  host.stdout(`${formatReport(report, host.color)}\n`)
  if (reached.length > 0) host.stdout(`${formatReaches(reached)}\n`)
}

function statusOf(report: Report, strict: boolean): number {
  const { bind, warnings } = report
  if (bind === 'busy') return EXIT.busy
  if (bind === 'unknown') return EXIT.unknown
  if (bind !== 'free') return EXIT.denied
  return strict && warnings.some((one) => one.severity !== 'info') ? EXIT.warned : EXIT.free
}

function usageError(host: CliProcess, error: unknown): number {
  if (!(error instanceof Error)) throw error
  const hint = isPortcheckError(error)
    ? PORTCHECK_ERRORS[error.code].hint
    : 'hint' in error && typeof error.hint === 'string'
      ? error.hint
      : 'see portcheck --help'
  host.stderr(`portcheck: ${error.message}\n  ${hint}\n`)
  return EXIT.usage
}
