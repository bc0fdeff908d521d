import type { Channel, ChannelSink, MuxError } from '@proj/mux'

import {
  ControlMessageReader,
  encodeControlMessage,
  type ControlMessage,
} from './control-message.ts'
import type { TunnelError } from './errors.ts'

/** What the owner of a control stream wants to hear. */
export interface ControlHandlers {
  /** A message of a known type. */
  onMessage(message: ControlMessage): void
  /** The peer broke the protocol; the session must end. */
  onViolation(error: TunnelError): void
  /** The control stream is over, and with it the session's use. */
  onClose(): void
}

/** Messages the peer may leave unread before its session is considered broken. */
const MAX_UNSENT_MESSAGES = 4096

/** The control stream of a session: messages in, messages out. */
export class ControlChannel implements ChannelSink {
  readonly #channel: Channel
  readonly #handlers: ControlHandlers
  readonly #reader = new ControlMessageReader()
  #unsent = 0

  /** Takes the channel over; the stream record has been read or written already. */
  constructor(channel: Channel, handlers: ControlHandlers) {
    this.#channel = channel
    this.#handlers = handlers
    channel.attach(this)
  }

  /** Sends a message; one that can no longer be sent is dropped, for the session is ending. */
  send(message: ControlMessage): void {
    if (this.#channel.closed || this.#channel.writableEnded) return
    if (this.#channel.write(encodeControlMessage(message))) this.#unsent = 0
    else if (++this.#unsent > MAX_UNSENT_MESSAGES) this.#channel.reset()
  }

  /** No more messages from here: the last step of a drain, so that the session can run empty. */
  end(): void {
    if (!this.#channel.closed && !this.#channel.writableEnded) this.#channel.end()
  }

  /** @inheritdoc */
  onData(chunk: Buffer): void {
    this.#channel.consume(chunk.length)
    try {
      for (const message of this.#reader.push(chunk)) this.#handlers.onMessage(message)
    } catch (error) {
      this.#handlers.onViolation(error as TunnelError) // the reader throws nothing else
    }
  }

  /** @inheritdoc */
  onEnd(): void {
    this.end()
  }

  /** @inheritdoc */
  onDrain(): void {
    this.#unsent = 0
  }

  /** @inheritdoc */
  onClose(_error?: MuxError): void {
    this.#handlers.onClose()
  }
}
