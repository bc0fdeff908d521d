import { type Channel, type ChannelSink, Session, type StreamCount, WindowBudget } from '@proj/mux'

import { abortable } from '../abortable.ts'
import { TunnelError } from '../errors.ts'
import { WINDOW_BUDGET_BYTES } from '../limits.ts'
import type { WebSocketPipe } from '../websocket/pipe.ts'
import { ControlChannel } from './control-channel.ts'
import type { ControlMessage, Hello } from './control-message.ts'
import { RecordSink } from './record-sink.ts'
import { RESET_REASONS } from './reset-reason.ts'
import { encodeStreamRecord, type StreamRecord } from './stream-record.ts'

/** Codes of the GoAway that ends a session (docs/protocol.md, "Mux"). */
export const GO_AWAY = { normal: 0, protocolError: 1, internalError: 2 } as const

/** Windows of all sessions of the process that have no budget of their own. */
const processWindows = new WindowBudget(WINDOW_BUDGET_BYTES)

/** The window that yamux gives every stream; Piko's agents get no other at the start. */
const YAMUX_WINDOW_BYTES = 262_144

/** Time a peer has to read why its session ends, ms; then the connection is closed in any case. */
export const RIGHT_ENDED_MS = 1_000

/** How a session is set up. */
export interface TunnelSessionOptions {
  /** A client has dialed and opens the control stream; a server has accepted. */
  readonly role: 'client' | 'server'
  /** Wire agreed in the handshake; the baseline has no control stream and no stream records. */
  readonly protocol: 'piko' | 'adit'
  /** What this side sends of itself in its `hello`. */
  readonly hello: Omit<Hello, 'type'>
  /** Time the peer has for its `hello`, ms. */
  readonly helloTimeoutMs: number
  /** Streams the peer may have open at once. Default: the mux's. */
  readonly maxInboundStreams?: number
  /** Memory that windows of all sessions may grow by together. Default: that of the process. */
  readonly windowBudget?: WindowBudget
  /** Code of the GoAway sent when `abort` ends the session. Default: none is sent. */
  readonly abortCode?: number
}

/** What a role does with its session. */
export interface TunnelSessionHandlers {
  /**
   * The peer opened a stream, other than the control stream.
   *
   * @param record - what the stream begins with; undefined on the baseline wire.
   * @returns the sink that was attached to the channel, or undefined when the channel was reset.
   */
  onStream(channel: Channel, record: StreamRecord | undefined): ChannelSink | undefined
  /** The peer's `hello`; before any other message. */
  onHello?(hello: Hello): void
  /** A message of a known type. */
  onMessage(message: Exclude<ControlMessage, Hello>): void
  /** The peer broke the protocol; the session ends with GoAway 1. */
  onViolation?(error: TunnelError): void
  /** The peer takes no new streams: it sent GoAway or ended the control stream. May come repeatedly. */
  onLeaving(isOrderly: boolean): void
  /** The session is over; `error` is absent when it ended in good order. */
  onClose(error: Error | undefined): void
}

/** How a session ends in good order. */
export interface EndOptions {
  /** Last message on the control stream. Default: none. */
  readonly message?: ControlMessage
  /**
   * How long to wait for the peer to end its half of the control stream, ms. The streams it opened
   * before that have then arrived, and our GoAway rejects none of them. Default 0.
   */
  readonly peerWaitMs?: number
  /** Ends every wait; streams that are still open are then cut off. */
  readonly signal?: AbortSignal | undefined
  /** Code of a GoAway sent as the very last frame. Default: none is sent. */
  readonly code?: number
}

/**
 * One session, at either end of either kind: a mux session on a WebSocket pipe and, on our own wire,
 * the control stream and a record ahead of every other stream. The four roles (`ListenSession` and
 * `UpstreamSession` for agents, `DialSession` and `ConsumerSession` for consumers) add what their
 * messages and streams mean.
 */
export class TunnelSession {
  /** Wire agreed in the handshake. */
  readonly protocol: 'piko' | 'adit'
  /** The mux session below. */
  readonly mux: Session

  readonly #options: TunnelSessionOptions
  readonly #handlers: TunnelSessionHandlers
  readonly #control: ControlChannel | undefined
  #violation: TunnelError | undefined

