import type { MuxError } from '../errors.ts'

/** Receives what happens on a channel. What a method throws resets the channel. */
export interface ChannelSink {
  /**
   * Bytes came. Give them back with `channel.consume(chunk.length)`, now or when they have been
   * taken: that is what lets the peer send more. The chunk is a view of a larger buffer.
   *
   * @returns true when nothing refers to the chunk any more, so that a transport may read into the
   *   same memory again, or a `ChunkHolder` that knows when; see the option `onProcessed`. Whoever
   *   does not care returns nothing.
   */
  onData(chunk: Buffer): unknown
  /** The peer ended its side; everything was delivered. */
  onEnd(): void
  /** `write` had returned false and there is room again. */
  onDrain(): void
  /**
   * The channel is over, called exactly once: without error after both sides ended, else with
   * MUX_STREAM_RESET, MUX_STREAM_ABORTED (our own reset) or the error of the session.
   */
  onClose(error?: MuxError): void
  /** Everything written, and our end, was handed to the transport. */
  onFinish?(): void
}
