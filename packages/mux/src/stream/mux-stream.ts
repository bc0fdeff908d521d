/**
 * A channel as a Node Duplex. Created only on request, because it costs more than the rest of a short
 * stream. Either direction can end alone, so it works with `pipeline` and `for await`.
 */
import { Duplex } from 'node:stream'
import type { ChannelSink } from './channel-sink.ts'
import { isMuxError, type MuxError } from '../errors.ts'
import { HeldBytes } from './held-bytes.ts'

const EMPTY = Buffer.alloc(0)
/** Longest slice that is written to the channel. */
const SLICE_BYTES = 262_144

type Done = (error?: Error | null) => void

/** What a Duplex needs of its channel. */
export interface StreamChannel {
  readonly id: number
  readonly readableEnded: boolean
  readonly writableEnded: boolean
  attach(sink: ChannelSink): void
  write(chunk: Buffer): boolean
  end(): void
  reset(reason?: number): void
  consume(bytes: number): void
}

/** One stream of a session, as a Duplex. `C` is `Channel`, which imports this file. */
export class MuxStream<C extends StreamChannel> extends Duplex {
  /** The channel of the stream; do not attach another sink to it. */
  readonly channel: C
  readonly #held = new HeldBytes()
  #wanted = true
  #ended = false
  #unwritten: Buffer = EMPTY
  #writing: Done | undefined
  #finishing: Done | undefined

  /** @internal Made by `channel.toStream()`. */
  constructor(channel: C) {
    super({ allowHalfOpen: true })
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
    this.#unwritten = chunk
    this.#writing = done
    this.#writeOn()
  }

  override _final(done: Done): void {
    this.#finishing = done
    this.channel.end()
  }

  override _destroy(error: Error | null, done: Done): void {
    const clean = error === null && this.channel.readableEnded && this.channel.writableEnded
    if (!clean) this.channel.reset(isMuxError(error) ? error.reason : 0)
    this.#held.clear()
    done(error)
  }

  // In slices, so that a huge chunk does not exceed maxQueuedBytes.
  #writeOn(): void {
    const done = this.#writing
    if (done === undefined) return
    for (let room = true; room;) {
      const chunk = this.#unwritten
      if (chunk.length === 0) {
        this.#writing = undefined
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
