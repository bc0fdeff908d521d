import { formatClosePayload } from './close.ts'
import { frameHeaderBytes, OPCODES, writeFrameHeader } from './frame.ts'

/**
 * Follows the frames of one direction of a WebSocket that others speak, without a look at their payload, so
 * that a frame of ours can go between two of them. Extensions may use the reserved bits; nothing is checked.
 */
export class FrameBoundary {
  /** Whether a Close frame has begun: no frame may follow it. */
  hasClosed = false
  /** Bytes of the header that have come. */
  #headBytes = 0
  /** Bytes of a 16-bit or 64-bit length. */
  #lengthBytes = 0
  #maskBytes = 0
  #payloadBytes = 0

  /** Whether the last byte was the end of a frame, or none has come. */
  get isBetweenFrames(): boolean {
    return this.#headBytes === 0
  }

  /** Takes the bytes of a chunk. */
  take(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) at = this.takeFrame(chunk, at)
  }

  /** Takes bytes up to the end of the frame. @returns the offset behind the last byte that was taken. */
  takeFrame(chunk: Buffer, offset: number): number {
    let at = offset
    while (at < chunk.length) {
      if (this.#headBytes < 2 + this.#lengthBytes + this.#maskBytes) {
        this.#takeHead(chunk[at] ?? 0)
        at += 1
      } else {
        const bytes = Math.min(this.#payloadBytes, chunk.length - at)
        this.#payloadBytes -= bytes
        at += bytes
      }
      const isHeadWhole = this.#headBytes === 2 + this.#lengthBytes + this.#maskBytes
      if (isHeadWhole && this.#payloadBytes === 0) {
        this.#headBytes = 0
        this.#lengthBytes = 0
        this.#maskBytes = 0
        return at
      }
    }
    return at
  }

  #takeHead(byte: number): void {
    const at = this.#headBytes
    this.#headBytes += 1
    if (at === 0) this.hasClosed ||= (byte & 0x0f) === OPCODES.close
    else if (at === 1) {
      const short = byte & 0x7f
      this.#lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
      this.#maskBytes = byte >= 0x80 ? 4 : 0
      this.#payloadBytes = short < 126 ? short : 0
    } else if (at < 2 + this.#lengthBytes) this.#payloadBytes = this.#payloadBytes * 256 + byte
  }
}

/**
 * A Close frame of a server (RFC 6455 section 5.5.1).
 *
 * @param reason - ASCII; cut to what a control frame holds.
 */
export function formatCloseFrame(code: number, reason: string): Buffer {
  const payload = formatClosePayload(code, reason)
  const headBytes = frameHeaderBytes(payload.length, false)
  const frame = Buffer.alloc(headBytes + payload.length)
  writeFrameHeader(frame, 0, OPCODES.close, payload.length, undefined)
  payload.copy(frame, headBytes)
  return frame
}
