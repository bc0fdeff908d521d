/**
 * Writes a head again with some header lines removed and some added. Lines that stay are mostly
 * unchanged, so lines next to each other are copied as one slice of the original text.
 */

import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'

/** What to do with the lines of a head. */
export interface LineRules {
  /** The new start line; undefined keeps the original. */
  readonly startLine: string | undefined
  /** Bits of the kinds of lines to remove. */
  readonly removed: number
  /** More names to remove, in lower case. */
  readonly removedNames: ReadonlySet<string> | undefined
  /** Lines to add after the others, each with its CR LF. */
  readonly added: string
}

/** Returns the head as latin1 text, each header line as "Name: value". */
export function rewriteLines(lines: HeaderLines, rules: LineRules): string {
  const { text, ends, kinds } = lines
  const { startLine, removed, removedNames, added } = rules
  let written = startLine === undefined ? '' : `${startLine}\r\n`
  // Where the current run of unchanged lines starts in the text.
  let run = startLine === undefined ? lines.startOf(0) : lines.startOf(1)
  const changes = removed | KIND.isLoose
  if (removedNames !== undefined || (lines.seen & changes) !== 0) {
    for (let line = 1; line < ends.length; line++) {
      const kind = kinds[line] ?? 0
      const isRemoved =
        (kind & removed) !== 0 || removedNames?.has(lines.nameOf(line).toLowerCase()) === true
      if (!isRemoved && (kind & KIND.isLoose) === 0) continue
      const start = lines.startOf(line)
      if (run < start) written += text.slice(run, start)
      if (!isRemoved) written += `${lines.nameOf(line)}: ${lines.valueOf(line)}\r\n`
      run = (ends[line] ?? 0) + 2
    }
  }
  // The text ends with the empty line.
  if (added === '') return written + text.slice(run)
  return `${written}${text.slice(run, -2)}${added}\r\n`
}
