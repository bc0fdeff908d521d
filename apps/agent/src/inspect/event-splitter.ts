/** Splits an event stream (text/event-stream) into its events. */
import { MESSAGE_KEPT_BYTES } from './websocket-messages.ts'

const LF = 0x0a
const CR = 0x0d

/** An event: its lines as they were sent, without the empty one behind them. */
export interface ReadEvent {
  readonly bytes: number
  readonly data: Buffer
}

/** Collects events; a line ends with CR LF, LF or CR. */
export class EventSplitter {
  readonly #onEvent: (event: ReadEvent) => void
  readonly #memory = Buffer.allocUnsafeSlow(MESSAGE_KEPT_BYTES)
  #bytes = 0
  #lineBytes = 0
  #afterCr = false

  constructor(onEvent: (event: ReadEvent) => void) {
    this.#onEvent = onEvent
  }

  /** Takes the next bytes of the body. */
  push(chunk: Buffer): void {
    for (const byte of chunk) {
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false
        continue
      }
      this.#afterCr = byte === CR
      if (byte === LF || byte === CR) this.#endLine()
      else {
        this.#add(byte)
        this.#lineBytes += 1
      }
    }
  }

  #endLine(): void {
    if (this.#lineBytes > 0) {
      this.#add(LF)
      this.#lineBytes = 0
      return
    }
    const bytes = Math.max(0, this.#bytes - 1)
    const kept = Math.min(bytes, MESSAGE_KEPT_BYTES)
    if (bytes > 0) this.#onEvent({ bytes, data: Buffer.from(this.#memory.subarray(0, kept)) })
    this.#bytes = 0
  }

  #add(byte: number): void {
    if (this.#bytes < MESSAGE_KEPT_BYTES) this.#memory[this.#bytes] = byte
    this.#bytes += 1
  }
}
