import type { ChannelSink, MuxError } from '@proj/mux'

/**
 * Keeps what a channel brings until its sink is known. None of it is given back to the channel's window, so
 * the window bounds it.
 */
export class WaitingSink implements ChannelSink {
  readonly #chunks: Buffer[] = []
  readonly #closed: () => void
  #isEnded = false

  /** @param closed - called when the channel is closed first. */
  constructor(closed: () => void) {
    this.#closed = closed
  }

  /** @inheritdoc */
  onData(chunk: Buffer): false {
    this.#chunks.push(chunk)
    return false
  }

  /** @inheritdoc */
  onEnd(): void {
    this.#isEnded = true
  }

  /** @inheritdoc */
  onDrain(): void {}

  /** @inheritdoc */
  onClose(_error?: MuxError): void {
    this.#chunks.length = 0
    this.#closed()
  }

  /** Hands everything to the sink that was attached to the channel in its place. */
  deliver(sink: ChannelSink): void {
    for (const chunk of this.#chunks.splice(0)) sink.onData(chunk)
    if (this.#isEnded) sink.onEnd()
  }
}
