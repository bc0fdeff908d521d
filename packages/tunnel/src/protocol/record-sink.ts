import type { Channel, ChannelSink, ChunkAnswer } from '@proj/mux'

import { RESET_REASONS } from './reset-reason.ts'
import { type StreamRecord, StreamRecordReader } from './stream-record.ts'

/**
 * Reads the record at the head of a stream, then passes everything on to the sink that `onRecord`
 * attached to the channel and returned. Bytes that came in the same chunk as the end of the record are
 * delivered to that sink at once, so it sees the stream from its first byte.
 */
export class RecordSink implements ChannelSink {
  readonly #channel: Channel
  readonly #onRecord: (record: StreamRecord) => ChannelSink | undefined
  readonly #reader: StreamRecordReader
  #next: ChannelSink | undefined

  /** @param isLink - whether the peer is a node of the cluster. Default false. */
  constructor(
    channel: Channel,
    onRecord: (record: StreamRecord) => ChannelSink | undefined,
    isLink = false,
  ) {
    this.#reader = new StreamRecordReader(isLink)
    this.#channel = channel
    this.#onRecord = onRecord
  }

  /** @inheritdoc */
  onData(chunk: Buffer): ChunkAnswer | undefined {
    return this.#next === undefined ? this.#read(chunk) : this.#next.onData(chunk)
  }

  /** What the reader keeps of the record is a view of the chunk, until the record is whole. */
  #read(chunk: Buffer): undefined {
    let read
    try {
      read = this.#reader.push(chunk)
    } catch {
      this.#channel.reset(RESET_REASONS.protocolError)
      return
    }
    if (read === undefined) {
      this.#channel.consume(chunk.length)
      return
    }
    this.#channel.consume(chunk.length - read.rest.length)
    this.#next = this.#onRecord(read.record)
    if (read.rest.length > 0) this.#next?.onData(read.rest)
  }

  /** @inheritdoc */
  onEnd(): void {
    // A stream that ends inside its record asks for nothing.
    this.#channel.reset(RESET_REASONS.protocolError)
  }

  /** @inheritdoc */
  onDrain(): void {}

  /** @inheritdoc */
  onClose(): void {}
}
