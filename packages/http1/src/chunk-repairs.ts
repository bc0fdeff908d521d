/**
 * The repairs of one chunked body of a service. They are made at the first of them, so that a valid body, as
 * nearly each is, has none of their fields.
 */

import type { HttpFault } from './errors.ts'
import type { LooseSection } from './loose-section.ts'

/** Bytes of a chunk in whose place others are sent. */
interface Edit {
  readonly from: number
  to: number
  /** One character per byte. */
  readonly text: string
}

/** What was repaired, and what is sent for the bytes of the last scan. */
export class ChunkRepairs {
  /** The first fault; undefined while the trailers, which may be valid, are held back. */
  fault: HttpFault | undefined
  /** Blanks behind the digits of the size that is being read. */
  blanks = 0
  /** A part of the trailers was read that is sent when all of them are known to be valid. */
  isHolding = false
  /** Trailers with a fault, up to their end. */
  loose: LooseSection | undefined
  /** Where the last scan began and ended, and what is changed in between. */
  #from: number
  #to = 0
  readonly #edits: Edit[] = []

  /** @param from - where the scan that makes the first repair began */
  constructor(from: number) {
    this.#from = from
  }

  /** The next scan begins. */
  begin(from: number): void {
    this.#from = from
    this.#edits.length = 0
  }

  /** The scan has ended. */
  end(to: number): void {
    this.#to = to
  }

  /** Sends a text in place of bytes of this scan, which are behind all that were edited before. */
  edit(from: number, to: number, text: string): void {
    const last = this.#edits.at(-1)
    if (last !== undefined && last.to === from && last.text === '' && text === '') last.to = to
    else this.#edits.push({ from, to, text })
  }

  /**
   * Returns what is to be sent for the bytes of the last scan; undefined for these bytes themselves.
   * @param chunk - that of the last scan
   */
  rewritten(chunk: Buffer): Buffer | undefined {
    if (this.#edits.length === 0) return undefined
    let length = this.#to - this.#from
    for (const { from, to, text } of this.#edits) length += text.length - (to - from)
    const bytes = Buffer.allocUnsafe(length)
    let at = 0
    let start = this.#from
    for (const { from, to, text } of this.#edits) {
      at += chunk.copy(bytes, at, start, from)
      if (text !== '') at += bytes.write(text, at, 'latin1')
      start = to
    }
    chunk.copy(bytes, at, start, this.#to)
    return bytes
  }
}
