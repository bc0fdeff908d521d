import type { DiagnoseReport } from './diagnose.ts'
import { seconds } from '../dial-context.ts'
import type { Egress } from './egress.ts'
import type { RouteReport } from './explain.ts'

/** Formats a route report as text: several lines, without a line end after the last. */
export function formatRouteReport(report: RouteReport): string {
  const { totalMs = 0, ...limits } = report.limits
  const each = Object.entries(limits).map(
    ([name, ms]) => `${name.replace(/Ms$/, '')} ${seconds(ms)}`,
  )
  const source = report.sources.length === 0 ? 'chosen by the system' : report.sources.join(', ')
  return [
    line('target', report.target),
    line('proxy', `${report.proxy ?? 'none'} (${report.proxyFrom})`),
    ...(report.tunnel === null ? [] : [line('tunnel', report.tunnel)]),
    line('connects', `${report.firstHop}${list(report.addresses)}`),
    line('source', report.device === null ? source : `${source}, device ${report.device}`),
    ...report.egress.map((egress) => line('leaves by', describeEgress(egress))),
    ...(report.tls === null ? [] : [line('tls', report.tls)]),
    line('limits', `${seconds(totalMs)} in all (${each.join(', ')})`),
    ...report.warnings.map((text) => line('warning', text)),
    ...report.egress.flatMap(({ remedy, source: from, sourceInterface }) =>
      remedy === undefined
        ? []
        : [
            line('', `to send packets from ${from ?? '?'} by ${sourceInterface ?? '?'}:`),
            ...remedy.map((command) => line('', `  ${command}`)),
          ],
    ),
    ...report.notes.map((text) => line('note', text)),
    ...report.problems.flatMap(({ code, message, hint }) => problem(code, message, hint)),
  ].join('\n')
}

/** Formats a diagnosis as text: several lines, without a line end after the last. */
export function formatDiagnoseReport(report: DiagnoseReport): string {
  const width = Math.max(0, ...report.steps.map(({ name }) => name.length))
  const steps = report.steps.map(({ name, detail, ok, elapsedMs }) =>
    `  ${name.padEnd(width)}  ${ok ? 'ok  ' : 'FAIL'}  ${String(Math.round(elapsedMs)).padStart(5)} ms  ${ok ? detail : ''}`.trimEnd(),
  )
  const { error } = report
  const end =
    error === undefined
      ? [line('result', 'reachable')]
      : problem(String(error['code']), String(error['message']), error['hint'])
  return [line('target', report.target), ...steps, ...end].join('\n')
}

function line(label: string, text: string): string {
  return `${label.padEnd(10)}${text}`
}

function list(addresses: readonly string[]): string {
  return addresses.length === 0 ? '' : ` (${addresses.join(', ')})`
}

function describeEgress({ destination, source, ...egress }: Egress): string {
  if (source === undefined) return `no interface: there is no route to ${destination}`
  return `${egress.interface ?? 'an unknown interface'} from ${source} to ${destination}`
}

function problem(code: string, message: string, hint: unknown): readonly string[] {
  return [
    line('error', `${code}: ${message}`),
    ...(typeof hint === 'string' ? [line('hint', hint)] : []),
  ]
}
