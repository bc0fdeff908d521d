// The table at the end of a run, and the words of a scenario that failed.
import type { Result } from './scenario.ts'

const COLUMNS = [
  ['scenario', ({ name }: Result) => name],
  ['faults', ({ recoveriesMs }: Result) => String(recoveriesMs.length || '-')],
  ['exchanges', ({ counts }: Result) => String(counts.total)],
  ['ok', ({ counts }: Result) => String(counts.ok)],
  ['lost', ({ counts }: Result) => String(counts.lost)],
  ['doubled', ({ counts }: Result) => String(counts.doubled)],
  ['wrong', ({ counts }: Result) => String(counts.wrong)],
  ['truncated', ({ counts }: Result) => String(counts.truncated)],
  ['hung', ({ counts }: Result) => String(counts.hung)],
  ['recovery s, p50', (result: Result) => recovery(result, 0.5)],
  ['max', (result: Result) => recovery(result, 1)],
  ['result', outcomeOf],
] as const

/** One line per scenario. */
export function formatTable(results: readonly Result[]): string {
  const rows = [
    COLUMNS.map(([title]) => title as string),
    ...results.map((result) => COLUMNS.map(([, cell]) => cell(result))),
  ]
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((cells) => cells[at]?.length ?? 0)))
  const isText = (at: number): boolean => at === 0 || at === COLUMNS.length - 1
  return rows
    .map((cells) =>
      cells
        .map((cell, at) =>
          isText(at) ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What a scenario measured beside the columns; undefined when it measured nothing. */
export function formatDetails({ name, figures, losses }: Result): string | undefined {
  const measured = Object.entries(figures).map(([what, value]) => `${what} ${round(value)}`)
  const lost = Object.entries(losses)
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, times]) => `${times} x ${reason}`)
  const parts = [...measured, ...(lost.length > 0 ? [`lost: ${lost.slice(0, 6).join(', ')}`] : [])]
  return parts.length > 0 ? `${name}: ${parts.join('; ')}` : undefined
}

/** Name, seed and evidence of a scenario that failed. */
export function formatFailure({ name, seed, problems, evidence, folder }: Result): string {
  const again = `pnpm chaos --only ${name} --seed ${seed}`
  const lines = [...problems, ...evidence].map((line) => `  ${line}`)
  const logs = folder === undefined ? [] : [`  logs: ${folder}`]
  return [`${name} failed (${again}):`, ...lines, ...logs].join('\n')
}

function outcomeOf({ problems, skipped }: Result): string {
  if (skipped !== undefined) return `skipped: ${skipped}`
  return problems.length === 0 ? 'ok' : 'FAILED'
}

function recovery({ recoveriesMs }: Result, share: number): string {
  const sorted = recoveriesMs.toSorted((a, b) => a - b)
  const value = sorted[Math.ceil(sorted.length * share) - 1]
  return value === undefined ? '-' : (value / 1000).toFixed(2)
}

function round(value: number): string {
  return value.toFixed(value < 10 ? 2 : 0)
}
