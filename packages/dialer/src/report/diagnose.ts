import type { DialEvent } from '../options.ts'
import { dialRawWebSocket } from '../websocket/dial-raw-websocket.ts'
import { dial } from '../dial.ts'
import { exitCodeFor, isDialError } from '../errors.ts'
import { type ReportOptions, type ReportTarget, resolveReportTarget } from './report-target.ts'

/** One step of a test dial. */
export interface DiagnoseStep {
  /** Other end and step, such as `proxy tcp`. */
  readonly name: string
  /** Result of the step, or the message of its error; one line. */
  readonly detail: string
  /** Whether it succeeded. */
  readonly ok: boolean
  /** Duration, ms. */
  readonly elapsedMs: number
}

/** Result of a test dial, in values for JSON. Contains no credentials. */
export interface DiagnoseReport {
  /** Target: a URL, or host and port. */
  readonly target: string
  /** Whether every step succeeded. */
  readonly ok: boolean
  /** Steps in order; if a step failed, it is the last one. */
  readonly steps: readonly DiagnoseStep[]
  /** The fields of the DialError, if the dial failed. */
  readonly error?: Readonly<Record<string, unknown>>
  /** Exit code for a command line: 0, or that of exitCodeFor. */
  readonly exitCode: number
}

/**
 * Dials a target, records every step, and closes the connection at once. For a ws or wss URL the dial
 * includes the upgrade; for an http or https URL and for an endpoint it ends with TCP or TLS.
 * @throws {TypeError | RangeError} at once, for a wrong argument
 * @returns rejects only with the reason of the signal
 */
export function diagnose(
  target: ReportTarget,
  options: ReportOptions = {},
): Promise<DiagnoseReport> {
  const { text, endpoint, scheme } = resolveReportTarget(target, options)
  const steps: DiagnoseStep[] = []
  const onEvent = (event: DialEvent): void => {
    options.onEvent?.(event)
    if (event.state === 'started') return
    const { elapsedMs, detail } = event
    steps.push({ name: nameOf(event), detail, ok: event.state === 'succeeded', elapsedMs })
  }
  const upgrades =
    (typeof target === 'string' || target instanceof URL) && /^wss?:/i.test(String(target))
  const attempt = async (): Promise<void> => {
    if (upgrades) {
      const { socket } = await dialRawWebSocket(target, { ...options, onEvent })
      socket.destroy()
      return
    }
    // These are for the upgrade only, and a dial refuses them.
    const { headers: _headers, protocols: _protocols, ...plain } = options
    const secure = scheme === 'wss' || scheme === 'tls'
    const socket = await dial(endpoint, {
      ...plain,
      onEvent,
      tls: secure ? (options.tls ?? true) : undefined,
    })
    socket.destroy()
  }
  return attempt().then(
    () => ({ target: text, ok: true, steps, exitCode: 0 }),
    (error: unknown) => {
      if (!isDialError(error)) throw error
      return { target: text, ok: false, steps, error: error.toJSON(), exitCode: exitCodeFor(error) }
    },
  )
}

const VERBS: Readonly<Record<DialEvent['phase'], string>> = {
  bind: 'source',
  dns: 'name',
  connect: 'tcp',
  proxy: 'tunnel',
  tls: 'tls',
  upgrade: 'upgrade',
}

function nameOf({ leg, phase }: DialEvent): string {
  return `${leg} ${VERBS[phase]}`
}
