import type { Duplex } from 'node:stream'

import type { ChannelSession, ChunkAnswer, ChunkHolder } from '@proj/mux'

/**
 * Writes what a mux session delivers to a socket. All pieces of one chunk of the session's transport
 * leave in one write, and `holder` answers whether they are still referred to (`ChunkAnswer`).
 */
export class GatheredWrites {
  readonly #socket: Duplex
  readonly #onTaken: () => void
  #isGathering = false
  /** The first piece, while it is the only one: a single piece needs no cork. */
  #first: Buffer | undefined
  /** Bytes handed to the socket. */
  #handed = 0

  /** @param onTaken - called when what was gathered has been written, and there is room for more. */
  constructor(socket: Duplex, onTaken: () => void) {
    this.#socket = socket
    this.#onTaken = onTaken
  }

  /** Bytes the platform has taken. */
  get takenBytes(): number {
    return this.#handed - this.#socket.writableLength
  }

  /** Whether the platform has taken everything that was written. */
  get haveLeft(): boolean {
    return !this.#isGathering && this.#socket.writableLength === 0
  }

  /** Whether something refers to what was written; what is being gathered is answered for later. */
  get holder(): ChunkAnswer {
    if (this.#isGathering || this.#socket.writableLength === 0) return true
    return new Unsent(this, this.#handed)
  }

  /** Gathers what is written until the end of the chunk that `session` is delivering, if any. */
  gather(session: ChannelSession): void {
    if (this.#isGathering) return
    this.#isGathering = true
    session.afterChunk(this.#send)
  }

  /**
   * Writes `bytes`, or puts them to what is gathered.
   *
   * @returns false when there is no room for more, or that is not known yet: `onTaken`, or the socket's
   *   'drain' event, follows.
   */
  write(bytes: Buffer): boolean {
    if (!this.#isGathering) return this.#write(bytes)
    if (this.#first === undefined && this.#socket.writableCorked === 0) {
      this.#first = bytes
      return false
    }
    if (this.#first !== undefined) {
      this.#socket.cork()
      this.#write(this.#first)
      this.#first = undefined
    }
    this.#write(bytes)
    return false
  }

  /** Writes what was gathered so far; called before the socket is ended. */
  flush(): void {
    if (!this.#isGathering) return
    this.#isGathering = false
    if (this.#first === undefined) this.#socket.uncork()
    else this.#write(this.#first)
    this.#first = undefined
  }

  readonly #send = (): ChunkAnswer => {
    this.flush()
    if (this.#hasRoom()) this.#onTaken()
    return this.holder
  }

  #write(bytes: Buffer): boolean {
    this.#handed += bytes.length
    this.#socket.write(bytes)
    return this.#hasRoom()
  }

  // A large write asks for a drain even if the platform has taken all of it at once.
  #hasRoom(): boolean {
    return this.#socket.writableLength === 0 || !this.#socket.writableNeedDrain
  }
}

/** What a socket had been handed and not taken. */
class Unsent implements ChunkHolder {
  readonly #writes: GatheredWrites
  readonly #end: number

  constructor(writes: GatheredWrites, end: number) {
    this.#writes = writes
    this.#end = end
  }

  get drained(): boolean {
    return this.#writes.takenBytes >= this.#end
  }
}
