import type { Duplex } from 'node:stream'

import type { Channel, ChannelSink, ChunkAnswer, MuxError } from '@proj/mux'

import { type BandwidthShare, PacedReads, type PacedSink } from './bandwidth.ts'
import { isCleanEnd, watchEnd } from './end-of-socket.ts'
import { GatheredWrites } from './gathered-writes.ts'
import { readLent } from './lent-reads.ts'
import { RequestTraffic } from './request-traffic.ts'
import { resetBehindAnswer } from './reset-behind-answer.ts'
import { resetSocket } from './reset-socket.ts'
import { RESET_REASONS, type ResetReason, resetReasonOf } from '../protocol/reset-reason.ts'
import type { SpliceTap } from './splice-tap.ts'

/** How a record of TLS begins that carries an alert (RFC 8446 section 5.1). */
const TLS_ALERT = 0x15

/**
 * Joins a mux channel to a socket so that what happens at one end happens at the other: bytes, FIN
 * per direction, and a reset as a reset.
 *
 * Credit is the backpressure: bytes from the channel are given back to its window only when the
 * socket has taken them, so at most one window of them waits here; bytes from the socket stop being
 * read while the channel has no room.
 */
export class SocketSplice implements ChannelSink {
  /** Bytes that went from the channel to the socket. */
  bytesToSocket = 0
  /** Bytes that came from the socket. */
  bytesFromSocket = 0
  /**
   * What came from an HTTP service in place of an answer: `nothing`, it ended the connection behind the first
   * request, or a `tls-alert`, because it expects TLS. Undefined: neither.
   */
  noAnswer: 'nothing' | 'tls-alert' | undefined

  /** What delivers to the socket as fast as a bandwidth allows. Default: nothing holds that back. */
  pacing: Pick<PacedSink, 'isHolding'> | undefined

  readonly #channel: Channel
  readonly #resetReason: (error: Error) => ResetReason
  readonly #onClose: ((reason: number | undefined, error?: MuxError) => void) | undefined
  readonly #requests: RequestTraffic | undefined
  /** Holds the socket back; undefined: nothing does but the channel. */
  readonly #reads: PacedReads | undefined
  /** Whether the channel has no room. */
  #isFull = false
  readonly #tap: SpliceTap | undefined
  #socket: Duplex | undefined
  #writes: GatheredWrites | undefined
  /** What arrives before the socket exists; bounded by the window, for none of it is given back. */
  #early: Buffer[] = []
  #endAfterEarly = false
  #owed = 0
  #closed = false
  /** The socket has ended, and nothing was written to it since its last byte. */
  #endedIdle = false

  /**
   * @param channel - the mux side; this object must be its sink.
   * @param options.resetReason - the reason sent to the far side, from the socket's error.
   * @param options.onClose - called once when the channel is done; with a reason and the error itself
   *   if it did not end well.
   * @param options.carriesRequests - the socket is that of an HTTP service: what arrives behind its end is
   *   not written, for nothing can answer it, and the far side gets `serviceClosed`. Default: false, the
   *   socket may be half-open.
   * @param options.bandwidth - of what comes from the socket. Default: no limit.
   * @param options.tap - sees what crosses. Default: nothing does.
   */
  constructor(
    channel: Channel,
    options: {
      readonly resetReason: (error: Error) => ResetReason
      readonly onClose?: (reason: number | undefined, error?: MuxError) => void
      readonly carriesRequests?: boolean
      readonly bandwidth?: BandwidthShare | undefined
      readonly tap?: SpliceTap | undefined
    },
  ) {
    this.#channel = channel
    this.#resetReason = options.resetReason
    this.#onClose = options.onClose
    this.#requests = options.carriesRequests === true ? new RequestTraffic() : undefined
    const { bandwidth } = options
    if (bandwidth !== undefined) {
      this.#reads = new PacedReads(bandwidth, () => this.readOn())
    }
    this.#tap = options.tap
  }

  /** Whether a bandwidth holds it back, so that nothing may move. */
  get isHeldBack(): boolean {
    return this.#reads?.isHeld === true || this.pacing?.isHolding === true
  }

