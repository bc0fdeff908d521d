// The text output: one block per address, first the result, then one fact per line.
import { styleText } from 'node:util'

import { familiesOf, formatEndpoint } from '../endpoint.ts'
import { describeHolder, type Holder } from '../holders/holder.ts'
import { PORTCHECK_ERRORS } from '../errors.ts'
import { errorCodeOf } from '../claim/bind-verdict.ts'
import type { BindVerdict, Report } from '../report.ts'
import type { Reach } from '../verify.ts'
import type { Warning } from '../warnings.ts'

/** Indentation of the lines after the first. */
const INDENT = '  '

const WORDS: Readonly<Record<BindVerdict, string>> = {
  free: 'free',
  busy: 'busy',
  denied: 'not permitted',
  'no-address': 'no such address on this machine',
  'no-family': 'address family not supported by this kernel',
  'bad-address': 'not an address to listen on',
  unknown: 'unknown',
}

const HIDDEN: Readonly<Record<NonNullable<Holder['hiddenBecause']>, string>> = {
  permission: 'its process is not visible to you, try sudo',
  namespace: 'its process is in another container or namespace',
  'no-owner': 'its process has ended',
  'no-tool': 'the tool to find the process is missing',
}

const OUTCOMES: Readonly<Record<Reach['outcome'], string>> = {
  mine: 'arrives',
  other: 'goes to another program',
  refused: 'is refused',
  timeout: 'is not answered',
  'no-address': 'does not exist',
}

/** Formats the report on one address. */
export function formatReport(report: Report, color: boolean): string {
  const { bind, errno, warnings, holders } = report
  const serious = warnings.some((one) => one.severity !== 'info')
  const paint = (style: 'green' | 'yellow' | 'red', text: string): string =>
    color ? styleText(style, text, { validateStream: false }) : text
  const style = bind === 'free' ? (serious ? 'yellow' : 'green') : 'red'
  const word = WORDS[bind] + (bind === 'free' && serious ? ', with a warning' : '')
  const sockets = report.endpoints.map(
    (endpoint) => `${formatEndpoint(endpoint)} (${familiesOf(endpoint)})`,
  )
  const detail = bind === 'free' ? sockets.join(', ') : bind === 'busy' ? '' : (errno ?? '')
  const named = new Set(warnings.map((one) => one.holder?.host))
  return [
    [report.want, paint(style, word), detail].filter((part) => part !== '').join('  '),
    ...holders.filter((holder) => bind === 'busy' || !named.has(holder.host)).flatMap(formatHolder),
    ...warnings.flatMap((one) => formatWarning(one, color)),
    ...(bind === 'free' || bind === 'busy' || warnings.length > 0
      ? []
      : [`${INDENT}${PORTCHECK_ERRORS[errorCodeOf(bind)].hint}`]),
    ...(report.alternatives === undefined || report.alternatives.length === 0
      ? []
      : [`${INDENT}free nearby: ${report.alternatives.join(' ')}`]),
  ].join('\n')
}

/** Formats the result of `verify`. */
export function formatReaches(reaches: readonly Reach[]): string {
  return reaches
    .filter((reach) => reach.outcome !== 'no-address')
    .map((reach) => {
      const word = OUTCOMES[reach.outcome]
      return `${INDENT}${formatEndpoint(reach)}  ${word}`
    })
    .join('\n')
}

function formatHolder(holder: Holder): string[] {
  const state = holder.state === 'listening' ? 'held by' : holder.state.padEnd(7)
  return [
    `${INDENT}${state}  ${describeHolder(holder)}`,
    ...(holder.note === undefined ? [] : [`${INDENT}         ${holder.note}`]),
    ...(holder.hiddenBecause === undefined
      ? []
      : [`${INDENT}         ${HIDDEN[holder.hiddenBecause]}`]),
    ...(holder.commandLine === undefined ? [] : [`${INDENT}         ${holder.commandLine}`]),
  ]
}

function formatWarning(one: Warning, color: boolean): string[] {
  const style = one.severity === 'error' ? 'red' : one.severity === 'warn' ? 'yellow' : 'cyan'
  const mark = one.severity === 'info' ? '-' : '!'
  const code = color ? styleText(style, one.code, { validateStream: false }) : one.code
  return [`${INDENT}${mark} ${code}  ${one.text}`, `${INDENT}         ${one.hint}`]
}