  /** Takes the pipe over; a client sends its `hello` at once. */
  constructor(pipe: WebSocketPipe, options: TunnelSessionOptions, handlers: TunnelSessionHandlers) {
    const { role, protocol, maxInboundStreams, windowBudget = processWindows } = options
    this.protocol = protocol
    this.#options = options
    this.#handlers = handlers
    this.mux = new Session(pipe, {
      role,
      onProcessed: (answer) => pipe.processed(answer),
      onChannel: (channel) => this.#onChannel(channel),
      windowBudget,
      refusalReason: RESET_REASONS.draining,
      ...(protocol === 'piko' && { longPathWindowBytes: YAMUX_WINDOW_BYTES }),
      ...(maxInboundStreams !== undefined && { maxInboundStreams }),
    })
    this.mux.on('goaway', (code) => handlers.onLeaving(code === GO_AWAY.normal))
    void this.mux.closed.then(({ error }) => {
      this.#control?.stop()
      handlers.onClose(this.#violation ?? error)
    })
    if (protocol === 'adit') {
      this.#control = this.#newControl()
      // The round trip decides how large the window of the first stream is.
      this.mux.measurePath().catch(() => {}) // the session is over
    }
    if (role === 'client') this.#openControl()
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.mux.closed
  }

  /** Sends a message; dropped where there is no control stream, or none any more. */
  send(message: ControlMessage): void {
    this.#control?.send(message)
  }

  /** Answers the peer's end of the control stream only when `endControl` is called. */
  keepControl(): void {
    this.#control?.keepEnd()
  }

  /** Ends our half of the control stream: no message follows. */
  endControl(): void {
    this.#control?.end()
  }

  /**
   * Opens a stream; on our own wire the record travels ahead.
   *
   * @throws {MuxError} when the session takes none.
   * @throws {TunnelError} TUNNEL_RECORD_INVALID for a record that is too long.
   */
  openStream(record: StreamRecord, sink?: ChannelSink, count?: StreamCount): Channel {
    const head = this.protocol === 'adit' ? encodeStreamRecord(record) : undefined
    const channel = this.mux.openChannel(sink, count)
    if (head !== undefined) channel.write(head)
    return channel
  }

  /** Ends the session in good order: open streams finish first. Resolves when it is over. */
  async end({ message, peerWaitMs = 0, signal, code }: EndOptions = {}): Promise<void> {
    if (message !== undefined) this.send(message)
    this.endControl()
    try {
      if (peerWaitMs > 0) await this.#peerEnded(peerWaitMs, signal)
      await this.mux.close({
        ...(signal !== undefined && { signal }),
        ...(code !== undefined && { code }),
      })
    } catch {
      this.abort()
    }
    await this.mux.closed
  }

  /**
   * Ends the session because the peer's right to it is over: sends the reason, and cuts off streams that
   * are still open after RIGHT_ENDED_MS. The baseline wire has no such message; the session ends at once.
   */
  async endRight(reason: string): Promise<void> {
    const { abortCode } = this.#options
    if (this.#control === undefined) {
      this.abort()
      return
    }
    await this.end({
      message: { type: 'ended', reason },
      // A GoAway may overtake messages of the control stream.
      peerWaitMs: Infinity,
      signal: AbortSignal.timeout(RIGHT_ENDED_MS),
      ...(abortCode !== undefined && { code: abortCode }),
    })
  }

  /** Ends the session now. */
  abort(): void {
    const { abortCode } = this.#options
    if (abortCode === undefined) this.mux.destroy()
    else this.mux.abort(abortCode)
  }

  #newControl(): ControlChannel {
    return new ControlChannel(
      {
        onHello: (hello) => this.#handlers.onHello?.(hello),
        onMessage: (message) => this.#handlers.onMessage(message),
        onViolation: (error) => {
          this.#violation = error
          this.#handlers.onViolation?.(error)
          this.mux.abort(GO_AWAY.protocolError)
        },
        onClose: () => this.#handlers.onLeaving(false),
      },
      this.#options.helloTimeoutMs,
    )
  }

  #openControl(): void {
    if (this.#control === undefined) return
    const channel = this.openStream({ kind: 'control', endpoint: '' })
    this.#control.open(channel, this.#options.hello)
  }

  #onChannel(channel: Channel): void {
    if (this.protocol === 'piko') this.#handlers.onStream(channel, undefined)
    else channel.attach(new RecordSink(channel, (record) => this.#onRecord(channel, record)))
  }

  #onRecord(channel: Channel, record: StreamRecord): ChannelSink | undefined {
    const control = this.#control
    const isControl = record.kind === 'control' && this.#options.role === 'server'
    if (!isControl || control === undefined || control.isOpen) {
      return this.#handlers.onStream(channel, record)
    }
    control.open(channel, this.#options.hello)
    return control
  }

  /** Waits for the peer's end of the control stream, this long at most. */
  async #peerEnded(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#control === undefined) return
    const timeout = ms === Infinity ? undefined : AbortSignal.timeout(ms)
    try {
      await abortable(this.#control.closed, signal, timeout)
    } catch {
      signal?.throwIfAborted() // only the time is up: go on
    }
  }
}

/** The server ended the session with this reason: connecting again with the same token will not help. */
export function rightEndedError(reason: string): TunnelError {
  return new TunnelError('TUNNEL_UNAUTHORIZED', `the server ended the session: ${reason}`)
}
