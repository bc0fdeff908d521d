/**
 * Finds the end of a message body in a stream of chunks without copying or holding any of it. A
 * splice forwards the bytes it was given and asks only where the message ends.
 */

import type { BodyFraming } from './body-framing.ts'
import { ChunkedBody } from './chunked-body.ts'
import type { HttpSide } from './errors.ts'
import type { HttpLimits } from './limits.ts'

/** Receives payload bytes, in order; a piece is a part of the chunk being scanned, not a copy. */
export type PayloadSink = (piece: Buffer) => void

/** Reads one body. */
export interface BodyReader {
  /** Whether the last byte of the message was seen. Never true when only the connection's end can tell. */
  readonly done: boolean
  /**
   * Takes the bytes of chunk from offset on, as far as they are part of this message.
   * @param onPayload - receives the payload without its framing, for a peer that gets other framing
   * @returns index just past the last byte of this message in chunk: the length of the chunk while
   * the body goes on, offset when it was done before
   * @throws {HttpError} for a malformed chunked body; the reader must not be used again
   */
  scan(chunk: Buffer, offset: number, onPayload?: PayloadSink): number
}

/**
 * Makes the reader of one body.
 * @param side - whose message it is, for errors
 * @throws {RangeError} for a limit out of range
 */
export function createBodyReader(
  framing: BodyFraming,
  side: HttpSide = 'request',
  limits?: HttpLimits,
): BodyReader {
  if (framing.kind === 'chunked') return new ChunkedBody(side, limits)
  if (framing.kind === 'length') return new LengthBody(framing.bytes)
  return new LengthBody(framing.kind === 'none' ? 0 : Infinity)
}

/** A body of a known number of bytes; Infinity for one that ends with its connection. */
class LengthBody implements BodyReader {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  get done(): boolean {
    return this.#left === 0
  }

  scan(chunk: Buffer, offset: number, onPayload?: PayloadSink): number {
    const end = Math.min(chunk.length, offset + this.#left)
    this.#left -= end - offset
    if (onPayload !== undefined && end > offset) onPayload(chunk.subarray(offset, end))
    return end
  }
}
