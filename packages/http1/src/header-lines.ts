/**
 * Turns header lines into a flat list: name, value, name, value. A flat list keeps order, letter
 * case and repetition, costs one array per message, and has no keys a peer could choose
 * (`__proto__`). Names are checked against the token grammar; RFC 9112 section 5.1 wants a space
 * before the colon and section 5.2 an obsolete fold refused by a server.
 */

import { isBlank, trimBlanks } from './blanks.ts'
import { TOKEN } from './character-classes.ts'
import { HttpError, type HttpFault, type HttpSide } from './errors.ts'
import type { Section } from './section-scanner.ts'

const COLON = 0x3a

/**
 * Reads the header lines of a scanned section from line number `line` on.
 * @throws {HttpError} HEADER_FOLDED, HEADER_NAME_EMPTY, HEADER_NAME_SPACED, HEADER_NAME_INVALID
 */
export function parseHeaderLines(section: Section, line: number, side: HttpSide): string[] {
  const { text, lineEnds } = section
  const headers: string[] = []
  let start = line === 0 ? section.firstLine : (lineEnds[line - 1] ?? 0) + 2
  for (let number = line; number < lineEnds.length; number++) {
    const lineEnd = lineEnds[number] ?? 0
    let at = start
    // Stops at the colon, at the latest at the CR: neither is in a token.
    while (TOKEN[text.charCodeAt(at)] === 1) at++
    if (text.charCodeAt(at) !== COLON || at === start) {
      throw nameError(text, start, at, number, side)
    }
    headers.push(text.slice(start, at), trimBlanks(text, at + 1, lineEnd))
    start = lineEnd + 2
  }
  return headers
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
