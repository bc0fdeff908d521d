import { WebSocketPipeError } from './errors.ts'

/**
 * The frame header of RFC 6455 section 5.2, both ways:
 *
 *     byte 0   FIN, RSV1-3, opcode (4 bits)
 *     byte 1   MASK, length (7 bits); 126: u16 follows, 127: u64 follows
 *     0 to 8   extended length, in as few bytes as hold it
 *     0 or 4   masking key
 *
 * Reading checks what the header alone can tell. Which frame may come now, masked or not, and how
 * large, is for the receiver to judge, which knows the role and the message before.
 */

/** Opcodes of RFC 6455 section 11.8. From 8 upwards they are control frames. */
export const OPCODES = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const

/** The longest header: two bytes, a 64-bit length and a masking key. */
const MAX_HEADER_BYTES = 14

/** The longest payload of a control frame (RFC 6455 section 5.5). */
export const MAX_CONTROL_BYTES = 125

/** Reads frame headers from chunks that may end anywhere. Its fields describe the last one read. */
export class FrameHeaderReader {
  fin = false
  opcode = 0
  masked = false
  /** The masking key, its first byte on the wire lowest; 0 where there is none. */
  key = 0
  payloadBytes = 0
  readonly #held = Buffer.alloc(MAX_HEADER_BYTES)
  #heldBytes = 0

  /** Whether the last chunk ended within a header. */
  get partial(): boolean {
    return this.#heldBytes > 0
  }

  /**
   * Reads the header that begins, or goes on, at `offset`.
   * @returns the offset just past it, or -1 when the chunk ended first: go on with the next chunk.
   * @throws {WebSocketPipeError} WEBSOCKET_FRAME_INVALID when no RFC 6455 peer would send it.
   */
  read(chunk: Buffer, offset: number): number {
    if (this.#heldBytes === 0 && chunk.length - offset >= 2) {
      const bytes = headerBytes(chunk[offset + 1] ?? 0)
      if (chunk.length - offset >= bytes) {
        this.#decode(chunk, offset)
        return offset + bytes
      }
    }
    return this.#collect(chunk, offset)
  }

  #collect(chunk: Buffer, from: number): number {
    for (let offset = from; offset < chunk.length; offset++) {
      this.#held[this.#heldBytes++] = chunk[offset] ?? 0
      if (this.#heldBytes >= 2 && this.#heldBytes === headerBytes(this.#held[1] ?? 0)) {
        this.#heldBytes = 0
        this.#decode(this.#held, 0)
        return offset + 1
      }
    }
    return -1
  }

  #decode(bytes: Buffer, offset: number): void {
    const first = bytes[offset] ?? 0
    const second = bytes[offset + 1] ?? 0
    if ((first & 0x70) !== 0) throw invalid('a reserved bit is set')
    this.fin = first >= 0x80
    this.opcode = first & 0x0f
    this.masked = second >= 0x80
    let next = offset + 2
    const short = second & 0x7f
    if (short < 126) {
      this.payloadBytes = short
    } else if (short === 126) {
      this.payloadBytes = bytes.readUInt16BE(next)
      next += 2
      if (this.payloadBytes < 126) throw invalid(`length ${this.payloadBytes} takes 16 bits`)
    } else {
      const high = bytes.readUInt32BE(next)
      if (high >= 0x8000_0000) throw invalid('the top bit of a 64-bit length is set')
      // Above 2^53 this is inexact, but no limit is as high.
      this.payloadBytes = high * 2 ** 32 + bytes.readUInt32BE(next + 4)
      next += 8
      if (this.payloadBytes < 2 ** 16) throw invalid(`length ${this.payloadBytes} takes 64 bits`)
    }
    this.key = this.masked ? bytes.readInt32LE(next) : 0
    this.#checkOpcode()
  }

  #checkOpcode(): void {
    const { opcode } = this
    if (opcode < OPCODES.close) {
      if (opcode > OPCODES.binary) throw invalid(`opcode ${opcode} is reserved`)
      return
    }
    if (opcode > OPCODES.pong) throw invalid(`opcode ${opcode} is reserved`)
    if (!this.fin) throw invalid('a control frame is fragmented')
    if (this.payloadBytes > MAX_CONTROL_BYTES) {
      throw invalid(`a control frame has ${this.payloadBytes} bytes, limit ${MAX_CONTROL_BYTES}`)
    }
  }
}

/** Returns how many bytes the header of an unfragmented frame takes. */
export function frameHeaderBytes(payloadBytes: number, masked: boolean): number {
  const length = payloadBytes < 126 ? 0 : payloadBytes < 2 ** 16 ? 2 : 8
  return 2 + length + (masked ? 4 : 0)
}

/**
 * Writes the header of an unfragmented frame into `target` at `offset`.
 * @param key - the masking key, or undefined for a frame that is not masked.
 */
export function writeFrameHeader(
  target: Buffer,
  offset: number,
  opcode: number,
  payloadBytes: number,
  key: number | undefined,
): void {
  const maskBit = key === undefined ? 0 : 0x80
  let next = offset + 2
  target[offset] = 0x80 | opcode
  if (payloadBytes < 126) {
    target[offset + 1] = maskBit | payloadBytes
  } else if (payloadBytes < 2 ** 16) {
    target[offset + 1] = maskBit | 126
    next = target.writeUInt16BE(payloadBytes, next)
  } else {
    target[offset + 1] = maskBit | 127
    next = target.writeUInt32BE(Math.floor(payloadBytes / 2 ** 32), next)
    next = target.writeUInt32BE(payloadBytes % 2 ** 32, next)
  }
  if (key !== undefined) target.writeInt32LE(key, next)
}

/** Length of the header whose second byte this is. */
function headerBytes(second: number): number {
  const short = second & 0x7f
  return 2 + (short < 126 ? 0 : short === 126 ? 2 : 8) + (second >= 0x80 ? 4 : 0)
}

function invalid(what: string): WebSocketPipeError {
  return new WebSocketPipeError('WEBSOCKET_FRAME_INVALID', `invalid WebSocket frame: ${what}`)
}
