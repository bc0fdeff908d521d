import { type Channel, type ChannelSink, isMuxError, Session } from '@proj/mux'

import { abortable } from '../abortable.ts'
import { ControlChannel } from '../protocol/control-channel.ts'
import type { TunnelError } from '../errors.ts'
import type { ServerPipe } from './handshake-request.ts'
import type { Departure, KeptConnection } from './keep-connected.ts'
import { type EndpointState, endpointState } from './endpoint-state.ts'
import { rightEnded } from '../protocol/right-ended.ts'
import { encodeStreamRecord } from '../protocol/stream-record.ts'

const GO_AWAY_PROTOCOL_ERROR = 1

/** The consumer's side of one session with a server of ours. */
export class ConsumerSession implements KeptConnection {
  readonly left: Promise<Departure>
  readonly #session: Session
  readonly #control: ControlChannel
  readonly #queries = new Map<number, (state: EndpointState | undefined) => void>()
  #roundTrip: Promise<unknown> | undefined
  #nextId = 1

  /**
   * Takes the pipe over and greets the server.
   *
   * @param software - program and version of the consumer.
   * @param helloTimeoutMs - time the server has for its greeting.
   */
  constructor({ pipe }: ServerPipe, software: string, helloTimeoutMs: number) {
    let leave: (departure: Departure) => void = () => {}
    let violation: TunnelError | undefined
    this.left = new Promise((resolve) => (leave = resolve))
    // A server opens no streams towards a consumer.
    this.#session = new Session(pipe, {
      role: 'client',
      maxInboundStreams: 0,
      onProcessed: (answer) => pipe.processed(answer),
    })
    this.#control = new ControlChannel(
      {
        onHello: () => {},
        onMessage: (message) => {
          if (message.type === 'endpoint') this.#answer(message.id, endpointState(message))
          if (message.type === 'ended') leave({ error: rightEnded(message.reason) })
          else if (message.type === 'drain') leave({ retryAfterMs: message.retryAfterMs })
          else return
          // The server closes when our streams are done; our half of this one is among them.
          this.#control.end()
        },
        onViolation: (error) => {
          violation = error
          this.#session.abort(GO_AWAY_PROTOCOL_ERROR)
        },
        onClose: () => leave({}),
      },
      helloTimeoutMs,
    )
    this.#session.on('goaway', () => leave({}))
    void this.#session.closed.then(({ error }) => {
      this.#control.stop()
      const reason = violation ?? error
      leave(reason === undefined ? {} : { error: reason })
      for (const answer of this.#queries.values()) answer(undefined)
      this.#queries.clear()
    })
    const channel = this.#session.openChannel()
    channel.write(encodeStreamRecord({ kind: 'control', endpoint: '' }))
    this.#control.open(channel, { software, peer: '' })
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /**
   * Opens a stream; waits while the server has too many to acknowledge.
   *
   * @returns undefined when the session takes no more streams.
   */
  async open(
    endpoint: string,
    sink: ChannelSink | undefined,
    signal: AbortSignal,
  ): Promise<Channel | undefined> {
    const record = encodeStreamRecord({ kind: 'tcp', endpoint })
    for (;;) {
      try {
        const channel = this.#session.openChannel(sink)
        channel.write(record)
        return channel
      } catch (error) {
        if (!isMuxError(error)) throw error
        if (error.code === 'MUX_STREAM_LIMIT') throw error
        if (error.code !== 'MUX_ACK_BACKLOG') return undefined
      }
      // The answer to a ping comes behind the acknowledgements of everything opened before it.
      this.#roundTrip ??= this.#session
        .ping()
        .catch(() => {})
        .finally(() => (this.#roundTrip = undefined))
      await abortable(this.#roundTrip, signal)
    }
  }

  /** Asks how an endpoint fares; undefined when the session ends first. */
  async query(endpoint: string, signal: AbortSignal): Promise<EndpointState | undefined> {
    signal.throwIfAborted()
    const id = this.#nextId++
    const answer = new Promise<EndpointState | undefined>((resolve) =>
      this.#queries.set(id, resolve),
    )
    this.#control.send({ type: 'query', id, endpoint })
    try {
      return await abortable(answer, signal)
    } finally {
      this.#queries.delete(id)
    }
  }

  /** Ends the session: open streams finish first, until `signal` ends the patience. */
  async close({ signal }: { readonly signal?: AbortSignal }): Promise<void> {
    this.#control.end()
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

  #answer(id: number, state: EndpointState): void {
    this.#queries.get(id)?.(state)
    this.#queries.delete(id)
  }
}
