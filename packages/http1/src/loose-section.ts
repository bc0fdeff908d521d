/**
 * Collects a section of a service in which {@link SectionScanner} found a fault, up to its end: a line may
 * end in LF alone, and control bytes other than NUL and CR are taken. All of it is text to repair; nothing
 * that is collected here is forwarded as it came.
 */

import { HttpError, type HttpFault } from './errors.ts'
import { CONTROLS, type Section, SectionScanner, type SectionRules } from './section-scanner.ts'

const NUL = 0x00
const LF = 0x0a
const CR = 0x0d

/** Collects one section. */
export class LooseSection {
  readonly #rules: SectionRules
  readonly #prefix: string
  #text = ''
  #lines = 0
  #lineBytes = 0
  #afterCr = false

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
    return this.#text
  }

  /**
   * Takes the bytes of chunk from offset on; all of them if the section does not end.
   * @returns index just past the section in chunk, or undefined
   * @throws {HttpError} for NUL, a bare CR, or a limit
   */
  scan(chunk: Buffer, offset: number): number | undefined {
    const { maxBytes, maxLines, emptyFirst, tooLarge, limitName } = this.#rules
    const shift = this.#text.length - offset
    const stop = Math.min(chunk.length, maxBytes - shift)
    for (let at = offset; at < stop; at++) {
      const byte = chunk[at] ?? 0
      if (this.#afterCr && byte !== LF) throw this.#error('CR_BARE', `at byte ${at + shift - 1}`)
      if (byte === CR) {
        this.#afterCr = true
        continue
      }
      if (byte !== LF) {
        if (CONTROLS[byte] !== 0) {
          const error = this.#error('BYTE_INVALID', `byte ${byte} at byte ${at + shift}`)
          if (byte === NUL || !this.#hasPrefix(chunk, offset, at)) throw error
        }
        this.#lineBytes++
        continue
      }
      if (!this.#afterCr && !this.#hasPrefix(chunk, offset, at)) {
        throw this.#error('LF_BARE', `at byte ${at + shift}`)
      }
      this.#afterCr = false
      if (this.#lineBytes > 0) {
        this.#lineBytes = 0
        if (++this.#lines > maxLines) {
          throw this.#error('HEADERS_TOO_MANY', `more than ${maxLines} lines`)
        }
      } else if (this.#lines > 0 || emptyFirst === 'end') {
        this.#text += chunk.toString('latin1', offset, at + 1)
        return at + 1
      } else throw this.#error('LINE_INVALID', 'empty line instead of it')
    }
    if (stop + shift >= maxBytes) throw this.#error(tooLarge, `${limitName} is ${maxBytes}`)
    this.#text += chunk.toString('latin1', offset)
    return undefined
  }

  #hasPrefix(chunk: Buffer, offset: number, at: number): boolean {
    const prefix = this.#prefix
    const more = chunk.toString('latin1', offset, Math.min(at, offset + prefix.length))
    return `${this.#text.slice(0, prefix.length)}${more}`.startsWith(prefix)
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
