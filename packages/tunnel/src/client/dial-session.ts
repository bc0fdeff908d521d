import { type Channel, type ChannelSink, isMuxError } from '@proj/mux'

import { abortable } from '../abortable.ts'
import { TunnelError } from '../errors.ts'
import type { ControlMessage } from '../protocol/control-message.ts'
import { LivenessProbe } from '../protocol/liveness-probe.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import type { StreamOutcome } from '../protocol/stream-outcome.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import { rightEndedError, TunnelSession } from '../protocol/tunnel-session.ts'
import type { ServerPipe } from './handshake-request.ts'
import { type Departure, type KeptConnection, NETWORK_CHECK_MS, SILENT } from './keep-connected.ts'

/** How an endpoint fares, as its server sees it. */
export interface EndpointState {
  /** Agent sessions that serve it. */
  readonly upstreams: number
  /** Agents that serve it; undefined from servers that do not tell. */
  readonly agents: number | undefined
  /** What became of the last stream to its service: `ok`, or why it failed; undefined: not known. */
  readonly outcome: StreamOutcome | undefined
  /** How long ago that was, ms; set when `outcome` is. */
  readonly ageMs: number | undefined
  /** Whether the token may connect to it; when false, the other fields say nothing. */
  readonly permitted: boolean
}

/**
 * A consumer's end of its session with an Adit server: opens a stream per connection and asks about
 * endpoints. The server's end is `ConsumerSession`.
 */
export class DialSession implements KeptConnection {
  readonly left: Promise<Departure>
  readonly localAddress: string | undefined
  /** Base URL of the server. */
  readonly url: string
  /** Resolves with the id of the server; with undefined when the session ends first. */
  readonly greeted: Promise<string | undefined>
  readonly #session: TunnelSession
  readonly #queries = new Map<number, (state: EndpointState | undefined) => void>()
  readonly #leave: (departure: Departure) => void
  readonly #probe: LivenessProbe
  #roundTrip: Promise<unknown> | undefined
  #nextId = 1
  #isLeft = false
  #serverId: string | undefined

  /**
   * Takes the pipe over and greets the server.
   *
   * @param software - program and version of the consumer.
   * @param helloTimeoutMs - time the server has for its greeting.
   */
  constructor({ url, pipe }: ServerPipe, software: string, helloTimeoutMs: number) {
    let leave: (departure: Departure) => void = () => {}
    this.left = new Promise((resolve) => (leave = resolve))
    this.#leave = (departure) => {
      this.#isLeft = true
      leave(departure)
    }
    let greet: (id: string | undefined) => void = () => {}
    this.greeted = new Promise((resolve) => (greet = resolve))
    this.url = url
    this.localAddress = pipe.localAddress
    const hello = { software, peer: '' }
    // A server opens no streams towards a consumer.
    const options = { protocol: 'adit', hello, helloTimeoutMs, maxInboundStreams: 0 } as const
    this.#session = new TunnelSession(
      pipe,
      { role: 'client', ...options },
      {
        onStream: (channel) => {
          channel.reset(RESET_REASONS.protocolError)
          return undefined
        },
        onMessage: (message) => this.#onMessage(message),
        onHello: ({ peer }) => {
          this.#serverId = peer
          greet(peer)
        },
        onLeaving: () => this.#leave({}),
        onClose: (error) => {
          greet(undefined)
          this.#leave(error === undefined ? {} : { error })
          this.#probe.stop()
          for (const answer of this.#queries.values()) answer(undefined)
          this.#queries.clear()
        },
      },
    )
    this.#probe = new LivenessProbe(this.#session.mux, NETWORK_CHECK_MS, () => this.leave(SILENT))
  }

  /** Id of the server; undefined until it has told. */
  get serverId(): string | undefined {
    return this.#serverId
  }

  /** Whether a new session is being made in its place. */
  get isLeft(): boolean {
    return this.#isLeft
  }

  /** The next session is there: this one ends when its streams have ended. */
  replaced(): void {
    this.#leave({ isReplaced: true })
    void this.close({})
  }

  /** @inheritdoc */
  leave(why: string): void {
    this.#leave({ error: new TunnelError('TUNNEL_NETWORK_CHANGED', why) })
    void this.close({}) // when its streams have ended, or nothing has come from the server for too long
  }

  /** @inheritdoc */
  check(): void {
    this.#probe.start()
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
    const record: StreamRecord = { kind: 'tcp', endpoint }
    for (;;) {
      try {
        return this.#session.openStream(record, sink)
      } catch (error) {
        if (!isMuxError(error)) throw error
        if (error.code === 'MUX_STREAM_LIMIT') throw error
        if (error.code !== 'MUX_ACK_BACKLOG') return undefined
      }
      // The answer to a ping comes behind the acknowledgements of everything opened before it.
      this.#roundTrip ??= this.#session.mux
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
    this.#session.send({ type: 'query', id, endpoint })
    try {
      return await abortable(answer, signal)
    } finally {
      this.#queries.delete(id)
    }
  }

  /** Ends the session: open streams finish first, until `signal` aborts. */
  async close({ signal }: { readonly signal?: AbortSignal }): Promise<void> {
    await this.#session.end({ signal })
  }

  /** Ends the session now. */
  destroy(): void {
    this.#session.abort()
  }

  #onMessage(message: ControlMessage): void {
    if (message.type === 'endpoint') {
      this.#queries.get(message.id)?.(endpointState(message))
      this.#queries.delete(message.id)
    } else if (message.type === 'ended' || message.type === 'drain') {
      const isOver = message.type === 'ended'
      this.#leave(
        isOver
          ? { error: rightEndedError(message.reason) }
          : { retryAfterMs: message.retryAfterMs },
      )
      // The server closes when our streams are done; our half of the control stream is among them.
      this.#session.endControl()
    }
  }
}

/** Reads the answer to a query; outcomes of a later version read as `unspecified`. */
function endpointState(
  message: Extract<ControlMessage, { readonly type: 'endpoint' }>,
): EndpointState {
  const { upstreams, agents, outcome, ageMs, permitted = true } = message
  const known = outcome !== undefined && ageMs !== undefined
  return {
    upstreams,
    agents,
    outcome: known ? outcomeOf(outcome) : undefined,
    ageMs: known ? ageMs : undefined,
    permitted,
  }
}

function outcomeOf(text: string): StreamOutcome {
  if (text === 'ok') return text
  return Object.hasOwn(RESET_REASONS, text) ? (text as StreamOutcome) : 'unspecified'
}
