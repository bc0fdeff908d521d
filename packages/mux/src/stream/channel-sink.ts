import type { MuxError } from '../errors.ts'
import type { ChunkAnswer } from '../lent-memory.ts'

/** Receives the events of a channel. A method that throws resets the channel. */
export interface ChannelSink {
  /**
   * Bytes arrived. Call `channel.consume(chunk.length)` when they are processed, now or later: until
   * then they count against the window of the peer. The chunk is a view of a larger buffer.
   *
   * @returns whether the sink still refers to the chunk; see {@link ChunkAnswer}. A sink that returns
   *   nothing keeps the chunk, which is always safe.
   */
  onData(chunk: Buffer): ChunkAnswer | undefined
  /** The peer ended its side. All its data was delivered before. */
  onEnd(): void
  /** There is room again after `write` returned false. */
  onDrain(): void
  /**
   * The channel is closed; called exactly once. Without an error after both sides ended, else with
   * MUX_STREAM_RESET, MUX_STREAM_ABORTED (our own reset) or the error of the session.
   */
  onClose(error?: MuxError): void
  /** Everything written and the FIN were handed to the transport. */
  onFinish?(): void
}
