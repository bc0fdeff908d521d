/**
 * Finds the end of a section of CRLF lines (a head or a trailer section) and checks its bytes, in
 * one pass. Checks of single bytes are made here, in the order of the bytes: control bytes, bare CR
 * and LF, the limits. Checks of whole lines are made later, on the finished text. So the result does
 * not depend on how the bytes are divided into chunks, and a message with a bad byte is rejected at
 * once instead of at the head timeout.
 *
 * A section within one chunk is not copied: its text is decoded from the chunk. Only a section in
 * several chunks is collected in a buffer, which is released when the section ends.
 */

import { HttpError, type HttpFault, type HttpSide } from './errors.ts'
import { type HttpLimits, resolveHttpLimits } from './limits.ts'

const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const DEL = 0x7f
/** 1 for each byte that is not allowed in a line, or ends it. */
export const CONTROLS: Uint8Array = new Uint8Array(256).fill(1, 0, SPACE)
CONTROLS[HTAB] = 0
CONTROLS[DEL] = 1

const MIN_HELD_BYTES = 512
/** Two empty lines, which some clients send behind a body. */
const MAX_SKIPPED_BYTES = 4
const EMPTY: Buffer = Buffer.alloc(0)

/** How one kind of section differs from another. */
export interface SectionRules {
  /** Who sent the message, for errors. */
  readonly side: HttpSide
  /** Most bytes, with the final empty line. */
  readonly maxBytes: number
  /** Fault when there are more bytes. */
  readonly tooLarge: HttpFault
  /** Name of the limit, for the error message. */
  readonly limitName: string
  /** Most lines, without the final empty line; more are HEADERS_TOO_MANY. */
  readonly maxLines: number
  /**
   * What happens with an empty line before the first line: up to two are skipped (before a request line, RFC
   * 9112 section 2.2), it is rejected (before a status line), or is the end (no trailers).
   */
  readonly emptyFirst: 'skip' | 'reject' | 'end'
}

/** A head, and what its chunk had after it. */
export interface HeadResult<Head> {
  /** The head that ended in the chunk. */
  readonly head: Head
  /** The bytes of the chunk after the head, not copied; may be empty. */
  readonly rest: Buffer
}

export interface Section {
  /** One character per byte, the final empty line included. */
  readonly text: string
  /** Contains the same bytes from offset on; valid until the memory of the last chunk is used again. */
  readonly bytes: Buffer
  /** Where the section starts in bytes. */
  readonly offset: number
  /** Where the first line starts: 0, or 2 or 4 after skipped empty lines. */
  readonly firstLine: number
  /** Where each line ends; the next line starts 2 later. */
  readonly lineEnds: readonly number[]
  /** Index just past the section in the last chunk. */
  readonly end: number
}

/** A section that is being read. */
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
 * Scans one section at a time, one after another. Most sections lie in one chunk; for them the
 * scanner stores nothing, which is faster and keeps no memory alive.
 */
export class SectionScanner {
  readonly #rules: SectionRules
  #draft: Draft | undefined
  #held: Buffer | undefined
  #heldBytes = 0

  constructor(rules: SectionRules) {
    this.#rules = rules
  }

  /** Bytes of an unfinished section; 0 between sections. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Returns the bytes of an unfinished section, and drops it; also after an error, without the last chunk. */
  takeHeld(): Buffer {
    const held = this.#held?.subarray(0, this.#heldBytes) ?? EMPTY
    this.reset()
    return held
  }

  /** Drops an unfinished section. */
  reset(): void {
    this.#draft = undefined
    this.#held = undefined
    this.#heldBytes = 0
  }

  /**
   * Takes the bytes of chunk from offset on; all of them if the section does not end.
   * @returns the finished section, or undefined
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

  /** Records a line that ends at a position of the section; returns true for the last line. */
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
    if (emptyFirst === 'reject' || draft.firstLine >= MAX_SKIPPED_BYTES) {
      throw this.#error('LINE_INVALID', 'empty line instead of it')
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
    this.#held = withRoom(this.#held ?? EMPTY, this.#heldBytes, needed)
    chunk.copy(this.#held, this.#heldBytes, offset, end)
    this.#heldBytes = needed
  }

  #error(fault: HttpFault, detail: string): HttpError {
    return new HttpError(this.#rules.side, fault, detail)
  }
}

/**
 * Returns memory for as many bytes as needed, with the first `used` bytes of `held` in it. Doubling keeps the total
 * cost of copying linear when a section arrives byte by byte.
 */
export function withRoom(held: Buffer, used: number, needed: number): Buffer {
  if (held.length >= needed) return held
  const grown = Buffer.allocUnsafeSlow(Math.max(MIN_HELD_BYTES, needed * 2))
  held.copy(grown, 0, 0, used)
  return grown
}

/** Returns the index of the next control byte, or stop. Four bytes at a time: most of the cost of a head is here. */
function endOfPlain(chunk: Buffer, start: number, stop: number): number {
  const controls = CONTROLS // once: in a bundle a constant of a module may be read from memory each time
  const lastFour = stop - 4
  let index = start
  while (index <= lastFour) {
    const one = controls[chunk[index] ?? 0] ?? 0
    const two = controls[chunk[index + 1] ?? 0] ?? 0
    const three = controls[chunk[index + 2] ?? 0] ?? 0
    const four = controls[chunk[index + 3] ?? 0] ?? 0
    if ((one | two | three | four) !== 0) break
    index += 4
  }
  while (index < stop && controls[chunk[index] ?? 0] === 0) index++
  return index
}

/**
 * Makes the rules for the heads of one side: the start line counts as a line of its own.
 * @throws {RangeError} for a limit out of range
 */
export function headRules(
  side: HttpSide,
  emptyFirst: SectionRules['emptyFirst'],
  limits: HttpLimits | undefined,
): SectionRules {
  const { maxHeadBytes, maxHeaders } = resolveHttpLimits(limits)
  return {
    side,
    maxBytes: maxHeadBytes,
    tooLarge: 'HEAD_TOO_LARGE',
    limitName: 'maxHeadBytes',
    maxLines: maxHeaders + 1,
    emptyFirst,
  }
}
