// What a service has seen, kept in a file because the service is killed on purpose. One line is one write,
// so a line that is there is whole: `executed ID METHOD`, `short ID TEXT`, `wrong ID TEXT`.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

/** What the services saw, read back. */
export interface Ledger {
  /** How often each id was executed. */
  readonly executed: ReadonlyMap<string, number>
  /** Uploads that ended cleanly before their end, as `ID: TEXT`. */
  readonly short: readonly string[]
  /** Uploads whose bytes were not theirs. */
  readonly wrong: readonly string[]
}

/** Writes one line. */
export function note(file: string, what: 'executed' | 'short' | 'wrong', id: string, text: string) {
  appendFileSync(file, `${what} ${id} ${text}\n`)
}

/** Reads everything that was written. */
export function readLedger(file: string): Ledger {
  const executed = new Map<string, number>()
  const problems = { short: [] as string[], wrong: [] as string[] }
  const text = existsSync(file) ? readFileSync(file, 'latin1') : ''
  for (const line of text.split('\n')) {
    const [what, id = '', ...rest] = line.split(' ')
    if (what === 'executed') executed.set(id, (executed.get(id) ?? 0) + 1)
    else if (what === 'short' || what === 'wrong') problems[what].push(`${id}: ${rest.join(' ')}`)
  }
  return { executed, ...problems }
}
