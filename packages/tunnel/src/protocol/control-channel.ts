import type { Channel, ChannelSink } from '@proj/mux'

import { ControlMessageReader, encodeControlMessage } from './control-codec.ts'
import type { ControlMessage, Hello } from './control-message.ts'
import { isTunnelError, TunnelError } from '../errors.ts'

/** Events of a control stream. */
export interface ControlHandlers {
  /** The peer greeted: always first, and once. */
  onHello(hello: Hello): void
  /** A message of a known type, after the greeting. */
  onMessage(message: Exclude<ControlMessage, Hello>): void
  /** The peer broke the protocol or did not greet in time; the session must end. */
  onViolation(error: TunnelError): void
  /** The control stream is over, and with it the session's use. */
  onClose(): void
}

/** Bytes of messages the peer may leave unread; more is a violation of the protocol. */
export const MAX_UNREAD_BYTES = 1_048_576

/**
 * The control stream of a session: messages in, messages out. Each side greets first; nothing else is
 * taken before. Made when the session begins, so that a peer that never opens the stream is noticed.
 */
export class ControlChannel implements ChannelSink {
  readonly #handlers: ControlHandlers
  readonly #reader = new ControlMessageReader()
  readonly #lateHello: NodeJS.Timeout
  #channel: Channel | undefined
  /** Sent before the peer opened the stream: at most a `drain`, because nothing was asked yet. */
  readonly #early: ControlMessage[] = []
  #endEarly = false
  #keepsEnd = false
  #greeted = false
  #over = false
  #close: () => void = () => {}

  /**
   * Resolves when both sides have ended the stream, or the session is over. Whatever the peer opened
   * before its end has arrived by then, so that a GoAway sent after it rejects no stream.
   */
  readonly closed: Promise<void> = new Promise((resolve) => (this.#close = resolve))

  /** @param helloTimeoutMs - time the peer has for its greeting, from now on. */
  constructor(handlers: ControlHandlers, helloTimeoutMs: number) {
    this.#handlers = handlers
    this.#lateHello = setTimeout(() => {
      const message = `the peer did not greet within ${helloTimeoutMs} ms`
      this.#violated(new TunnelError('TUNNEL_HELLO_TIMEOUT', message))
    }, helloTimeoutMs)
    this.#lateHello.unref() // the connection keeps the process alive, not the timer that watches it
  }

  /** Whether the stream exists already; a session has one. */
  get isOpen(): boolean {
    return this.#channel !== undefined
  }

  /** Takes the channel over, whose record has been read or written, and greets. */
  open(channel: Channel, hello: Omit<Hello, 'type'>): void {
    this.#channel = channel
    this.send({ type: 'hello', software: hello.software, peer: hello.peer })
    for (const message of this.#early.splice(0)) this.send(message)
    if (this.#endEarly) channel.end()
    channel.attach(this)
  }

  /** Sends a message; one that can no longer be sent is dropped, for the session is ending. */
  send(message: ControlMessage): void {
    const channel = this.#channel
    if (channel === undefined) this.#early.push(message)
    if (channel === undefined || channel.closed || channel.writableEnded) return
    const bytes = encodeControlMessage(message)
    const unread = channel.queuedBytes + bytes.length
    if (unread <= MAX_UNREAD_BYTES) {
      channel.write(bytes)
      return
    }
    const problem = `the peer leaves ${unread} bytes of messages unread, limit ${MAX_UNREAD_BYTES}`
    this.#violated(new TunnelError('TUNNEL_CONTROL_INVALID', problem))
  }

  /** No more messages from here: the last step of a drain, so that the session can run empty. */
  end(): void {
    this.#endEarly = true
    this.#channel?.end()
  }

  /** The peer's end is not answered before `end` is called: what it waits for with its end is not done yet. */
  keepEnd(): void {
    this.#keepsEnd = true
  }

  /** The session is over: nothing is called any more. */
  stop(): void {
    this.#over = true
    clearTimeout(this.#lateHello)
    this.#close()
  }

  /** @inheritdoc */
  onData(chunk: Buffer): undefined {
    this.#channel?.consume(chunk.length)
    if (this.#over) return
    let messages: ControlMessage[]
    try {
      messages = this.#reader.push(chunk)
    } catch (error) {
      if (!isTunnelError(error)) throw error
      this.#violated(error)
      return
    }
    for (const message of messages) this.#take(message)
  }

  /** @inheritdoc */
  onEnd(): void {
    if (!this.#keepsEnd) this.end()
  }

  /** @inheritdoc */
  onDrain(): void {}

  /** @inheritdoc */
  onClose(): void {
    this.#close()
    if (!this.#over) this.#handlers.onClose()
  }

  #take(message: ControlMessage): void {
    if (this.#over) return
    if (message.type !== 'hello') {
      if (this.#greeted) this.#handlers.onMessage(message)
      else this.#violated(invalid(`${message.type} came before hello`))
    } else if (this.#greeted) {
      this.#violated(invalid('a second hello'))
    } else {
      this.#greeted = true
      clearTimeout(this.#lateHello)
      this.#handlers.onHello(message)
    }
  }

  #violated(error: TunnelError): void {
    if (this.#over) return
    this.stop()
    this.#handlers.onViolation(error)
  }
}

function invalid(message: string): TunnelError {
  return new TunnelError('TUNNEL_CONTROL_INVALID', message)
}
