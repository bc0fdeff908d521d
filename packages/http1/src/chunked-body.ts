/**
 * Reads a chunked body (RFC 9112 section 7.1) and says where it ends. It validates everything it
 * passes over, because what is spliced is read again by the next hop: sizes are bare hexadecimal,
 * lines end in CR LF only, extensions are short and well-formed, trailers are header lines that may
 * be trailers. Payload is skipped, not looked at. The state between two bytes is a phase, a number
 * and, rarely, the text of an extension or a trailer section that was cut in two.
 */

import type { BodyReader, PayloadSink } from './body-reader.ts'
import { isChunkExtension } from './chunk-extension.ts'
import { HttpError, type HttpFault, type HttpSide } from './errors.ts'
import { parseHeaderLines } from './header-lines.ts'
import { type HttpLimits, type ResolvedHttpLimits, resolveHttpLimits } from './limits.ts'
import { SectionScanner } from './section-scanner.ts'
import { isForbiddenTrailer } from './trailers.ts'

const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const SEMICOLON = 0x3b
const DEL = 0x7f

// 13 digits stay below 2^52, so sizes are exact numbers. No honest chunk is larger.
const MAX_SIZE_DIGITS = 13

type Phase = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'done'

/** Reads one chunked body. */
export class ChunkedBody implements BodyReader {
  readonly #side: HttpSide
  readonly #limits: ResolvedHttpLimits
  #phase: Phase = 'size'
  #size = 0
  #digits = 0
  #extension = ''
  #trailers: SectionScanner | undefined

  /**
   * Starts before the first chunk.
   * @param side - whose message it is, for errors
   * @throws {RangeError} for a limit out of range
   */
  constructor(side: HttpSide = 'request', limits?: HttpLimits) {
    this.#side = side
    this.#limits = resolveHttpLimits(limits)
  }

  /** Whether the empty line behind the trailers was seen. */
  get done(): boolean {
    return this.#phase === 'done'
  }

  /**
   * Takes the bytes of chunk from offset on, see {@link BodyReader.scan}.
   * @throws {HttpError} CHUNK_SIZE_INVALID, CHUNK_EXTENSION_INVALID, CHUNK_EXTENSION_TOO_LARGE,
   * CHUNK_END_INVALID, TRAILER_FORBIDDEN, TRAILERS_TOO_LARGE, and the faults of header lines
   */
  scan(chunk: Buffer, offset: number, onPayload?: PayloadSink): number {
    let at = offset
    while (at < chunk.length) {
      switch (this.#phase) {
        case 'data': {
          const end = Math.min(chunk.length, at + this.#size)
          this.#size -= end - at
          onPayload?.(chunk.subarray(at, end))
          at = end
          if (this.#size === 0) this.#phase = 'data-cr'
          break
        }
        case 'trailers':
          at = this.#scanTrailers(chunk, at)
          break
        case 'done':
          return at
        default:
          this.#step(chunk[at] ?? 0)
          at++
      }
    }
    return at
  }

  /** Takes one byte between payloads. */
  #step(byte: number): void {
    switch (this.#phase) {
      case 'size':
        return this.#stepSize(byte)
      case 'extension':
        return this.#stepExtension(byte)
      case 'size-lf':
        this.#expect(byte, LF, 'CR_BARE')
        return this.#endSize()
      case 'data-cr':
        this.#expect(byte, CR, 'CHUNK_END_INVALID')
        this.#phase = 'data-lf'
        return
      default:
        this.#expect(byte, LF, 'CHUNK_END_INVALID')
        this.#phase = 'size'
    }
  }

  #stepSize(byte: number): void {
    const value = hexValue(byte)
    if (value !== -1 && this.#digits < MAX_SIZE_DIGITS) {
      this.#size = this.#size * 16 + value
      this.#digits++
    } else if (this.#digits > 0 && byte === CR) {
      this.#phase = 'size-lf'
    } else if (this.#digits > 0 && byte === SEMICOLON) {
      this.#phase = 'extension'
      this.#stepExtension(byte)
    } else {
      throw this.#error(byte === LF ? 'LF_BARE' : 'CHUNK_SIZE_INVALID', `byte ${byte}`)
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
    this.#trailers ??= new SectionScanner({
      side: this.#side,
      maxBytes: this.#limits.maxTrailerBytes,
      tooLarge: 'TRAILERS_TOO_LARGE',
      limitName: 'maxTrailerBytes',
      maxLines: this.#limits.maxHeaders,
      emptyFirst: 'end',
    })
    const section = this.#trailers.scan(chunk, offset)
    if (section === undefined) return chunk.length
    const trailers = parseHeaderLines(section, 0, this.#side)
    for (let line = 0; line < trailers.ends.length; line++) {
      if (isForbiddenTrailer(trailers.nameOf(line))) {
        throw this.#error('TRAILER_FORBIDDEN', `line ${line + 1}`)
      }
    }
    this.#trailers = undefined
    this.#phase = 'done'
    return section.end
  }

  #expect(byte: number, wanted: number, fault: HttpFault): void {
    if (byte !== wanted) throw this.#error(fault, `byte ${byte}`)
  }

  #error(fault: HttpFault, detail: string): HttpError {
    return new HttpError(this.#side, fault, detail)
  }
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  // Setting bit 5 makes A-F into a-f and nothing else into them.
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
