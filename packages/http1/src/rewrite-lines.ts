/**
 * Writes a head again with some header lines taken off and some added. What stays is mostly what
 * came, byte for byte, and neighbours that stay go over as one slice of the text that was read.
 */

import { KIND } from './header-kinds.ts'
import type { HeaderLines } from './header-lines.ts'

/** What becomes of the lines of a head. */
export interface LineRules {
  /** The start line; undefined leaves it as it came. */
  readonly startLine: string | undefined
  /** Kinds to take off. */
  readonly off: number
  /** Further names, in lower case, to take off. */
  readonly named: ReadonlySet<string> | undefined
  /** Lines to add behind the others, each with its CR LF. */
  readonly added: string
}

/** Returns the head as latin1 text, each header line as "Name: value". */
export function rewriteLines(lines: HeaderLines, rules: LineRules): string {
  const { text, ends, kinds } = lines
  const { startLine, off, named, added } = rules
  let written = startLine === undefined ? '' : `${startLine}\r\n`
  // Where in the text the run of lines starts that stay as they are.
  let run = startLine === undefined ? lines.startOf(0) : lines.startOf(1)
  const changes = off | KIND.isLoose
  if (named !== undefined || (lines.seen & changes) !== 0) {
    for (let line = 1; line < ends.length; line++) {
      const kind = kinds[line] ?? 0
      const isOff = (kind & off) !== 0 || named?.has(lines.nameOf(line).toLowerCase()) === true
      if (!isOff && (kind & KIND.isLoose) === 0) continue
      const start = lines.startOf(line)
      if (run < start) written += text.slice(run, start)
      if (!isOff) written += `${lines.nameOf(line)}: ${lines.valueOf(line)}\r\n`
      run = (ends[line] ?? 0) + 2
    }
  }
  // The text ends with the empty line.
  if (added === '') return written + text.slice(run)
  return `${written}${text.slice(run, -2)}${added}\r\n`
}
