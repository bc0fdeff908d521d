// From what clients and services saw to counts, and from counts to a judgement.
import type { Outcome, Task } from './exchange.ts'
import type { Ledger } from './ledger.ts'

/** Exchanges by what became of them. */
export interface Counts {
  readonly total: number
  readonly ok: number
  /** Error, or an end that is no clean one. */
  readonly lost: number
  /** Executed twice by the service and not idempotent: POST and TCP. */
  readonly doubled: number
  /** Bytes of another exchange; an answer to what was never executed. */
  readonly wrong: number
  /** Shorter than sent and cleanly ended, in either direction. */
  readonly truncated: number
  /** Neither an answer nor an end. */
  readonly hung: number
}

/** Counts and the cases behind those that must be 0. */
export interface Judgement {
  readonly counts: Counts
  /** Reasons of lost exchanges with their number. */
  readonly losses: Readonly<Record<string, number>>
  /** `wrong: ID: TEXT`, the first ones of each category but `ok`. */
  readonly evidence: readonly string[]
}

/**
 * Whether a clean end is no fault: the kernel ends the sockets of a killed process with FIN, and where
 * nothing else says how long the bytes are, it cannot be told from an end that the process wanted. `seenBy`
 * is the side that read the short bytes.
 */
export type Excuse = (task: Task, seenBy: 'client' | 'service') => boolean

const MAX_EVIDENCE = 3

/** Joins what clients saw with what services executed. */
export function judge(
  seen: readonly Outcome[],
  ledger: Ledger,
  isExcused: Excuse = () => false,
): Judgement {
  const outcomes = seen.map((outcome): Outcome => {
    const isShort = outcome.verdict === 'truncated' && isExcused(outcome.task, 'client')
    return isShort ? { ...outcome, verdict: 'lost', detail: 'FIN of a killed process' } : outcome
  })
  const tasks = new Map(outcomes.map(({ task }) => [task.id, task]))
  const taskOf = (line: string): Task | undefined => tasks.get(line.slice(0, line.indexOf(':')))
  const isShortUpload = (line: string): boolean => {
    const task = taskOf(line)
    return task !== undefined && !isExcused(task, 'service')
  }
  const of = (verdict: Outcome['verdict']): readonly Outcome[] =>
    outcomes.filter((outcome) => outcome.verdict === verdict)
  const told = (found: readonly Outcome[]): string[] =>
    found.map(({ task, detail, startedAt, endedAt }) => {
      const took = (endedAt - startedAt).toFixed(0)
      const shape = `${task.up} up, ${task.down} down, ${task.framing ?? 'length'}`
      return `${task.id} (${task.method}, ${shape}): ${detail} after ${took} ms`
    })
  const times = ({ task }: Outcome): number => ledger.executed.get(task.id) ?? 0
  const doubled = outcomes
    .filter((outcome) => outcome.task.method !== 'GET' && times(outcome) > 1)
    .map(
      (outcome) => `${outcome.task.id} (${outcome.task.method}): executed ${times(outcome)} times`,
    )
  const unasked = of('ok')
    .filter((outcome) => times(outcome) === 0)
    .map(({ task }) => `${task.id} (${task.method}): answered and never executed`)
  const bad = {
    doubled,
    wrong: [...told(of('wrong')), ...ledger.wrong.filter(taskOf), ...unasked],
    truncated: [...told(of('truncated')), ...ledger.short.filter(isShortUpload)],
    hung: told(of('hung')),
    lost: told(of('lost')),
  }
  const losses: Record<string, number> = {}
  for (const { detail, task } of of('lost')) {
    const reason = `${task.method} ${detail}`
    losses[reason] = (losses[reason] ?? 0) + 1
  }
  return {
    counts: {
      total: outcomes.length,
      ok: of('ok').length,
      lost: of('lost').length,
      doubled: bad.doubled.length,
      wrong: bad.wrong.length,
      truncated: bad.truncated.length,
      hung: bad.hung.length,
    },
    losses,
    evidence: Object.entries(bad).flatMap(([category, cases]) =>
      cases.slice(0, MAX_EVIDENCE).map((text) => `${category}: ${text}`),
    ),
  }
}

/** Problems of counts, for people: what must be 0 and is not, and too few that went well. */
export function problemsOf({ counts, evidence, losses }: Judgement, minOkShare: number): string[] {
  const problems = (['wrong', 'doubled', 'truncated', 'hung'] as const)
    .filter((category) => counts[category] > 0)
    .map((category) => {
      const first = evidence.find((line) => line.startsWith(`${category}: `)) ?? ''
      return `${counts[category]} ${category}, must be 0; first: ${first.slice(category.length + 2)}`
    })
  if (counts.total === 0) problems.push('no exchange took place')
  else if (counts.ok / counts.total < minOkShare) {
    const share = (counts.ok / counts.total).toFixed(3)
    problems.push(`${share} of all exchanges ok, must be ${minOkShare}: ${JSON.stringify(losses)}`)
  }
  return problems
}
