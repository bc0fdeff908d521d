/**
 * A chunked body (RFC 9112 section 7.1) is checked while its end is looked for, because the next hop reads
 * the same bytes: sizes are plain hexadecimal, lines end in CR LF only, extensions are short and
 * well-formed, trailers are header lines that are allowed as trailers. A service's body with faults that
 * have one reading can be repaired on the way.
 */

import { isBlank, TOKEN } from './ascii.ts'
import type { BodyReader, PayloadSink } from './body-framing.ts'
import { ChunkRepairs } from './chunk-repairs.ts'
import { HttpError, type HttpFault, type HttpSide } from './errors.ts'
import { parseHeaderLines } from './header-lines.ts'
import { type HttpLimits, type ResolvedHttpLimits, resolveHttpLimits } from './limits.ts'
import { LooseSection, strictSection } from './loose-section.ts'
import { repairTrailers, type Strictness } from './repair-lines.ts'
import { type Section, SectionScanner, type SectionRules } from './section-scanner.ts'
import { isForbiddenTrailer } from './trailers.ts'

const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const SEMICOLON = 0x3b
const EQUALS = 0x3d
const BACKSLASH = 0x5c
const DEL = 0x7f

// As many as a number of 64 bits has; some clients write all of them.
const MAX_SIZE_DIGITS = 16
// Services that fill up a line write 8 characters in all.
const MAX_SIZE_BLANKS = 256
// A size below it may have one more digit: sizes stay below 2^52, so they are exact numbers.
const MAX_PREFIX = 2 ** 48
// Every number of as many digits is below.
const PREFIX_DIGITS = 12

type Phase =
  | 'size'
  | 'size-blank'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailers'
  | 'done'

/**
 * Reads one chunked body. The state between two bytes is a phase, a number and, rarely, the text of
 * an extension or of a trailer section that arrived in two parts.
 */
export class ChunkedBody implements BodyReader {
  readonly #side: HttpSide
  readonly #limits: ResolvedHttpLimits
  #phase: Phase = 'size'
  #size = 0
  #digits = 0
  #extension = ''
  #trailers: SectionScanner | undefined
  readonly #isLenient: boolean
  /** Where the last scan began. */
  #start = 0
  /** Whether the last byte of the data is CR. */
  #endsInCr = false
  #repairs: ChunkRepairs | undefined

  /**
   * Starts before the first chunk.
   * @param side - the side that sent the message, for errors
   * @param strictness - whether faults with one reading are repaired
   * @throws {RangeError} for a limit out of range
   */
  constructor(side: HttpSide = 'request', limits?: HttpLimits, strictness: Strictness = 'strict') {
    this.#side = side
    this.#isLenient = strictness === 'lenient'
    this.#limits = resolveHttpLimits(limits)
  }

  /** Whether the empty line after the trailers was seen. */
  get done(): boolean {
    return this.#phase === 'done'
  }

  /** 0 or Infinity: a chunked body does not say how long it is. */
  get leftBytes(): number {
    return this.done ? 0 : Infinity
  }

  /** The first fault that was repaired. */
  get repaired(): HttpFault | undefined {
    return this.#repairs?.fault
  }

  /** Whether a chunk, or the end, has begun and is not complete. */
  get isOwed(): boolean {
    return this.#phase === 'size' ? this.#digits > 0 : !this.done
  }

  /**
   * Takes the bytes of chunk from offset on, see {@link BodyReader.scan}.
   * @throws {HttpError} CHUNK_SIZE_INVALID, CHUNK_EXTENSION_INVALID, CHUNK_EXTENSION_TOO_LARGE,
   * CHUNK_END_INVALID, TRAILER_FORBIDDEN, TRAILERS_TOO_LARGE, and the faults of header lines
   */
  scan(chunk: Buffer, offset: number, onPayload?: PayloadSink): number {
    this.#start = offset
    this.#repairs?.begin(offset)
    const end = this.#scan(chunk, offset, onPayload)
    this.#repairs?.end(end)
    return end
  }

  /** What is to be sent for the bytes of the last scan, see {@link BodyReader.rewritten}. */
  rewritten(chunk: Buffer): Buffer | undefined {
    return this.#repairs?.rewritten(chunk)
  }

  #scan(chunk: Buffer, offset: number, onPayload: PayloadSink | undefined): number {
    let at = offset
    while (at < chunk.length) {
      switch (this.#phase) {
        case 'data': {
          const end = Math.min(chunk.length, at + this.#size)
          this.#size -= end - at
          onPayload?.(chunk.subarray(at, end))
          at = end
          if (this.#size === 0) {
            this.#phase = 'data-cr'
            this.#endsInCr = chunk[end - 1] === CR
          }
          break
        }
        case 'trailers':
          at = this.#scanTrailers(chunk, at)
          break
        case 'done':
          return at
        default:
          this.#step(chunk[at] ?? 0, at)
          at++
      }
    }
    return at
  }

