import type { Socket } from 'node:net'

import type { ChunkAnswer } from '@proj/mux'
import {
  type BandwidthShare,
  GatheredWrites,
  isCleanEnd,
  PacedReads,
  readLent,
  resetSocket,
  takenBytes,
  watchEnd,
} from '@proj/tunnel/io'

import type { Deadlines, Expiring } from './deadlines.ts'
import type { StreamOwner, UpstreamStream } from './stream-pool.ts'
import type { ProxyStats } from './proxy-stats.ts'

/** What a visitor's socket tells the connection that owns it. */
export interface VisitorSocketEvents {
  /** The visitor sent bytes; answers as `readLent` wants it. */
  onData(chunk: Buffer, isLent: boolean): ChunkAnswer
  /** The visitor has taken what was written. */
  onDrain(): void
  /** The visitor ended its side. */
  onEnd(): void
  /** The socket is closed. */
  onClose(): void
  /** The time given by `expectWithin` is over; called once per tick until there is a new one. */
  onTimeout(): void
}

/** A visitor's socket: reads with one buffer for bytes of the next request, writes, has one deadline. */
export class VisitorSocket implements Expiring, StreamOwner {
  kept: UpstreamStream | undefined
  deadline: number
  /** The way out, which knows when what was written has left. */
  readonly writes: GatheredWrites
  /** Bytes the visitor has sent, as far as they were read, and bytes that were written for it. */
  receivedBytes = 0
  sentBytes = 0
  readonly #socket: Socket
  readonly #events: VisitorSocketEvents
  readonly #deadlines: Deadlines
  readonly #stats: ProxyStats
  readonly #stopReading: () => void
  #held: Buffer | undefined
  /** Kept here because asking the socket, or telling it twice, costs more than most requests need. */
  #isPaused = false
  /** Holds the reading back as well; undefined: nothing else does. */
  #reads: PacedReads | undefined

  /**
   * @param socket - accepted with `allowHalfOpen`.
   * @param firstTimeoutMs - for the first `onTimeout`.
   */
  constructor(
    socket: Socket,
    firstTimeoutMs: number,
    shared: { readonly deadlines: Deadlines; readonly stats: ProxyStats },
    events: VisitorSocketEvents,
  ) {
    this.#socket = socket
    this.#events = events
    this.#deadlines = shared.deadlines
    this.#stats = shared.stats
    this.writes = new GatheredWrites(socket, this.#onDrain)
    this.deadline = this.#deadlines.now + firstTimeoutMs
    this.#deadlines.add(this)
    watchEnd(socket)
    socket.on('drain', this.#onDrain)
    socket.on('end', this.#onEnd)
    socket.on('error', ignore) // 'close' follows and says enough
    socket.on('close', this.#onClose)
    this.#stopReading = readLent(socket, (chunk, isLent) => {
      this.#stats.bytesIn += chunk.length
      this.receivedBytes += chunk.length
      return this.#events.onData(chunk, isLent)
    })
  }

  /** Bytes that wait; until they are taken nothing more is read. */
  get held(): Buffer | undefined {
    return this.#held
  }

  /** To be asked within `onEnd`: the visitor ended its side, and the connection did not break. */
  get isCleanEnd(): boolean {
    return isCleanEnd(this.#socket)
  }

  /** Whether the visitor has to take what was written before more should be. */
  get needsDrain(): boolean {
    return this.#socket.writableNeedDrain
  }

  /** Whether bytes that were written have not left yet. */
  get hasUnsent(): boolean {
    return this.#socket.writableLength > 0
  }

  /** Bytes the visitor has sent. */
  get readBytes(): number {
    return this.#socket.bytesRead
  }

  /** Bytes the kernel has taken for the visitor. */
  get takenBytes(): number {
    return takenBytes(this.#socket)
  }

  /** Whether nothing is read, until `resume` or for a bandwidth. */
  get isPaused(): boolean {
    return this.#isPaused || this.isHeldBack
  }

  /** Whether nothing is read because a bandwidth is used up. */
  get isHeldBack(): boolean {
    return this.#reads?.isHeld === true
  }

  /** Sets the bandwidth of what is read. Default: no limit. */
  limitReads(bandwidth: BandwidthShare | undefined): void {
    if (bandwidth === undefined && this.#reads === undefined) return
    const wasHeld = this.isHeldBack
    this.#reads?.close()
    const readOn = (): void => {
      if (!this.#isPaused) this.#socket.resume()
    }
    this.#reads = bandwidth && new PacedReads(bandwidth, readOn)
    if (wasHeld) readOn()
  }

  /** Counts bytes that were read, for the bandwidth that was set. */
  countRead(bytes: number): void {
    if (this.#reads?.took(bytes) === true) this.#socket.pause()
  }

  /** Sends bytes; false when the visitor has to catch up, `onDrain` follows. */
  write(bytes: Buffer): boolean {
    this.#stats.bytesOut += bytes.length
    this.sentBytes += bytes.length
    return this.writes.write(bytes)
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  /** Reads on, if no bytes are held. */
  resume(): void {
    if (!this.#isPaused || this.#held !== undefined) return
    this.#isPaused = false
    if (!this.isHeldBack) this.#socket.resume()
  }

  /** Holds `bytes`, behind those that are held already. */
  hold(bytes: Buffer): void {
    this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes])
    this.pause()
  }

  /** Takes the held bytes; `resume` reads on. */
  takeHeld(): Buffer | undefined {
    const held = this.#held
    this.#held = undefined
    return held
  }

  /** `onTimeout` follows when nothing sets a new time within `ms`. */
  expectWithin(ms: number): void {
    this.deadline = this.#deadlines.now + ms
  }

  /** @inheritdoc */
  expire(): void {
    this.#events.onTimeout()
  }

  /** Ends our side when everything is written. */
  end(): void {
    this.#socket.end()
  }

  /** Ends our side and reads on: what the visitor still sends is delivered. */
  endAndDrain(): void {
    this.#socket.end()
    this.#held = undefined
    this.resume()
  }

  /** Closes the connection when everything is written. */
  destroySoon(): void {
    this.#socket.destroySoon()
  }

  /** Closes the connection now. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Closes the connection with a reset. */
  reset(): void {
    resetSocket(this.#socket)
  }

  /** Stops reading, listening and waiting: the socket is closed, or belongs to another reader. */
  release(): void {
    const socket = this.#socket
    this.kept?.disown()
    this.#reads?.close()
    this.#reads = undefined
    this.#deadlines.delete(this)
    this.#stopReading()
    socket.off('drain', this.#onDrain)
    socket.off('end', this.#onEnd)
    socket.off('error', ignore)
    socket.off('close', this.#onClose)
  }

  readonly #onDrain = (): void => this.#events.onDrain()

  readonly #onEnd = (): void => this.#events.onEnd()

  readonly #onClose = (): void => this.#events.onClose()
}

function ignore(): void {}
