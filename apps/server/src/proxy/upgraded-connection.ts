import type { Channel, ChannelSink, ChunkAnswer, MuxError } from '@proj/mux'
import { FrameBoundary, formatCloseFrame, type SocketSplice } from '@proj/tunnel/io'

import type { Deadlines, Expiring } from './deadlines.ts'

/** Time a WebSocket has to close when the server stops, ms; then it is reset. */
export const CLOSE_MS = 2_000

/** RFC 6455 section 7.4.1: 1001, going away. */
const GOING_AWAY = formatCloseFrame(1001, 'server restarts, connect again')

/** A connection that the service has upgraded, when the server stops. */
export interface UpgradedConnection {
  /** Ends it as its protocol wants, or with a reset. */
  close(): void
}

/** A connection of an unknown protocol: nothing can be said in it, so both sides see a reset. */
export class PlainUpgrade implements UpgradedConnection {
  readonly #splice: SocketSplice

  constructor(splice: SocketSplice) {
    this.#splice = splice
  }

  /** @inheritdoc */
  close(): void {
    this.#splice.abort('draining')
  }
}

/**
 * A WebSocket. It is spliced like any other connection, and only the lengths of the service's frames are read.
 * To close it, a Close frame follows the last whole frame; the visitor's answer goes to the service, which so
 * sees a visitor that closes with 1001.
 */
export class UpgradedWebSocket implements UpgradedConnection, ChannelSink, Expiring {
  deadline = Infinity
  readonly #channel: Channel
  readonly #splice: SocketSplice
  readonly #deadlines: Deadlines
  readonly #frames = new FrameBoundary()
  #isClosing = false
  /** The Close frame is written: what the service still sends is dropped. */
  #isClosed = false

  constructor(channel: Channel, splice: SocketSplice, deadlines: Deadlines) {
    this.#channel = channel
    this.#splice = splice
    this.#deadlines = deadlines
  }

  /** @inheritdoc */
  close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.deadline = this.#deadlines.now + CLOSE_MS
    this.#deadlines.add(this)
    // A service that has sent a Close frame itself ends the connection.
    if (this.#frames.isBetweenFrames && !this.#frames.hasClosed) this.#sendClose()
  }

  /** @inheritdoc */
  expire(): void {
    this.#deadlines.delete(this)
    this.#splice.abort('draining')
  }

  /** @inheritdoc */
  onData(chunk: Buffer): ChunkAnswer {
    if (this.#isClosed) {
      this.#channel.consume(chunk.length)
      return true
    }
    if (!this.#isClosing || this.#frames.hasClosed) {
      this.#frames.take(chunk)
      return this.#splice.onData(chunk)
    }
    const end = this.#frames.takeFrame(chunk, 0)
    const answer = this.#splice.onData(end === chunk.length ? chunk : chunk.subarray(0, end))
    if (this.#frames.isBetweenFrames && !this.#frames.hasClosed) {
      this.#channel.consume(chunk.length - end)
      this.#sendClose()
    }
    return answer
  }

  /** @inheritdoc */
  onEnd(): void {
    this.#splice.onEnd()
  }

  /** @inheritdoc */
  onDrain(): void {
    this.#splice.onDrain()
  }

  /** @inheritdoc */
  onClose(error?: MuxError): void {
    this.#deadlines.delete(this)
    this.#splice.onClose(error)
  }

  #sendClose(): void {
    this.#isClosed = true
    this.#splice.endSocket(GOING_AWAY)
  }
}
