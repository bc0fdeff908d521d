import { type Channel, type ChannelSink, Session } from '@proj/mux'

import { ControlChannel } from './control-channel.ts'
import type { ControlMessage } from './control-message.ts'
import { TunnelError } from './errors.ts'
import type { ServerPipe } from './handshake-request.ts'
import type { KeptConnection } from './keep-connected.ts'
import type { Listener } from './listener.ts'
import { RecordSink } from './record-sink.ts'
import { RESET_REASONS } from './reset-reason.ts'
import { encodeStreamRecord, type StreamRecord } from './stream-record.ts'

/** What an agent's session reports. */
export interface AgentSessionHandlers {
  /** Finds the listener of an inbound stream; without a record, of the session's one endpoint. */
  find(record: StreamRecord | undefined): Listener | undefined
  /** The server refused an endpoint; with a delay it may be asked again after that. */
  onRefused(listener: Listener, error: TunnelError): void
}

/** What the agent tells of itself. */
export interface AgentIdentity {
  /** Program and version. */
  readonly software: string
  /** The same across the agent's parallel sessions and reconnects. */
  readonly peer: string
}

const GO_AWAY_PROTOCOL_ERROR = 1

/**
 * The agent's side of one session: streams in, and on our own wire the control stream on which
 * endpoints are registered and released.
 */
export class AgentSession implements KeptConnection {
  readonly protocol: 'piko' | 'adit'
  readonly left: Promise<void>

  readonly #session: Session
  readonly #handlers: AgentSessionHandlers
  readonly #control: ControlChannel | undefined
  readonly #pending = new Map<number, Listener>()
  readonly #registered = new Set<Listener>()
  readonly #leave: () => void
  #nextId = 1

  /** Takes the pipe over and greets the server. */
  constructor(
    { pipe, protocol }: ServerPipe,
    identity: AgentIdentity,
    handlers: AgentSessionHandlers,
  ) {
    this.protocol = protocol
    this.#handlers = handlers
    let leave = (): void => {}
    this.left = new Promise((resolve) => (leave = resolve))
    this.#leave = leave
    this.#session = new Session(pipe, {
      role: 'client',
      onChannel: (channel) => this.#onChannel(channel),
    })
    this.#session.on('goaway', () => this.#onLeaving())
    void this.#session.closed.then(() => {
      this.#onLeaving()
      this.#pending.clear()
    })
    if (protocol === 'adit') {
      const channel = this.#session.openChannel()
      channel.write(encodeStreamRecord({ kind: 'control', endpoint: '' }))
      this.#control = new ControlChannel(channel, {
        onMessage: (message) => this.#onMessage(message),
        onViolation: () => this.#session.abort(GO_AWAY_PROTOCOL_ERROR),
        onClose: () => this.#onLeaving(),
      })
      this.#control.send({ type: 'hello', ...identity })
    }
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /** Asks for an endpoint; on the baseline wire the route has asked already. */
  register(listener: Listener): void {
    if (this.#control === undefined) {
      this.#registered.add(listener)
      listener.registered(this, [])
      return
    }
    const id = this.#nextId++
    this.#pending.set(id, listener)
    const { endpoint, kind } = listener
    this.#control.send({ type: 'register', id, endpoint, kind })
  }

  /** Gives an endpoint back; streams already open go on. */
  release(listener: Listener): void {
    if (!this.#registered.delete(listener)) return
    listener.unregistered(this)
    this.#control?.send({ type: 'release', id: this.#nextId++, endpoint: listener.endpoint })
  }

  /** Ends the session in good order: no new streams, the open ones finish, then the connection. */
  async close({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#control?.send({ type: 'drain', retryAfterMs: 0 })
    this.#control?.end()
    this.#onLeaving()
    try {
      await this.#session.close(signal === undefined ? {} : { signal })
    } catch {
      this.#session.destroy()
    }
    await this.#session.closed
  }

  /** Ends the session now. */
  destroy(): void {
    this.#session.destroy()
  }

  #onLeaving(): void {
    for (const listener of this.#registered) listener.unregistered(this)
    this.#registered.clear()
    this.#leave()
  }

  #onChannel(channel: Channel): void {
    if (this.protocol === 'piko') this.#accept(channel, undefined)
    else void new RecordSink(channel, (_, record) => this.#accept(channel, record))
  }

  #accept(channel: Channel, record: StreamRecord | undefined): ChannelSink | undefined {
    const listener = this.#handlers.find(record)
    if (listener === undefined) {
      channel.reset(record === undefined ? 0 : RESET_REASONS.endpointUnknown)
      return undefined
    }
    return listener.accept(channel, record)
  }

  #onMessage(message: ControlMessage): void {
    if (message.type === 'registered') {
      const listener = this.#take(message.id)
      if (listener === undefined) return
      this.#registered.add(listener)
      listener.registered(this, message.urls)
    } else if (message.type === 'refused') {
      const listener = this.#take(message.id)
      if (listener === undefined) return
      const { retryAfterMs } = message
      this.#handlers.onRefused(
        listener,
        new TunnelError(
          'TUNNEL_ENDPOINT_REFUSED',
          `endpoint ${JSON.stringify(listener.endpoint)} refused (${message.code}): ${message.message}`,
          retryAfterMs === undefined ? {} : { retryAfterMs },
        ),
      )
    } else if (message.type === 'drain') {
      this.#onLeaving()
      // The server closes when our streams are done; our half of the control stream is one of them.
      this.#control?.end()
    }
  }

  #take(id: number): Listener | undefined {
    const listener = this.#pending.get(id)
    this.#pending.delete(id)
    return listener
  }
}
