/**
 * Finds the end of a section of CRLF lines (a head or a trailer section) and checks its bytes, in
 * one pass, however the bytes are cut into chunks. Everything that can be told from single bytes is
 * decided here, in the order of the bytes: control bytes, bare CR and LF, the limits. Everything
 * that needs a whole line is decided later, from the finished text. So the verdict on a message
 * never depends on its chunking, and a peer that can no longer be right is refused at once instead
 * of when the head times out.
 *
 * A section that lies in one chunk is not copied: its text is read straight out of the chunk. Only
 * a section cut in two is gathered in a buffer, which is let go when the section ends.
 */

import { HttpError, type HttpFault, type HttpSide } from './errors.ts'

const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const DEL = 0x7f
// 1 for each byte that may not stand in a line, or ends it.
const CONTROLS: Uint8Array = new Uint8Array(256).fill(1, 0, SPACE)
CONTROLS[HTAB] = 0
CONTROLS[DEL] = 1

const MIN_HELD_BYTES = 512
const EMPTY: Buffer = Buffer.alloc(0)

/** What tells one kind of section from another. */
export interface SectionRules {
  /** Whose message this is, for errors. */
  readonly side: HttpSide
  /** Most bytes, final empty line included. */
  readonly maxBytes: number
  /** Fault when there are more bytes. */
  readonly tooLarge: HttpFault
  /** Name of the limit on bytes, for the error message. */
  readonly limitName: string
  /** Most lines, final empty line not counted; more are HEADERS_TOO_MANY. */
  readonly maxLines: number
  /**
   * What an empty line before the first line is: skipped once (before a request line, RFC 9112
   * section 2.2), a fault (before a status line), or the end (no trailers).
   */
  readonly emptyFirst: 'skip-once' | 'refuse' | 'end'
}

/** A section that ended. */
export interface Section {
  /** One character per byte, the final empty line included. */
  readonly text: string
  /** Holds the same from offset on; only until the chunk that ended the section is used again. */
  readonly bytes: Buffer
  /** Where the section starts in bytes. */
  readonly offset: number
  /** Where the first line starts: 0, or 2 behind a skipped empty line. */
  readonly firstLine: number
  /** For each line where it ends; the next line starts two further on. */
  readonly lineEnds: readonly number[]
  /** Index just past the section in the chunk that ended it. */
  readonly end: number
}

/** A section as far as it was read. */
class Draft implements Section {
  text = ''
  bytes = EMPTY
  offset = 0
  firstLine = 0
  readonly lineEnds: number[] = []
  end = 0
  lineStart = 0
  afterCr = false
}

/**
 * Scans one section at a time; usable again as soon as a section ended. Most lie in one chunk: they
 * leave no trace here, which costs less than to take note of them, and is nothing to keep alive.
 */
export class SectionScanner {
  readonly #rules: SectionRules
  #draft: Draft | undefined
  #held: Buffer | undefined
  #heldBytes = 0

  constructor(rules: SectionRules) {
    this.#rules = rules
  }

  /** Bytes taken in of a section that has not ended; 0 between sections. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Forgets a section that has not ended. */
  reset(): void {
    this.#draft = undefined
    this.#held = undefined
    this.#heldBytes = 0
  }

  /**
   * Takes the bytes of chunk from offset on. All of them are taken if the section does not end.
   * @returns the section that ended, or undefined when it goes on
   * @throws {HttpError} for a control byte, a bare CR or LF, or a limit
   */
  scan(chunk: Buffer, offset: number): Section | undefined {
    const { maxBytes } = this.#rules
    const draft = this.#draft ?? new Draft()
    // A byte at index i of the chunk is at i + shift of the section.
    const shift = this.#heldBytes - offset
    const stop = Math.min(chunk.length, maxBytes - shift)
    let { afterCr } = draft
    let index = offset
    while (index < stop) {
      if (afterCr) {
        if (chunk[index] !== LF) throw this.#error('CR_BARE', `at byte ${index + shift - 1}`)
        afterCr = false
        index++
        const isLast = this.#endLine(draft, index + shift - 2)
        if (isLast) return this.#finish(draft, chunk, offset, index)
      }
      index = endOfPlain(chunk, index, stop)
      if (index === stop) break
      const byte = chunk[index] ?? 0
      if (byte === LF) throw this.#error('LF_BARE', `at byte ${index + shift}`)
      if (byte !== CR) throw this.#error('BYTE_INVALID', `byte ${byte} at byte ${index + shift}`)
      afterCr = true
      index++
    }
    if (stop + shift >= maxBytes) {
      const { tooLarge, limitName } = this.#rules
      throw this.#error(tooLarge, `${limitName} is ${maxBytes}`)
    }
    draft.afterCr = afterCr
    this.#draft = draft
    this.#hold(chunk, offset, chunk.length)
    return undefined
  }

  /** Takes note of a line that ends at a position of the section; true when it is the last. */
  #endLine(draft: Draft, end: number): boolean {
    const { maxLines, emptyFirst } = this.#rules
    const { lineEnds } = draft
    const empty = end === draft.lineStart
    draft.lineStart = end + 2
    if (!empty) {
      lineEnds.push(end)
      if (lineEnds.length <= maxLines) return false
      throw this.#error('HEADERS_TOO_MANY', `more than ${maxLines} lines`)
    }
    if (lineEnds.length > 0 || emptyFirst === 'end') return true
    if (emptyFirst === 'refuse' || draft.firstLine > 0) {
      throw this.#error('LINE_INVALID', 'empty line in its place')
    }
    draft.firstLine = end + 2
    return false
  }

  #finish(draft: Draft, chunk: Buffer, offset: number, end: number): Section {
    draft.end = end
    if (this.#held === undefined) {
      draft.bytes = chunk
      draft.offset = offset
      draft.text = chunk.toString('latin1', offset, end)
      return draft
    }
    this.#hold(chunk, offset, end)
    draft.bytes = this.#held
    draft.text = this.#held.toString('latin1', 0, this.#heldBytes)
    this.reset()
    return draft
  }

  #hold(chunk: Buffer, offset: number, end: number): void {
    const needed = this.#heldBytes + end - offset
    if (needed === 0) return
    if (this.#held === undefined || this.#held.length < needed) {
      // Doubling keeps the copying linear when the section comes byte by byte.
      const grown = Buffer.allocUnsafeSlow(Math.max(MIN_HELD_BYTES, needed * 2))
      this.#held?.copy(grown, 0, 0, this.#heldBytes)
      this.#held = grown
    }
    chunk.copy(this.#held, this.#heldBytes, offset, end)
    this.#heldBytes = needed
  }

  #error(fault: HttpFault, detail: string): HttpError {
    return new HttpError(this.#rules.side, fault, detail)
  }
}

/** Returns where the bytes that need no thought end. Four at a time: that is most of what a head costs. */
function endOfPlain(chunk: Buffer, start: number, stop: number): number {
  const lastFour = stop - 4
  let index = start
  while (index <= lastFour) {
    const one = CONTROLS[chunk[index] ?? 0] ?? 0
    const two = CONTROLS[chunk[index + 1] ?? 0] ?? 0
    const three = CONTROLS[chunk[index + 2] ?? 0] ?? 0
    const four = CONTROLS[chunk[index + 3] ?? 0] ?? 0
    if ((one | two | three | four) !== 0) break
    index += 4
  }
  while (index < stop && CONTROLS[chunk[index] ?? 0] === 0) index++
  return index
}
