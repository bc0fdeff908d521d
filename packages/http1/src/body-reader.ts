/**
 * Finds the end of a message body in a stream of chunks, without copying or holding any of it: the
 * body is forwarded as it arrived, and only its end has to be known. Only where a fault of a service is
 * repaired, other bytes are forwarded.
 */

import type { BodyFraming, BodyReader, PayloadSink } from './body-framing.ts'
import { ChunkedBody } from './chunked-body.ts'
import type { HttpSide } from './errors.ts'
import type { HttpLimits } from './limits.ts'
import type { Strictness } from './repair-lines.ts'

/**
 * Makes the reader of one body.
 * @param side - the side that sent the message, for errors
 * @param strictness - whether faults with one reading are repaired; then {@link BodyReader.rewritten} is to be asked
 * @throws {RangeError} for a limit out of range
 */
export function createBodyReader(
  framing: BodyFraming,
  side: HttpSide = 'request',
  limits?: HttpLimits,
  strictness: Strictness = 'strict',
): BodyReader {
  if (framing.kind === 'chunked') return new ChunkedBody(side, limits, strictness)
  if (framing.kind === 'length') return new LengthBody(framing.bytes)
  return new LengthBody(framing.kind === 'none' ? 0 : Infinity)
}

/** A body of a known number of bytes; Infinity for a body that ends with its connection. */
class LengthBody implements BodyReader {
  readonly repaired = undefined
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  get done(): boolean {
    return this.#left === 0
  }

  get leftBytes(): number {
    return this.#left
  }

  get isOwed(): boolean {
    return this.#left > 0
  }

  scan(chunk: Buffer, offset: number, onPayload?: PayloadSink): number {
    const end = Math.min(chunk.length, offset + this.#left)
    this.#left -= end - offset
    if (onPayload !== undefined && end > offset) onPayload(chunk.subarray(offset, end))
    return end
  }

  rewritten(): undefined {
    return undefined
  }
}
