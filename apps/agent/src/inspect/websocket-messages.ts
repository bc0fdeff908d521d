/** Reads the frames of one direction of a WebSocket (RFC 6455 section 5) on bytes that others pass on. */

/** Bytes of a message that are kept. */
export const MESSAGE_KEPT_BYTES = 16_384

/** Longest head of a frame. */
const MAX_HEAD_BYTES = 14

/** A message that is complete. */
export interface ReadMessage {
  readonly type: 'text' | 'binary' | 'ping' | 'pong' | 'close'
  readonly bytes: number
  readonly data: Buffer
  readonly isCompressed: boolean
}

const TYPES: Readonly<Record<number, ReadMessage['type']>> = {
  1: 'text',
  2: 'binary',
  8: 'close',
  9: 'ping',
  10: 'pong',
}

/** A message that is being read. */
interface Draft {
  type: ReadMessage['type']
  isCompressed: boolean
  bytes: number
  pieces: Buffer[]
  kept: number
}

/** Collects the messages of one direction. */
export class WebSocketMessages {
  readonly #onMessage: (message: ReadMessage) => void
  readonly #head = Buffer.alloc(MAX_HEAD_BYTES)
  #headBytes = 0
  #left = 0
  #mask: Buffer | undefined
  #maskAt = 0
  #isFinal = false
  /** The message of the frame; a control frame has one of its own between the parts of another. */
  #draft: Draft | undefined
  #parts: Draft | undefined

  constructor(onMessage: (message: ReadMessage) => void) {
    this.#onMessage = onMessage
  }

  /** Takes the next bytes. @throws {Error} for a frame that is none. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#draft === undefined) {
        at = this.#readHead(chunk, at)
        continue
      }
      const end = Math.min(chunk.length, at + this.#left)
      this.#take(this.#draft, chunk.subarray(at, end))
      this.#left -= end - at
      at = end
      if (this.#left === 0) this.#endFrame(this.#draft)
    }
  }

  #readHead(chunk: Buffer, from: number): number {
    let at = from
    while (at < chunk.length) {
      this.#head[this.#headBytes] = chunk[at] as number
      this.#headBytes += 1
      at += 1
      if (this.#headBytes >= 2 && this.#headBytes === this.#headLength()) {
        this.#beginFrame()
        return at
      }
    }
    return at
  }

  #headLength(): number {
    const second = this.#head[1] as number
    const length = second & 0x7f
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & 0x80) === 0 ? 0 : 4)
  }

  #beginFrame(): void {
    const [first, second] = [this.#head[0] as number, this.#head[1] as number]
    const short = second & 0x7f
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0
    const length =
      extended === 0
        ? short
        : extended === 2
          ? this.#head.readUInt16BE(2)
          : Number(this.#head.readBigUInt64BE(2))
    const opcode = first & 0x0f
    this.#isFinal = (first & 0x80) !== 0
    this.#left = length
    this.#mask =
      (second & 0x80) === 0
        ? undefined
        : Buffer.from(this.#head.subarray(2 + extended, 6 + extended))
    this.#maskAt = 0
    this.#headBytes = 0
    if (opcode === 0) {
      if (this.#parts === undefined) throw new Error('a continuation of no message')
      this.#draft = this.#parts
    } else {
      const type = TYPES[opcode]
      if (type === undefined) throw new Error(`opcode ${opcode}`)
      this.#draft = { type, isCompressed: (first & 0x40) !== 0, bytes: 0, pieces: [], kept: 0 }
      if (opcode < 8) this.#parts = this.#draft
    }
    if (length === 0) this.#endFrame(this.#draft)
  }

  #take(draft: Draft, piece: Buffer): void {
    draft.bytes += piece.length
    const wanted = Math.min(piece.length, MESSAGE_KEPT_BYTES - draft.kept)
    if (wanted > 0) {
      const copy = Buffer.from(piece.subarray(0, wanted))
      const mask = this.#mask
      if (mask !== undefined) {
        for (let index = 0; index < wanted; index++) {
          copy[index] = (copy[index] as number) ^ (mask[(this.#maskAt + index) & 3] as number)
        }
      }
      draft.pieces.push(copy)
      draft.kept += wanted
    }
    this.#maskAt = (this.#maskAt + piece.length) & 3
  }

  #endFrame(draft: Draft): void {
    this.#draft = undefined
    if (!this.#isFinal) return
    if (draft === this.#parts) this.#parts = undefined
    const { type, bytes, isCompressed, pieces } = draft
    this.#onMessage({ type, bytes, isCompressed, data: Buffer.concat(pieces) })
  }
}
