import { escapeUnprintable } from '../printing/printable.ts'
import { formatOrigin, type Origin } from './origin.ts'

/** One mistake or oddity in a configuration. Plain data, so that it can be printed as JSON. */
export interface Problem {
  /** What kind it is: a ConfigErrorCode, or a code of the program whose rule found it. */
  readonly code: string
  /** An `error` makes the whole configuration invalid; a `warning` does not. */
  readonly severity: 'error' | 'warning'
  /** Key path of the setting, such as `connect.timeout` or `listeners[0].addr`. */
  readonly key?: string
  /** Source and position; absent when there is none, as for a missing value. */
  readonly origin?: Origin
  /** What is wrong, quoting the offending text unless it is a secret. */
  readonly message: string
  /** What would be allowed. */
  readonly allowed?: string
  /** What to write or do instead. */
  readonly hint?: string
}

/**
 * Writes problems as text, errors first, each with its place and what is allowed. Ends with a
 * newline unless there is nothing to write.
 */
export function formatProblems(problems: readonly Problem[]): string {
  const errors = problems.filter((problem) => problem.severity === 'error')
  const warnings = problems.filter((problem) => problem.severity === 'warning')
  return [...errors, ...warnings].map((problem) => `${formatProblem(problem)}\n`).join('')
}

/** Tells whether a list holds an error, not only warnings. */
export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error')
}

function formatProblem(problem: Problem): string {
  const parts: string[] = [problem.severity]
  if (problem.origin && problem.origin.kind !== 'default') parts.push(formatOrigin(problem.origin))
  if (problem.key !== undefined) parts.push(problem.key)
  const lines = [[...parts, problem.message].join(': ')]
  if (problem.allowed !== undefined) lines.push(`allowed: ${problem.allowed}`)
  if (problem.hint !== undefined) lines.push(`hint: ${problem.hint}`)
  return lines.map(escapeUnprintable).join('\n  ')
}
