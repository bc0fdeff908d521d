import type { DialEvent } from './dial-context.ts'
import { dialRawWebSocket } from './dial-raw-websocket.ts'
import { dial } from './dial.ts'
import { exitCodeFor } from './exit-code.ts'
import { isDialError } from './is-dial-error.ts'
import { type ReportOptions, type ReportTarget, resolveReportTarget } from './report-target.ts'

/** One step of a dial that was tried out. */
export interface DiagnoseStep {
  /** Whom it was about and what was done, such as `proxy tcp`. */
  readonly name: string
  /** What came of it. */
  readonly detail: string
  /** Whether it succeeded. */
  readonly ok: boolean
  /** Time it took, ms. */
  readonly elapsedMs: number
}

/** Outcome of a dial that was tried out, in plain values fit for JSON. Holds no credentials. */
export interface DiagnoseReport {
  /** Where to: a URL, or host and port. */
  readonly target: string
  /** Whether every step succeeded. */
  readonly ok: boolean
  /** Steps in order; the last one is the one that failed, if one did. */
  readonly steps: readonly DiagnoseStep[]
  /** The failure: a DialError's fields. */
  readonly error?: Readonly<Record<string, unknown>>
  /** 0, or what the command line exits with; see exitCodeFor. */
  readonly exitCode: number
}

/**
 * Dials a target for a look at every step, and closes the connection at once. A ws or wss URL is
 * dialled with its upgrade; an http or https one and an endpoint up to TCP or TLS.
 * @throws {TypeError | RangeError} at once, for a mistake in the arguments
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
    const secure = scheme === 'wss' || scheme === 'tls'
    const socket = await dial(endpoint, {
      ...options,
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