  /** Takes one byte between payloads. */
  #step(byte: number, at: number): void {
    switch (this.#phase) {
      case 'size':
        return this.#stepSize(byte, at)
      case 'size-blank':
        return this.#stepBlank(byte, at)
      case 'extension':
        return this.#stepExtension(byte)
      case 'size-lf':
        this.#expect(byte, LF, 'CR_BARE')
        return this.#endSize()
      case 'data-cr':
        // Behind a CR in the data the size may be one too large.
        if (byte === LF && this.#isLenient && !this.#endsInCr) {
          this.#repair('CHUNK_END_INVALID', at, at, '\r')
          this.#phase = 'size'
          return
        }
        this.#expect(byte, CR, 'CHUNK_END_INVALID')
        this.#phase = 'data-lf'
        return
      default:
        this.#expect(byte, LF, 'CHUNK_END_INVALID')
        this.#phase = 'size'
    }
  }

  #stepSize(byte: number, at: number): void {
    const value = hexValue(byte)
    if (value !== -1 && (this.#digits < PREFIX_DIGITS || this.#mayGrow)) {
      this.#size = this.#size * 16 + value
      this.#digits++
    } else if (this.#digits > 0 && byte === CR) {
      this.#phase = 'size-lf'
    } else if (this.#digits > 0 && byte === SEMICOLON) {
      this.#phase = 'extension'
      this.#stepExtension(byte)
    } else if (this.#digits > 0 && this.#isLenient && isSizeEnd(byte)) {
      this.#phase = 'size-blank'
      if (this.#repairs !== undefined) this.#repairs.blanks = 0
      this.#stepBlank(byte, at)
    } else {
      throw this.#error(byte === LF ? 'LF_BARE' : 'CHUNK_SIZE_INVALID', `byte ${byte}`)
    }
  }

  /** Whether a size of many digits may have one more: the first ones are zeros. */
  get #mayGrow(): boolean {
    return this.#digits < MAX_SIZE_DIGITS && this.#size < MAX_PREFIX
  }

  /** Takes a byte of a service behind the digits of a size: blanks are left out, and LF ends the line. */
  #stepBlank(byte: number, at: number): void {
    if (isBlank(byte)) this.#leaveOutBlank(at)
    else if (byte === LF) {
      this.#repair('LF_BARE', at, at, '\r')
      this.#endSize()
    } else if (byte === CR) this.#phase = 'size-lf'
    else if (byte === SEMICOLON) {
      this.#phase = 'extension'
      this.#stepExtension(byte)
    } else throw this.#error('CHUNK_SIZE_INVALID', `byte ${byte}`)
  }

  #leaveOutBlank(at: number): void {
    this.#repair('CHUNK_SIZE_INVALID', at, at + 1, '')
    if (this.#repairs !== undefined && ++this.#repairs.blanks > MAX_SIZE_BLANKS) {
      throw this.#error('CHUNK_SIZE_INVALID', `more than ${MAX_SIZE_BLANKS} blanks`)
    }
  }

  #stepExtension(byte: number): void {
    if (byte === CR) {
      if (!isChunkExtension(this.#extension)) {
        throw this.#error('CHUNK_EXTENSION_INVALID', `${this.#extension.length} bytes`)
      }
      this.#extension = ''
      this.#phase = 'size-lf'
      return
    }
    if (byte === LF) throw this.#error('LF_BARE', 'in a chunk extension')
    if ((byte < SPACE && byte !== HTAB) || byte === DEL) {
      throw this.#error('BYTE_INVALID', `byte ${byte} in a chunk extension`)
    }
    const { maxChunkExtensionBytes } = this.#limits
    if (this.#extension.length >= maxChunkExtensionBytes) {
      const detail = `maxChunkExtensionBytes is ${maxChunkExtensionBytes}`
      throw this.#error('CHUNK_EXTENSION_TOO_LARGE', detail)
    }
    this.#extension += String.fromCharCode(byte)
  }

  #endSize(): void {
    this.#digits = 0
    this.#phase = this.#size === 0 ? 'trailers' : 'data'
  }

  #scanTrailers(chunk: Buffer, offset: number): number {
    this.#trailers ??= new SectionScanner(this.#trailerRules())
    if (this.#isLenient) return this.#scanServiceTrailers(this.#trailers, chunk, offset)
    const section = this.#trailers.scan(chunk, offset)
    if (section === undefined) return chunk.length
    this.#endTrailers(section)
    return section.end
  }

  /**
   * Reads the trailers of a service. They are sent when they are complete, since they may have to be repaired;
   * most are, in the chunk that they begin in.
   */
  #scanServiceTrailers(scanner: SectionScanner, chunk: Buffer, offset: number): number {
    let section: Section | undefined
    let repairs: ChunkRepairs | undefined
    try {
      section = this.#repairs?.loose === undefined ? scanner.scan(chunk, offset) : undefined
      if (section !== undefined) {
        this.#endTrailers(section)
        if (this.#repairs?.isHolding === true) {
          this.#repairs.edit(offset, section.end, section.text)
        }
        return section.end
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      repairs = this.#repairsFor(error.fault)
      if (section !== undefined) {
        return this.#repairTrailers(repairs, section.text, offset, section.end)
      }
      repairs.loose = new LooseSection(this.#trailerRules(), '')
      repairs.loose.scan(scanner.takeHeld(), 0)
    }
    repairs ??= this.#repairsFor(undefined)
    const end = repairs.loose?.scan(chunk, offset)
    if (end !== undefined && repairs.loose !== undefined) {
      return this.#repairTrailers(repairs, repairs.loose.text, offset, end)
    }
    repairs.isHolding = true
    repairs.edit(offset, chunk.length, '')
    return chunk.length
  }

  #repairTrailers(repairs: ChunkRepairs, text: string, offset: number, end: number): number {
    const section = strictSection(repairTrailers(text), this.#trailerRules())
    this.#endTrailers(section)
    repairs.edit(offset, end, section.text)
    return end
  }

  #endTrailers(section: Section): void {
    const trailers = parseHeaderLines(section, 0, this.#side)
    for (let line = 0; line < trailers.ends.length; line++) {
      if (isForbiddenTrailer(trailers.nameOf(line))) {
        throw this.#error('TRAILER_FORBIDDEN', `line ${line + 1}`)
      }
    }
    this.#trailers = undefined
    this.#phase = 'done'
  }

  #trailerRules(): SectionRules {
    return {
      side: this.#side,
      maxBytes: this.#limits.maxTrailerBytes,
      tooLarge: 'TRAILERS_TOO_LARGE',
      limitName: 'maxTrailerBytes',
      maxLines: this.#limits.maxHeaders,
      emptyFirst: 'end',
    }
  }

  #repair(fault: HttpFault, from: number, to: number, text: string): void {
    this.#repairsFor(fault).edit(from, to, text)
  }

  #repairsFor(fault: HttpFault | undefined): ChunkRepairs {
    this.#repairs ??= new ChunkRepairs(this.#start)
    this.#repairs.fault ??= fault
    return this.#repairs
  }

  #expect(byte: number, wanted: number, fault: HttpFault): void {
    if (byte !== wanted) throw this.#error(fault, `byte ${byte}`)
  }

  #error(fault: HttpFault, detail: string): HttpError {
    return new HttpError(this.#side, fault, detail)
  }
}

