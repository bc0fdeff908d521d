/**
 * Collects a section of a service in which {@link SectionScanner} found a fault, up to its end: a line may
 * end in LF alone, and control bytes other than NUL and CR are taken. All of it is text to repair; nothing
 * that is collected here is forwarded as it came.
 */

import { HttpError, type HttpFault } from './errors.ts'
import {
  CONTROLS,
  type Section,
  SectionScanner,
  type SectionRules,
  withRoom,
} from './section-scanner.ts'

const NUL = 0x00
const LF = 0x0a
const CR = 0x0d
const EMPTY: Buffer = Buffer.alloc(0)

/** Collects one section. */
export class LooseSection {
  readonly #rules: SectionRules
  readonly #prefix: string
  // One buffer: a text would be a piece of memory for each chunk, and a chunk may be one byte.
  #held: Buffer = EMPTY
  #heldBytes = 0
  #lines = 0
  #lineBytes = 0
  #afterCr = false
  #hasPrefix = true

  /**
   * @param prefix - what the section has to begin with: a service of another protocol is rejected at its first
   * wrong byte, as in strict reading
   */
  constructor(rules: SectionRules, prefix: string) {
    this.#rules = rules
    this.#prefix = prefix
  }

  /** The bytes so far, one character each. */
  get text(): string {
    return this.#held.toString('latin1', 0, this.#heldBytes)
  }

  /** How many bytes there are so far. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /**
   * Takes the bytes of chunk from offset on; all of them if the section does not end.
   * @returns index just past the section in chunk, or undefined
   * @throws {HttpError} for NUL, a bare CR, or a limit
   */
  scan(chunk: Buffer, offset: number): number | undefined {
    const { maxBytes, maxLines, emptyFirst, tooLarge, limitName } = this.#rules
    const shift = this.#heldBytes - offset
    const stop = Math.min(chunk.length, maxBytes - shift)
    for (let at = offset; at < stop; at++) {
      const byte = chunk[at] ?? 0
      if (at + shift < this.#prefix.length && byte !== this.#prefix.charCodeAt(at + shift)) {
        this.#hasPrefix = false
      }
      if (this.#afterCr && byte !== LF) throw this.#error('CR_BARE', `at byte ${at + shift - 1}`)
      if (byte === CR) {
        this.#afterCr = true
        continue
      }
      if (byte !== LF) {
        if (CONTROLS[byte] !== 0 && (byte === NUL || !this.#hasPrefix)) {
          throw this.#error('BYTE_INVALID', `byte ${byte} at byte ${at + shift}`)
        }
        this.#lineBytes++
        continue
      }
      if (!this.#afterCr && !this.#hasPrefix) throw this.#error('LF_BARE', `at byte ${at + shift}`)
      this.#afterCr = false
      if (this.#lineBytes > 0) {
        this.#lineBytes = 0
        if (++this.#lines > maxLines) {
          throw this.#error('HEADERS_TOO_MANY', `more than ${maxLines} lines`)
        }
      } else if (this.#lines > 0 || emptyFirst === 'end') {
        this.#hold(chunk, offset, at + 1)
        return at + 1
      } else throw this.#error('LINE_INVALID', 'empty line instead of it')
    }
    if (stop + shift >= maxBytes) throw this.#error(tooLarge, `${limitName} is ${maxBytes}`)
    this.#hold(chunk, offset, chunk.length)
    return undefined
  }

  #hold(chunk: Buffer, offset: number, end: number): void {
    const needed = this.#heldBytes + end - offset
    this.#held = withRoom(this.#held, this.#heldBytes, needed)
    chunk.copy(this.#held, this.#heldBytes, offset, end)
    this.#heldBytes = needed
  }

  #error(fault: HttpFault, detail: string): HttpError {
    return new HttpError(this.#rules.side, fault, detail)
  }
}

/**
 * Reads a repaired section strictly. Its own line ends may have made it longer than the limit.
 * @throws {HttpError} for what could not be repaired
 */
export function strictSection(text: string, rules: SectionRules): Section {
  const scanner = new SectionScanner({ ...rules, maxBytes: text.length + 1 })
  const section = scanner.scan(Buffer.from(text, 'latin1'), 0)
  if (section === undefined) throw new HttpError(rules.side, 'LINE_INVALID', 'no end')
  return section
}
