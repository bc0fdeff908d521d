import type { MuxError } from '../errors.ts'
import type { ChunkAnswer } from '../lent-memory.ts'

/** Receives what happens on a channel. What a method throws resets the channel. */
export interface ChannelSink {
  /**
   * Bytes came. Give them back with `channel.consume(chunk.length)`, now or when they have been
   * taken: that is what lets the peer send more. The chunk is a view of a larger buffer.
   *
   * @returns whether the sink still refers to the chunk; see {@link ChunkAnswer}. A sink that returns
   *   nothing keeps the chunk, which is always safe.
   */
  onData(chunk: Buffer): ChunkAnswer | undefined
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
