// The command `portcheck`: reads its arguments, asks, prints, and answers with an exit status.
import type { Claim } from './claim.ts'
import { claim } from './claim-port.ts'
import { type CliArguments, parseCliArguments, USAGE } from './cli-arguments.ts'
import { holdUntilSignal, runWithPort } from './cli-hold.ts'
import { formatReaches, formatReport } from './cli-text.ts'
import { isPortcheckError, PORTCHECK_ERRORS } from './errors.ts'
import { explain } from './explain.ts'
import { findFree } from './find-free.ts'
import { probe } from './probe.ts'
import type { Report } from './report.ts'
import { type Reach, verify } from './verify.ts'

/** What the command needs of the process it runs in. */
export interface CliProcess {
  /** Arguments without the interpreter and the script. */
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly version: string
  /** Whether standard output may be coloured. */
  readonly color: boolean
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
}

/** The exit statuses; with several addresses the highest wins. */
export const EXIT: Readonly<
  Record<'free' | 'busy' | 'usage' | 'warned' | 'denied' | 'unknown', number>
> = Object.freeze({ free: 0, busy: 1, usage: 2, warned: 3, denied: 4, unknown: 5 })

/** Runs the command and resolves to its exit status. */
export async function runCli(host: CliProcess): Promise<number> {
  let asked: CliArguments
  try {
    asked = parseCliArguments(host.argv)
  } catch (error) {
    return refuse(host, error)
  }
  if (asked.help) {
    host.stdout(USAGE)
    return EXIT.free
  }
  if (asked.version) {
    host.stdout(`${host.version}\n`)
    return EXIT.free
  }
  const quiet: CliProcess = asked.quiet ? { ...host, stdout: () => {} } : host
  try {
    if (asked.find !== undefined || asked.hold || asked.command.length > 0) {
      return await runHolding(quiet, asked)
    }
    let status: number = EXIT.free
    for (const want of asked.wants) {
      status = Math.max(status, await runOne(quiet, asked, want))
    }
    return status
  } catch (error) {
    return refuse(host, error)
  }
}

/** Looks at one address. */
async function runOne(host: CliProcess, asked: CliArguments, want: string): Promise<number> {
  if (asked.waitMs !== undefined) await waitFor(want, asked.waitMs)
  const look = asked.explain ? explain : probe
  const report = await look(want, { commandLine: asked.commandLine })
  if (!asked.verify || report.bind !== 'free') {
    // Who holds a busy port is what everybody asks next.
    const full = report.bind === 'free' || asked.explain ? report : await explain(want)
    print(host, asked, full)
    return statusOf(full, asked.strict)
  }
  await using claimed = await claim(want)
  const { reached, warnings } = await verify(claimed)
  const more = warnings.filter((one) => !report.warnings.some((other) => other.code === one.code))
  const full = { ...report, warnings: [...report.warnings, ...more] }
  print(host, asked, full, reached)
  return statusOf(full, asked.strict)
}

/** Holds one port: found or given, until interrupted or for a command. */
async function runHolding(host: CliProcess, asked: CliArguments): Promise<number> {
  const [want = ''] = asked.wants
  let claimed: Claim
  try {
    claimed = await claimAsked(asked, want)
  } catch (error) {
    if (!isPortcheckError(error)) throw error
    if (error.report !== undefined) print(host, asked, { ...error.report, want })
    else host.stderr(`portcheck: ${error.message}\n`)
    return error.report === undefined ? EXIT.busy : statusOf(error.report, asked.strict)
  }
  await using held = claimed
  if (asked.command.length > 0) {
    return await runWithPort(held, asked.command, {
      pass: asked.hold,
      env: host.env,
      stderr: host.stderr,
    })
  }
  const { endpoints, warnings, port } = held
  const { reached, warnings: found } = asked.verify
    ? await verify(held)
    : { reached: [], warnings: [] }
  const report: Report = {
    want: asked.find === undefined ? want : String(port),
    endpoints,
    bind: 'free',
    holders: [],
    warnings: [...warnings, ...found],
    confidence: 'certain',
    platform: process.platform,
    tookMs: 0,
  }
  print(host, asked, report, reached)
  if (asked.hold) await holdUntilSignal(held)
  return statusOf(report, asked.strict)
}

async function claimAsked(asked: CliArguments, want: string): Promise<Claim> {
  if (asked.find !== undefined) {
    return await findFree({ range: asked.find, ...(want === '' ? {} : { host: want }) })
  }
  return await claim(
    want,
    asked.waitMs === undefined ? {} : { conflict: 'wait', waitMs: asked.waitMs },
  )
}

/** Waits until the address can be bound; whatever ends the wait, the report that follows tells. */
async function waitFor(want: string, waitMs: number): Promise<void> {
  try {
    await using _free = await claim(want, { conflict: 'wait', waitMs })
  } catch (error) {
    if (!isPortcheckError(error)) throw error
  }
}

function print(
  host: CliProcess,
  asked: CliArguments,
  report: Report,
  reached: readonly Reach[] = [],
): void {
  if (asked.json) {
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

function refuse(host: CliProcess, error: unknown): number {
  if (!(error instanceof Error)) throw error
  const hint = isPortcheckError(error)
    ? PORTCHECK_ERRORS[error.code].hint
    : 'hint' in error && typeof error.hint === 'string'
      ? error.hint
      : 'see portcheck --help'
  host.stderr(`portcheck: ${error.message}\n  ${hint}\n`)
  return EXIT.usage
}
