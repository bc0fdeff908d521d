/**
 * Splits a byte stream into frames without joining chunks: payload is delivered in the pieces it
 * arrived in, and only a header that spans two chunks is copied. The handler gets the header first, so
 * it can reject a declared length before any payload is read.
 */
import { FrameType, HEADER_BYTES } from './frame.ts'
import { MuxError } from '../errors.ts'

/** Receives the parts of each frame in order. What it throws is thrown by `push`. */
export interface FrameHandler {
  /** A header was read. Payload follows if it is Data with `length` > 0. */
  onHeader(type: number, flags: number, streamId: number, length: number): void
  /** A piece of the current frame's payload, never empty: a view of the chunk pushed. */
  onPayload(piece: Buffer): void
  /** The current frame's payload is complete. */
  onPayloadEnd(): void
}

export class FrameReader {
  readonly #handler: FrameHandler
  #partial: Buffer | undefined
  #partialBytes = 0
  #payloadLeft = 0
  #stopped = false

  constructor(handler: FrameHandler) {
    this.#handler = handler
  }

  /** Ignores all further bytes, including the rest of the current chunk. */
  stop(): void {
    this.#stopped = true
  }

  /** Reads `chunk` and calls the handler for what it completes. */
  push(chunk: Buffer): void {
    const end = chunk.length
    let at = 0
    while (at < end && !this.#stopped) {
      if (this.#payloadLeft > 0) {
        at = this.#readPayload(chunk, at, end)
      } else if (this.#partialBytes === 0 && end - at >= HEADER_BYTES) {
        this.#readHeader(chunk, at)
        at += HEADER_BYTES
      } else {
        at = this.#readPartialHeader(chunk, at, end)
      }
    }
  }

  #readPayload(chunk: Buffer, at: number, end: number): number {
    const next = Math.min(end, at + this.#payloadLeft)
    this.#payloadLeft -= next - at
    this.#handler.onPayload(at === 0 && next === end ? chunk : chunk.subarray(at, next))
    if (this.#payloadLeft === 0 && !this.#stopped) this.#handler.onPayloadEnd()
    return next
  }

  #readPartialHeader(chunk: Buffer, at: number, end: number): number {
    const partial = (this.#partial ??= Buffer.allocUnsafe(HEADER_BYTES))
    const next = Math.min(end, at + HEADER_BYTES - this.#partialBytes)
    chunk.copy(partial, this.#partialBytes, at, next)
    this.#partialBytes += next - at
    if (this.#partialBytes === HEADER_BYTES) {
      this.#partialBytes = 0
      this.#readHeader(partial, 0)
    }
    return next
  }

  #readHeader(from: Buffer, at: number): void {
    const version = from.readUInt8(at)
    if (version !== 0) {
      throw new MuxError('MUX_FRAME_INVALID', `frame version ${version} is not 0`)
    }
    const type = from.readUInt8(at + 1)
    const length = from.readUInt32BE(at + 8)
    if (type === FrameType.data) this.#payloadLeft = length
    this.#handler.onHeader(type, from.readUInt16BE(at + 2), from.readUInt32BE(at + 4), length)
  }
}
