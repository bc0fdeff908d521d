import type { Socket } from 'node:net'

/** Whether a visitor's socket is read, and what of it waits for its turn. */
export class Intake {
  readonly #socket: Socket
  #held: Buffer | undefined
  /** Kept here because asking the socket, or telling it twice, costs more than most requests need. */
  #isPaused = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** What waits. */
  get held(): Buffer | undefined {
    return this.#held
  }

  /** Lets `bytes` wait; until they are taken, nothing more is read. */
  hold(bytes: Buffer): void {
    this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes])
    this.pause()
  }

  /** Takes what waits. */
  take(): Buffer | undefined {
    const held = this.#held
    this.#held = undefined
    return held
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  /** Reads on, if nothing waits. */
  resume(): void {
    if (!this.#isPaused || this.#held !== undefined) return
    this.#isPaused = false
    this.#socket.resume()
  }
}
