import { parseClosePayload, type ClosePayload } from './close.ts'
import { WebSocketPipeError } from './errors.ts'
import { FrameHeaderReader, MAX_CONTROL_BYTES, OPCODES } from './frame.ts'
import { xorInPlace } from './mask.ts'
import type { ResolvedWebSocketPipeOptions } from './options.ts'

/**
 * Turns chunks of a socket into payload bytes and control frames. It never waits for the rest of a
 * frame or message, and keeps no bytes but those of a header or control frame that straddles chunks.
 *
 * Piko's agents send 4 KiB fragments, each with a header of 8 bytes and a key of its own, so a chunk
 * of 64 KiB holds sixteen. Their payloads are unmasked where they lie and moved together over the
 * headers: one delivery per chunk instead of sixteen, for the price of a move inside the cache. Of a
 * large payload it is what lies before it that is moved.
 */

/** Where the receiver delivers. */
export interface WebSocketReceiverSink {
  /** Payload bytes of binary messages, a view of the chunk. */
  onPayload(bytes: Buffer): void
  /** A ping to answer with the same payload, which is the sink's to keep. */
  onPing(payload: Buffer): void
  /** A Close frame. Nothing is delivered after it. */
  onClose(close: ClosePayload): void
}

/** Up to this many bytes are moved next to their neighbours; for more, a second delivery is cheaper. */
const MAX_MOVED_BYTES = 64 * 1024

/** The receiving half of a WebSocket connection. */
export class WebSocketReceiver {
  readonly #masked: boolean
  readonly #maxFrameBytes: number
  readonly #maxIdleFramesPerSecond: number
  readonly #sink: WebSocketReceiverSink
  readonly #header = new FrameHeaderReader()
  readonly #control = Buffer.alloc(MAX_CONTROL_BYTES)
  #controlBytes = 0
  /** Payload bytes of the current frame that have not come yet. */
  #missing = 0
  /** The key for the next payload byte. */
  #key = 0
  #inControl = false
  #inMessage = false
  #close: ClosePayload | undefined
  #idleFrames = 0
  #idleSince = 0

  constructor(options: ResolvedWebSocketPipeOptions, sink: WebSocketReceiverSink) {
    this.#masked = options.role === 'server'
    this.#maxFrameBytes = options.maxFrameBytes
    this.#maxIdleFramesPerSecond = options.maxIdleFramesPerSecond
    this.#sink = sink
  }

  /** Whether the peer is within a message: an end of the connection here cuts it off. */
  get inMessage(): boolean {
    return this.#inMessage || this.#missing > 0 || this.#inControl || this.#header.partial
  }

  /**
   * Takes the next bytes of the connection. They are changed in place, and views of them are
   * delivered, so they must be the receiver's own.
   * @throws {WebSocketPipeError} with a close code when the peer breaks the protocol or a limit;
   * what came before is delivered first.
   */
  push(chunk: Buffer): void {
    if (this.#close !== undefined) return
    // The payload bytes found so far, not yet delivered, end up in [start, end).
    let start = 0
    let end = 0
    let offset = 0
    try {
      while (offset < chunk.length && this.#close === undefined) {
        if (this.#missing === 0) {
          offset = this.#header.read(chunk, offset)
          if (offset < 0) break
          this.#beginFrame()
          continue
        }
        const next = Math.min(offset + this.#missing, chunk.length)
        const bytes = next - offset
        this.#missing -= bytes
        if (this.#key !== 0) this.#key = xorInPlace(chunk.subarray(offset, next), this.#key)
        if (this.#inControl) {
          this.#takeControl(chunk, offset, next)
        } else if (end === offset && start < end) {
          end = next
        } else if (start < end && bytes <= MAX_MOVED_BYTES) {
          chunk.copyWithin(end, offset, next)
          end += bytes
        } else if (start < end && end - start <= MAX_MOVED_BYTES) {
          chunk.copyWithin(offset - (end - start), start, end)
          start += offset - end
          end = next
        } else {
          if (start < end) this.#sink.onPayload(chunk.subarray(start, end))
          start = offset
          end = next
        }
        offset = next
      }
    } finally {
      if (start < end) this.#sink.onPayload(chunk.subarray(start, end))
    }
    if (this.#close !== undefined) this.#sink.onClose(this.#close)
  }

  #beginFrame(): void {
    const { opcode, fin, masked, payloadBytes, key } = this.#header
    if (masked !== this.#masked) {
      throw invalid(
        masked ? 'a frame from a server is masked' : 'a frame from a client is not masked',
      )
    }
    this.#missing = payloadBytes
    this.#key = key
    if (opcode >= OPCODES.close) {
      this.#countIdleFrame()
      this.#inControl = true
      this.#controlBytes = 0
      if (payloadBytes === 0) this.#endControl()
      return
    }
    if (opcode === OPCODES.text) {
      throw new WebSocketPipeError('WEBSOCKET_TEXT_REFUSED', 'a text message came, want binary')
    }
    if ((opcode === OPCODES.continuation) !== this.#inMessage) {
      throw invalid(
        this.#inMessage ? 'a message begins within another' : 'a continuation without a beginning',
      )
    }
    if (payloadBytes > this.#maxFrameBytes) {
      throw new WebSocketPipeError(
        'WEBSOCKET_FRAME_TOO_LARGE',
        `a frame of ${payloadBytes} bytes exceeds maxFrameBytes ${this.#maxFrameBytes}`,
      )
    }
    if (payloadBytes === 0) this.#countIdleFrame()
    this.#inMessage = !fin
  }

  #takeControl(chunk: Buffer, from: number, to: number): void {
    this.#controlBytes += chunk.copy(this.#control, this.#controlBytes, from, to)
    if (this.#missing === 0) this.#endControl()
  }

  #endControl(): void {
    this.#inControl = false
    const payload = this.#control.subarray(0, this.#controlBytes)
    if (this.#header.opcode === OPCODES.ping) {
      this.#sink.onPing(Buffer.from(payload))
    } else if (this.#header.opcode === OPCODES.close) {
      this.#close = parseClosePayload(payload)
    }
  }

  /** Counts over whole seconds: a peer that was held up may send its pings in one go. */
  #countIdleFrame(): void {
    const nowMs = performance.now()
    if (nowMs - this.#idleSince >= 1000) {
      this.#idleSince = nowMs
      this.#idleFrames = 0
    }
    this.#idleFrames += 1
    if (this.#idleFrames > this.#maxIdleFramesPerSecond) {
      throw new WebSocketPipeError(
        'WEBSOCKET_FRAME_RATE_EXCEEDED',
        `more control or empty frames than maxIdleFramesPerSecond ${this.#maxIdleFramesPerSecond}`,
      )
    }
  }
}

function invalid(what: string): WebSocketPipeError {
  return new WebSocketPipeError('WEBSOCKET_FRAME_INVALID', `invalid WebSocket frame: ${what}`)
}
