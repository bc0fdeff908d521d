import type { Channel, ChannelSink, ChunkAnswer, MuxError } from '@proj/mux'
import { CLOSE_MS } from '@proj/program-kit'
import { FrameBoundary, formatCloseFrame, type SocketSplice } from '@proj/tunnel/io'

import type { Deadlines, Expiring } from './deadlines.ts'

/** The program that stops. */
export type Stopping = 'server' | 'agent'

/** RFC 6455 section 7.4.1: 1001, going away. */
const GOING_AWAY: Readonly<Record<Stopping, Buffer>> = {
  server: formatCloseFrame(1001, 'server restarts, connect again'),
  agent: formatCloseFrame(1001, 'agent restarts, connect again'),
}

/** A connection that the service has upgraded, when the server or its agent stops. */
export interface UpgradedConnection {
  /** The stream to the agent. */
  readonly channel: Channel
  /** Ends it as its protocol wants, or with a reset. */
  close(who: Stopping): void
}

/** A connection of an unknown protocol: nothing can be said in it, so both sides see a reset. */
export class PlainUpgrade implements UpgradedConnection {
  readonly channel: Channel
  readonly #splice: SocketSplice

  constructor(channel: Channel, splice: SocketSplice) {
    this.channel = channel
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
  readonly channel: Channel
  readonly #splice: SocketSplice
  readonly #deadlines: Deadlines
  readonly #frames = new FrameBoundary()
  /** Why it is closed; undefined while it is not. */
  #closing: Stopping | undefined
  /** The Close frame is written: what the service still sends is dropped. */
  #isClosed = false

  constructor(channel: Channel, splice: SocketSplice, deadlines: Deadlines) {
    this.channel = channel
    this.#splice = splice
    this.#deadlines = deadlines
  }

  /** Whether the visitor's socket takes nothing any more. */
  get isGone(): boolean {
    return this.#splice.isGone
  }

  /** @inheritdoc */
  close(who: Stopping): void {
    if (this.#closing !== undefined) return
    this.#closing = who
    this.deadline = this.#deadlines.now + CLOSE_MS
    this.#deadlines.add(this)
    // A service that has sent a Close frame itself ends the connection.
    if (this.#frames.isBetweenFrames && !this.#frames.hasClosed) this.#sendClose(who)
  }

  /** @inheritdoc */
  expire(): void {
    this.#deadlines.delete(this)
    this.#splice.abort('draining')
  }

  /** @inheritdoc */
  onData(chunk: Buffer): ChunkAnswer {
    if (this.#isClosed) {
      this.channel.consume(chunk.length)
      return true
    }
    if (this.#closing === undefined || this.#frames.hasClosed) {
      this.#frames.take(chunk)
      return this.#splice.onData(chunk)
    }
    const end = this.#frames.takeFrame(chunk, 0)
    const answer = this.#splice.onData(end === chunk.length ? chunk : chunk.subarray(0, end))
    if (this.#frames.isBetweenFrames && !this.#frames.hasClosed) {
      this.channel.consume(chunk.length - end)
      this.#sendClose(this.#closing)
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

  #sendClose(who: Stopping): void {
    this.#isClosed = true
    this.#splice.endSocket(GOING_AWAY[who])
  }
}
