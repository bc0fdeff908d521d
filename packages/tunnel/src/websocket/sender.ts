import { frameHeaderBytes, OPCODES, writeFrameHeader } from './frame.ts'
import { MaskKeys, xorInto } from './mask.ts'
import type { ResolvedWebSocketPipeOptions } from './options.ts'

/**
 * Turns a batch of chunks into as few binary messages as the size limit allows. Payload that is not
 * masked leaves as it is, behind a header of its own; masked payload is copied first, because the
 * chunks are the caller's.
 */

/** Up to this size a message is copied into one buffer: a second one costs the socket more. */
const MAX_COPIED_BYTES = 2048
/** Masked messages stay this short, so that masking and writing happen in the cache: 256 KiB is a third slower. */
const MAX_MASKED_BYTES = 64 * 1024

/** The sending half of a WebSocket connection; it formats and writes nothing. */
export class WebSocketSender {
  readonly #masked: boolean
  readonly #keys: MaskKeys | undefined
  readonly #maxMessageBytes: number

  constructor(options: ResolvedWebSocketPipeOptions) {
    this.#masked = options.role === 'client'
    this.#keys = this.#masked && options.mask === 'random' ? new MaskKeys() : undefined
    this.#maxMessageBytes =
      this.#keys === undefined
        ? options.maxMessageBytes
        : Math.min(options.maxMessageBytes, MAX_MASKED_BYTES)
  }

  /** Returns the buffers that carry `chunks`, `bytes` in all and at least 1, in order. */
  messages(chunks: readonly Buffer[], bytes: number): Buffer[] {
    const buffers: Buffer[] = []
    if (bytes <= this.#maxMessageBytes) {
      this.#append(buffers, chunks, bytes)
      return buffers
    }
    let batch: Buffer[] = []
    let room = this.#maxMessageBytes
    for (const chunk of chunks) {
      let from = 0
      while (chunk.length - from >= room) {
        batch.push(chunk.subarray(from, from + room))
        this.#append(buffers, batch, this.#maxMessageBytes)
        from += room
        room = this.#maxMessageBytes
        batch = []
      }
      if (from < chunk.length) batch.push(chunk.subarray(from))
      room -= chunk.length - from
    }
    if (room < this.#maxMessageBytes) {
      this.#append(buffers, batch, this.#maxMessageBytes - room)
    }
    return buffers
  }

  /** Returns a control frame. */
  control(opcode: number, payload: Buffer): Buffer {
    return this.#frame(opcode, [payload], payload.length)
  }

  #append(buffers: Buffer[], chunks: readonly Buffer[], bytes: number): void {
    if (this.#keys !== undefined || bytes <= MAX_COPIED_BYTES) {
      buffers.push(this.#frame(OPCODES.binary, chunks, bytes))
      return
    }
    const header = Buffer.allocUnsafe(frameHeaderBytes(bytes, this.#masked))
    writeFrameHeader(header, 0, OPCODES.binary, bytes, this.#masked ? 0 : undefined)
    buffers.push(header, ...chunks)
  }

  /** Copies a whole frame into one buffer, masked where this side masks. */
  #frame(opcode: number, chunks: readonly Buffer[], bytes: number): Buffer {
    const headerBytes = frameHeaderBytes(bytes, this.#masked)
    const frame = Buffer.allocUnsafe(headerBytes + bytes)
    let key = this.#keys?.next() ?? (this.#masked ? 0 : undefined)
    writeFrameHeader(frame, 0, opcode, bytes, key)
    let end = headerBytes
    for (const chunk of chunks) {
      if (key) key = xorInto(chunk, frame, end, key)
      else chunk.copy(frame, end)
      end += chunk.length
    }
    return frame
  }
}
