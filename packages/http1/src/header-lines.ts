/**
 * The header lines of one message: the text, where each line ends, and the kind of each header.
 * Nothing is copied out of the text before it is needed. Names are checked against the token grammar;
 * a server must reject a space before the colon (RFC 9112 section 5.1) and an obsolete folded line
 * (section 5.2).
 */

import { isBlank, TOKEN, trimBlanks, UNDERSCORE } from './ascii.ts'
import { HttpError, type HttpFault, type HttpSide } from './errors.ts'
import { KIND, kindNamed, kindOf } from './header-kinds.ts'
import { getHeader, joined } from './header-list.ts'
import type { Section } from './section-scanner.ts'

const SPACE = 0x20
const COLON = 0x3a

/** Header lines that passed all checks. */
export class HeaderLines {
  /** The whole section, one character per byte: start line, header lines and the empty line. */
  readonly text: string
  /** Number of the first header line: 1 after a start line. */
  readonly first: number
  /** Where each line ends in the text, start line included; the next line starts 2 later. */
  readonly ends: readonly number[]
  /** For each line its kind, see {@link KIND}; 0 for a start line. */
  readonly kinds: readonly number[]
  /** The kinds of all lines. */
  readonly seen: number
  /** The kinds that occur more than once. */
  readonly repeated: number
  readonly #sectionStart: number
  #list: readonly string[] | undefined

  constructor(
    section: Section,
    first: number,
    kinds: readonly number[],
    seen: number,
    repeated: number,
  ) {
    this.text = section.text
    this.first = first
    this.ends = section.lineEnds
    this.kinds = kinds
    this.seen = seen
    this.repeated = repeated
    this.#sectionStart = section.firstLine
  }

  /** All headers as a flat list: name, value, name, value. Made at the first use. */
  get list(): readonly string[] {
    if (this.#list === undefined) {
      const list: string[] = []
      for (let line = this.first; line < this.ends.length; line++) {
        list.push(this.nameOf(line), this.valueOf(line))
      }
      this.#list = list
    }
    return this.#list
  }

  /** Returns where a line starts in the text. */
  startOf(line: number): number {
    return line === 0 ? this.#sectionStart : (this.ends[line - 1] ?? 0) + 2
  }

  /** Returns the name of a header line, in the case it was sent in. */
  nameOf(line: number): string {
    const start = this.startOf(line)
    return this.text.slice(start, this.text.indexOf(':', start))
  }

  /** Returns the value of a header line, without outer blanks. */
  valueOf(line: number): string {
    const colon = this.text.indexOf(':', this.startOf(line))
    return trimBlanks(this.text, colon + 1, this.ends[line])
  }

  /** Returns the value of the first header of a kind, or undefined. */
  value(kind: number): string | undefined {
    if ((this.seen & kind) === 0) return undefined
    let line = this.first
    while (((this.kinds[line] ?? kind) & kind) === 0) line++
    return this.valueOf(line)
  }

  /** Returns the value of the last header of a kind, or undefined. */
  last(kind: number): string | undefined {
    if ((this.seen & kind) === 0) return undefined
    let line = this.kinds.length - 1
    while (((this.kinds[line] ?? kind) & kind) === 0) line--
    return this.valueOf(line)
  }

  /** Returns the values of all headers of a kind as one list, or undefined. */
  joined(kind: number): string | undefined {
    if ((this.seen & kind) === 0) return undefined
    if ((this.repeated & kind) === 0) return this.value(kind)
    let list: string | undefined
    for (let line = this.first; line < this.kinds.length; line++) {
      if (((this.kinds[line] ?? 0) & kind) !== 0) list = joined(list, this.valueOf(line))
    }
    return list
  }

  /** Returns the value of the first header of a name, which is given in lower case, or undefined. */
  named(lowerName: string): string | undefined {
    const kind = kindNamed(lowerName)
    return kind === undefined ? getHeader(this.list, lowerName) : this.value(kind)
  }
}

/**
 * Reads the header lines of a scanned section from line number `first` on.
 * @throws {HttpError} HEADER_FOLDED, HEADER_NAME_EMPTY, HEADER_NAME_SPACED, HEADER_NAME_INVALID
 */
export function parseHeaderLines(section: Section, first: 0 | 1, side: HttpSide): HeaderLines {
  const { bytes, offset, lineEnds } = section
  const kinds: number[] = []
  if (first === 1) kinds.push(0)
  let seen = 0
  let repeated = 0
  let start = offset + (first === 0 ? section.firstLine : (lineEnds[0] ?? 0) + 2)
  for (let line = first; line < lineEnds.length; line++) {
    const end = offset + (lineEnds[line] ?? 0)
    let at = start
    let classes = 0
    // Stops at the colon, or at the CR at the latest: a token contains neither.
    for (;;) {
      const marks = TOKEN[bytes[at] ?? 0] ?? 0
      if (marks === 0) break
      classes |= marks
      at++
    }
    if (bytes[at] !== COLON || at === start) {
      throw nameError(section.text, start - offset, at - offset, line, side)
    }
    let kind = kindOf(bytes, start, at, (classes & UNDERSCORE) !== 0)
    if (!isTidy(bytes, at + 1, end)) kind |= KIND.isLoose
    repeated |= seen & kind
    seen |= kind
    kinds.push(kind)
    start = end + 2
  }
  return new HeaderLines(section, first, kinds, seen, repeated)
}

/** Tells whether the colon is followed by one space and a value without outer blanks. */
function isTidy(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== SPACE) return false
  if (start + 1 === end) return true
  return !isBlank(bytes[start + 1] ?? 0) && !isBlank(bytes[end - 1] ?? 0)
}

function nameError(
  text: string,
  start: number,
  at: number,
  line: number,
  side: HttpSide,
): HttpError {
  let next = at
  while (isBlank(text.charCodeAt(next))) next++
  let fault: HttpFault = 'HEADER_NAME_INVALID'
  if (at === start && next > at) fault = 'HEADER_FOLDED'
  else if (text.charCodeAt(next) === COLON) {
    fault = next === start ? 'HEADER_NAME_EMPTY' : 'HEADER_NAME_SPACED'
  }
  return new HttpError(side, fault, `line ${line + 1}`)
}
