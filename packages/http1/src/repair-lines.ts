/**
 * Repairs the lines of a service's head or trailer section where they have only one reading, so that
 * the strict parser accepts them: what is forwarded is always the repaired text. A line that two
 * parsers could read differently stays as it is, and the strict parser rejects it. Most of all these
 * are lines that could be framing: no header becomes Content-Length or Transfer-Encoding by a repair,
 * and none stops being one.
 */

import { isToken, trimBlanks } from './ascii.ts'
import { hasNoBody } from './body-framing.ts'
import { isForbiddenTrailer } from './trailers.ts'

/** What happens with a message of a service that breaks the grammar; see the README for the list of repairs. */
export type Strictness =
  /** It is rejected. */
  | 'strict'
  /** It is repaired where it has only one reading, and its connection is not used again. */
  | 'lenient'

/** A line of a section, without its line end. */
interface Line {
  text: string
  /** For a header that is framing: its name in lower case. */
  framing: 'content-length' | 'transfer-encoding' | undefined
}

const STATUS_LINE = /^HTTP\/1\.([01]) +(\d{3})(?= |$)/
// NUL ends the text for some parsers, CR a line.
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const HARMLESS_CONTROLS = /[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/g
// oxlint-disable-next-line no-control-regex -- the same
const HARMFUL_CONTROL = /[\0\r]/
const NO_TOKEN = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/g

/**
 * Returns a response head with its faults repaired, as far as that is possible.
 * @param text - one character per byte, from the status line to the empty line
 * @param method - of the request
 */
export function repairHead(text: string, method: string): string {
  const [statusLine = '', ...raw] = linesOf(text)
  const lines = repairLines(raw)
  const status = STATUS_LINE.exec(statusLine)
  if (status === null) return textOf([{ text: statusLine, framing: undefined }, ...lines])
  const isChunked = repairFraming(lines, hasNoBody(method, Number(status[2])))
  // RFC 9112 section 6.1: an HTTP/1.0 message with chunks is read, and its connection closed.
  const minor = isChunked ? '1' : status[1]
  const rest = statusLine.slice(status[0].length).replaceAll(HARMLESS_CONTROLS, ' ')
  const repaired = `HTTP/1.${minor} ${status[2]}${rest}`
  return textOf([{ text: repaired, framing: undefined }, ...lines])
}

/**
 * Returns a trailer section with its faults repaired, as far as that is possible. A trailer that is only
 * allowed as a header is left out (RFC 9110 section 6.5.1).
 * @param text - one character per byte, up to the empty line
 */
export function repairTrailers(text: string): string {
  const lines = repairLines(linesOf(text))
  return textOf(lines.filter(({ text: line }) => !isForbiddenTrailer(nameOf(line))))
}

/** Splits a section at LF; a CR in front of it belongs to the line end. */
function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
  // The empty line, and nothing behind it.
  return lines.slice(0, -2)
}

function textOf(lines: readonly Line[]): string {
  return `${lines.map(({ text }) => `${text}\r\n`).join('')}\r\n`
}

function repairLines(raw: readonly string[]): Line[] {
  const lines: Line[] = []
  let previous: Line | undefined
  let isLeftOut = false
  for (const text of raw) {
    // RFC 9112 section 5.2: a proxy may replace the fold by a space. A blank line may be meant as the end.
    const isFold = /^[\t ]+[^\t ]/.test(text) && !HARMFUL_CONTROL.test(text)
    if (isFold && isLeftOut) continue
    if (isFold && previous !== undefined && isPlain(previous)) {
      previous.text += ` ${trimBlanks(text.replaceAll(HARMLESS_CONTROLS, ' '))}`
      continue
    }
    previous = repairLine(text)
    isLeftOut = previous === undefined
    if (previous !== undefined) lines.push(previous)
  }
  return lines
}

/** Whether a line is a header without an effect on framing, so that it can be continued. */
function isPlain({ text, framing }: Line): boolean {
  const name = nameOf(text)
  return framing === undefined && name !== text && isToken(name)
}

/** Returns a header line repaired, or as it is; undefined when it is left out. */
function repairLine(text: string): Line | undefined {
  const sent = nameOf(text)
  if (sent === text || sent !== sent.trimStart() || HARMFUL_CONTROL.test(text)) {
    return { text, framing: undefined }
  }
  // RFC 9112 section 5.1: a proxy removes blanks between name and colon.
  const name = trimBlanks(sent)
  const plain = name.replaceAll(NO_TOKEN, '').toLowerCase().replaceAll('_', '-')
  if (plain === 'content-length' || plain === 'transfer-encoding') {
    return { text, framing: sent.toLowerCase() === plain ? plain : undefined }
  }
  if (!isToken(name)) return undefined
  const value = text.slice(sent.length + 1).replaceAll(HARMLESS_CONTROLS, ' ')
  return { text: `${name}:${value}`, framing: undefined }
}

/** Returns what is in front of the colon; the whole line where there is none. */
function nameOf(text: string): string {
  const colon = text.indexOf(':')
  return colon === -1 ? text : text.slice(0, colon)
}

/**
 * Leaves one header of several that say the same, and none of those that say nothing.
 * @param isBodiless - whether the response has no body, whatever its headers say
 * @returns whether the body is chunked
 */
function repairFraming(lines: Line[], isBodiless: boolean): boolean {
  const codings = valuesOf(lines, 'transfer-encoding')
  const items = listOf(codings).map((item) => item.toLowerCase())
  if (items.every((item) => item === 'identity')) keep(lines, 'transfer-encoding', undefined)
  const isChunked = items.length > 0 && items.every((item) => item === 'chunked')
  if (isChunked) keep(lines, 'transfer-encoding', 'chunked')
  const lengths = valuesOf(lines, 'content-length')
  const [first = '', ...others] = listOf(lengths)
  if (lengths.every((value) => value === '')) keep(lines, 'content-length', undefined)
  else if (/^\d+$/.test(first) && others.every((one) => one === first)) {
    keep(lines, 'content-length', first)
  } else if (isBodiless) keep(lines, 'content-length', undefined)
  if (isBodiless && isChunked) keep(lines, 'content-length', undefined)
  return isChunked
}

function valuesOf(lines: readonly Line[], framing: Line['framing']): string[] {
  return lines
    .filter((line) => line.framing === framing)
    .map(({ text }) => trimBlanks(text, text.indexOf(':') + 1))
}

function listOf(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(',')).map((item) => trimBlanks(item))
}

/** Gives the first header of a name this value, and removes the others; undefined removes all. */
function keep(lines: Line[], framing: Line['framing'], value: string | undefined): void {
  let left = value
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]
    if (line === undefined || line.framing !== framing) continue
    if (left === undefined) lines.splice(at--, 1)
    else line.text = `${nameOf(line.text)}: ${left}`
    left = undefined
  }
}
