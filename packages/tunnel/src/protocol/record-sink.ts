import type { Channel, ChannelSink } from '@proj/mux'

import { RESET_REASONS } from './reset-reason.ts'
import { StreamRecordReader, type StreamRecord } from './stream-record.ts'

/**
 * Reads the record at the head of an inbound channel, then hands the channel on.
 *
 * The handler attaches the channel's real sink and returns it; bytes that came in the same chunk as
 * the record's end are delivered to that sink at once, so it sees the stream from its first byte.
 */
export class RecordSink implements ChannelSink {
  readonly #channel: Channel
  readonly #onRecord: (channel: Channel, record: StreamRecord) => ChannelSink | undefined
  readonly #reader = new StreamRecordReader()
  #next: ChannelSink | undefined

  /**
   * @param onRecord - attaches the channel's next sink and returns it, or resets the channel and
   *   returns undefined.
   */
  constructor(
    channel: Channel,
    onRecord: (channel: Channel, record: StreamRecord) => ChannelSink | undefined,
  ) {
    this.#channel = channel
    this.#onRecord = onRecord
    channel.attach(this)
  }

  /** @inheritdoc */
  onData(chunk: Buffer): unknown {
    return this.#next === undefined ? this.#read(chunk) : this.#next.onData(chunk)
  }

  #read(chunk: Buffer): void {
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
    this.#next = this.#onRecord(this.#channel, read.record)
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
