/**
 * A channel as a Node Duplex. Created only on request, because it costs more than the rest of a short
 * stream. Either direction can end alone, so it works with `pipeline` and `for await`.
 */
import type { Duplex } from 'node:stream'
import type { ChannelSink } from './channel-sink.ts'
import { isMuxError, type MuxError } from '../errors.ts'
import { HeldBytes } from './held-bytes.ts'
import { SocketDuplex } from './socket-duplex.ts'

const EMPTY = Buffer.alloc(0)
/** Longest slice that is written to the channel. */
const SLICE_BYTES = 262_144
/** What a stream that was closed after its end still discards; a peer that sends more gets a reset. */
const MAX_DISCARDED_BYTES = 262_144

type Done = (error?: Error | null) => void

/** What a Duplex needs of its channel. */
export interface StreamChannel {
  readonly id: number
  readonly session: { readonly transport: Duplex }
  readonly queuedBytes: number
  readonly readableEnded: boolean
  readonly writableEnded: boolean
  attach(sink: ChannelSink): void
  write(chunk: Buffer): boolean
  end(): void
  reset(reason?: number): void
  consume(bytes: number): void
}

/**
 * One stream of a session, as a Duplex that can be used as a `net.Socket`. `C` is `Channel`, which imports
 * this file.
 */
export class MuxStream<C extends StreamChannel> extends SocketDuplex {
  /** The channel of the stream; do not attach another sink to it. */
  readonly channel: C
  readonly #held = new HeldBytes()
  #wanted = true
  #ended = false
  #unwritten: Buffer = EMPTY
  #writingBytes = 0
  #isReset = false
  #writing: Done | undefined
  #finishing: Done | undefined

  /** @internal Made by `channel.toStream()`. */
  constructor(channel: C) {
    super(channel.session.transport)
    this.channel = channel
    channel.attach(this.#sink)
  }

  /** Stream id on the wire. */
  get id(): number {
    return this.channel.id
  }

  /** Ends both directions now; the peer gets `reason`, an unsigned 32-bit number. */
  reset(reason = 0): void {
    this.channel.reset(reason)
  }

  /** Ends both directions now, without an error here; the peer gets a reset. */
  resetAndDestroy(): this {
    this.#isReset = true
    return this.destroy()
  }

  /**
   * Yields what is read. Unlike on a plain Duplex, reaching the end does not destroy the stream: the
   * reader may still write. Leaving the loop early does.
   */
  override async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, undefined, undefined> {
    let complete = false
    try {
      yield* this.iterator({ destroyOnReturn: false })
      complete = true
    } finally {
      if (!complete) this.destroy()
    }
  }

  override _read(): void {
    this.#wanted = true
    while (this.#wanted) {
      const piece = this.#held.shift()
      if (piece === undefined) break
      this.#push(piece)
    }
    if (this.#ended && this.#held.bytes === 0) this.push(null)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.noteSending(0)
    this.#unwritten = chunk
    this.#writingBytes = chunk.length
    this.#writing = done
    this.#writeOn()
  }

  override _final(done: Done): void {
    this.#finishing = done
    this.channel.end()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.stopTimer()
    const { channel } = this
    if (error !== null || this.#isReset || !channel.writableEnded) {
      channel.reset(isMuxError(error) ? error.reason : 0)
    } else if (!channel.readableEnded) {
      if (this.writableFinished) this.#discardRest()
      else channel.reset()
    }
    this.#held.clear()
    done(error)
  }

  /**
   * As a closed socket, the peer gets our end and no reset, which would discard what it has not read. Its
   * own bytes are discarded. Until it ends, `halfClosedTimeoutMs` applies.
   */
  #discardRest(): void {
    const { channel } = this
    let discarded = 0
    const discard = (bytes: number): void => {
      discarded += bytes
      if (discarded > MAX_DISCARDED_BYTES) channel.reset()
      else channel.consume(bytes)
    }
    channel.attach({
      onData: (chunk) => {
        discard(chunk.length)
        return true
      },
      onEnd: () => {},
      onDrain: () => {},
      onClose: () => {},
    })
    discard(this.#held.bytes)
  }

  protected override get queuedBytes(): number {
    return this.channel.queuedBytes + this.#unwritten.length
  }

  // In slices, so that a huge chunk does not exceed maxQueuedBytes.
  #writeOn(): void {
    const done = this.#writing
    if (done === undefined) return
    for (let room = true; room;) {
      const chunk = this.#unwritten
      if (chunk.length === 0) {
        this.#writing = undefined
        this.noteSending(this.#writingBytes)
        done()
        return
      }
      this.#unwritten = chunk.subarray(SLICE_BYTES)
      room = this.channel.write(
        chunk.length <= SLICE_BYTES ? chunk : chunk.subarray(0, SLICE_BYTES),
      )
    }
  }

  #push(piece: Buffer): void {
    this.#wanted = this.push(piece)
    this.channel.consume(piece.length)
  }

  readonly #sink: ChannelSink = {
    onData: (chunk) => {
      this.noteReceived(chunk.length)
      if (this.#wanted && this.#held.bytes === 0) this.#push(chunk)
      else this.#held.push(chunk)
    },
    onEnd: () => {
      this.#ended = true
      if (this.#held.bytes === 0) this.push(null)
    },
    onDrain: () => this.#writeOn(),
    onFinish: () => this.#finishing?.(),
    onClose: (error?: MuxError) => {
      if (error !== undefined) this.destroy(error)
    },
  }
}