  /** Reads the socket on, unless a bandwidth or the channel holds it back. */
  readOn(): void {
    if (!this.#isFull && this.#reads?.isHeld !== true) this.#socket?.resume()
  }

  /** Requests of an HTTP service that were answered, as far as an answer begins a chunk. */
  get requests(): number {
    return this.#requests?.answers ?? 0
  }

  /** Whether something is not answered, or the protocol has switched; true of what carries no requests. */
  get isBusy(): boolean {
    return this.#requests === undefined || (this.bytesToSocket > 0 && !this.#isIdle())
  }

  /** Whether the socket takes nothing any more. */
  get isGone(): boolean {
    return this.#socket?.destroyed === true
  }

  /** Gives the splice its socket, which must allow half-open; it is owned by the splice from now on. */
  connect(socket: Duplex): void {
    this.#socket = socket
    if (this.#closed) {
      resetSocket(socket)
      return
    }
    if (socket.destroyed) {
      // Destroyed before it was connected: its events have been emitted already.
      this.#channel.reset(RESET_REASONS[this.#resetReason(new Error('socket closed'))])
      return
    }
    this.#tap?.onConnected()
    watchEnd(socket)
    readLent(
      socket,
      (chunk, isLent) => this.#take(socket, chunk, isLent),
      (chunk) => {
        this.#received(chunk)
        if (!this.#channel.writeCopy(chunk)) this.#pause(socket)
        this.#pace(socket, chunk.length)
      },
    )
    if (this.#reads?.holds() === true) socket.pause()
    const settle = (): void => {
      const owed = this.#owed
      this.#owed = 0
      if (owed > 0) this.#channel.consume(owed)
    }
    this.#writes = new GatheredWrites(socket, settle)
    socket.on('drain', settle)
    socket.on('end', () => {
      if (isCleanEnd(socket)) {
        this.#tap?.onServiceEnd()
        this.#noteSilence()
        this.#endedIdle = this.#isIdle()
        this.#channel.end()
      } else this.#break(new Error('the connection broke behind its last bytes'))
    })
    socket.on('error', (error) => this.#break(error))
    socket.on('close', () => {
      // Closed without an error event and without FIN: destroyed by other code, which is no clean end.
      if (!socket.readableEnded) this.#break(new Error('socket closed'))
    })
    const early = this.#early
    this.#early = []
    for (const chunk of early) this.#forward(chunk)
    if (this.#endAfterEarly) socket.end()
  }

  /** Ends the join from outside: the far side gets the reason, the socket a reset. */
  abort(reason: ResetReason): void {
    if (!this.#closed) this.#channel.reset(RESET_REASONS[reason])
    if (this.#socket !== undefined) resetSocket(this.#socket)
  }

  /** Writes bytes of the caller's to the socket, behind those of the channel, and ends its side. */
  endSocket(last: Buffer): void {
    this.#writes?.write(last)
    this.onEnd()
  }

  /** @inheritdoc */
  onData(chunk: Buffer): ChunkAnswer {
    if (this.#endedIdle) {
      resetBehindAnswer(this.#channel, RESET_REASONS.serviceClosed)
      return true
    }
    this.#tap?.toSocket(chunk)
    return this.#forward(chunk)
  }

  #forward(chunk: Buffer): ChunkAnswer {
    if (this.#writes === undefined) {
      this.#early.push(chunk)
      return false
    }
    this.bytesToSocket += chunk.length
    this.#writes.gather(this.#channel.session)
    if (this.#writes.write(chunk)) this.#channel.consume(chunk.length)
    else this.#owed += chunk.length
    return this.#writes.holder
  }

  /** The socket broke: the far side gets a reset, behind the bytes that came before it. */
  #break(error: Error): void {
    if (this.#closed) return
    this.#noteSilence()
    const reason = this.#isIdle() ? 'serviceClosed' : this.#resetReason(error)
    resetBehindAnswer(this.#channel, RESET_REASONS[reason])
  }

  /** Whether an HTTP service was sent nothing since its last byte, so that no part of a further request. */
  #isIdle(): boolean {
    return this.#requests?.isIdle(this.bytesToSocket) === true
  }

  #noteSilence(): void {
    const isSilent = this.bytesFromSocket === 0 && this.bytesToSocket > 0
    if (isSilent && this.#requests !== undefined) this.noAnswer = 'nothing'
  }

  #received(chunk: Buffer): void {
    const isFirst = this.bytesFromSocket === 0
    this.#tap?.fromSocket(chunk)
    this.bytesFromSocket += chunk.length
    if (this.#requests === undefined) return
    if (isFirst && chunk[0] === TLS_ALERT) this.noAnswer = 'tls-alert'
    this.#requests.received(chunk, this.bytesToSocket)
  }

  #take(socket: Duplex, chunk: Buffer, isLent: boolean): ChunkAnswer {
    this.#received(chunk)
    this.#pace(socket, chunk.length)
    if (!isLent) {
      if (!this.#channel.write(chunk)) this.#pause(socket)
      return false
    }
    // What leaves may make room at once: `onDrain` must not come before the socket is paused.
    if (!this.#channel.write(chunk)) this.#pause(socket)
    return sentOn(this.#channel)
  }

  #pause(socket: Duplex): void {
    this.#isFull = true
    socket.pause()
  }

  #pace(socket: Duplex, bytes: number): void {
    if (this.#reads?.took(bytes) === true) socket.pause()
  }

  /** @inheritdoc */
  onEnd(): void {
    this.#tap?.onVisitorEnd()
    this.#writes?.flush()
    if (this.#socket === undefined) this.#endAfterEarly = true
    else this.#socket.end()
  }

  /** @inheritdoc */
  onDrain(): void {
    this.#isFull = false
    this.readOn()
  }

  /** @inheritdoc */
  onClose(error?: MuxError): void {
    this.#closed = true
    this.#early = []
    this.#reads?.close()
    if (error !== undefined && this.#socket !== undefined) {
      this.#writes?.flush() // what came with the reset and before it
      resetSocket(this.#socket)
    }
    const reason = error === undefined ? undefined : resetReasonOf(error)
    this.#tap?.onClose(reason, error)
    this.#onClose?.(reason, error)
  }
}

/** Sends what was written to a channel now; answers whether something still refers to it. */
export function sentOn(channel: Channel): ChunkAnswer {
  channel.session.flush()
  return channel.holder
}