/** Tells whether a byte behind the digits of a size can be repaired: a blank, or LF. */
function isSizeEnd(byte: number): boolean {
  return byte === LF || isBlank(byte)
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  // Bit 5 turns A-F into a-f, and no other byte into one of these.
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/**
 * Tells whether the text, which starts with a semicolon, follows the grammar of RFC 9112 section
 * 7.1.1 without optional blanks: `;name`, `;name=token` or `;name="quoted"`, any number of times.
 * Control bytes were rejected before.
 */
function isChunkExtension(text: string): boolean {
  let at = 0
  while (at < text.length) {
    if (text.charCodeAt(at) !== SEMICOLON) return false
    const nameEnd = endOfToken(text, at + 1)
    if (nameEnd === at + 1) return false
    at = nameEnd
    if (text.charCodeAt(at) !== EQUALS) continue
    const valueEnd = endOfValue(text, at + 1)
    if (valueEnd === at + 1) return false
    at = valueEnd
  }
  return true
}

function endOfToken(text: string, start: number): number {
  let at = start
  while ((TOKEN[text.charCodeAt(at)] ?? 0) !== 0) at++
  return at
}

/** Returns where a token or quoted string ends, or start if there is none. */
function endOfValue(text: string, start: number): number {
  if (text.charCodeAt(start) !== QUOTE) return endOfToken(text, start)
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at + 1
    if (code === BACKSLASH) at++
  }
  return start
}
