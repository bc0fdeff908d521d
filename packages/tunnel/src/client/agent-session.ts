import { type Channel, type ChannelSink, Session } from '@proj/mux'

import { abortable, underSignals } from '../abortable.ts'
import { ControlChannel } from '../protocol/control-channel.ts'
import type { ControlMessage, Hello, Refused } from '../protocol/control-message.ts'
import type { TunnelError } from '../errors.ts'
import type { ServerPipe } from './handshake-request.ts'
import type { Departure, KeptConnection } from './keep-connected.ts'
import type { Listener } from './listener.ts'
import { RecordSink } from '../protocol/record-sink.ts'
import { refusalError } from './refusal-error.ts'
import { rightEnded } from '../protocol/right-ended.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import { encodeStreamRecord, type StreamRecord } from '../protocol/stream-record.ts'
import { unmetDemand } from './unmet-demand.ts'

/** What an agent's session needs to know and reports. */
export interface AgentSessionOptions {
  /** What the agent tells of itself. */
  readonly identity: Omit<Hello, 'type'>
  /** Host the agent has dialed, as URLs have it. */
  readonly serverHost: string
  /** Time a server of ours has for its greeting, ms. */
  readonly helloTimeoutMs: number
  /** Finds the listener of an inbound stream; without a record, of the session's one endpoint. */
  find(record: StreamRecord | undefined): Listener | undefined
  /** The server refused an endpoint; with a delay it is asked again after that. */
  onRefused(listener: Listener, error: TunnelError): void
}

const GO_AWAY_PROTOCOL_ERROR = 1

/** Bounds on the delay after which a refused endpoint is asked for again, whatever the server says. */
const MIN_REFUSED_DELAY_MS = 100
const MAX_REFUSED_DELAY_MS = 300_000

/** Time a server has to answer that we leave, ms; a round trip, behind whatever is being sent. */
const DRAIN_ANSWER_MS = 5_000

/**
 * The agent's side of one session: streams in, and on our own wire the control stream on which
 * endpoints are registered and released.
 *
 * A server that drains says so before it stops routing here: the session then counts as left, so
 * that a new one is made, but goes on serving until somebody closes it.
 */
export class AgentSession implements KeptConnection {
  readonly protocol: 'piko' | 'adit'
  readonly left: Promise<Departure>

  readonly #session: Session
  readonly #options: AgentSessionOptions
  readonly #control: ControlChannel | undefined
  readonly #registered = new Set<Listener>()
  /** Whose rules for visitors the server has said to enforce; it keeps to that while they end. */
  readonly #guarded = new WeakSet<Listener>()
  /** Registrations and releases the server has not answered, by id. */
  readonly #pending = new Map<number, Listener>()
  readonly #releasing = new Map<number, () => void>()
  readonly #again = new Map<Listener, NodeJS.Timeout>()
  readonly #settled = new Set<(answered: boolean) => void>()
  readonly #leave: (departure: Departure) => void
  #violation: TunnelError | undefined
  #nextId = 1
  #over = false

  /** Takes the pipe over and greets the server. */
  constructor({ pipe, protocol }: ServerPipe, options: AgentSessionOptions) {
    this.protocol = protocol
    this.#options = options
    let leave: (departure: Departure) => void = () => {}
    this.left = new Promise((resolve) => (leave = resolve))
    this.#leave = leave
    this.#session = new Session(pipe, {
      onProcessed: (answer) => pipe.processed(answer),
      role: 'client',
      onChannel: (channel) => this.#onChannel(channel),
    })
    this.#session.on('goaway', () => this.#retire({}))
    void this.#session.closed.then(({ error }) => this.#end(this.#violation ?? error))
    if (protocol === 'adit') this.#control = this.#openControl()
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /** Asks for an endpoint; on the baseline wire the route has asked already. */
  register(listener: Listener): void {
    if (this.#over) return
    const { endpoint, kind, visitors, publicPort } = listener
    if (this.#control === undefined) {
      const unmet = unmetDemand(listener, {})
      if (unmet !== undefined) {
        this.#options.onRefused(listener, unmet)
        return
      }
      this.#registered.add(listener)
      listener.registered(this, [])
      return
    }
    const id = this.#nextId++
    this.#pending.set(id, listener)
    const demands = {
      ...(visitors !== undefined && { visitors }),
      ...(publicPort !== undefined && { port: publicPort }),
    }
    this.#control.send({ type: 'register', id, endpoint, kind, ...demands })
  }

  /** Gives an endpoint back; streams already open go on. Resolves when the server knows. */
  async release(listener: Listener): Promise<void> {
    clearTimeout(this.#again.get(listener))
    this.#again.delete(listener)
    let asked = this.#registered.delete(listener)
    if (asked) listener.unregistered(this)
    for (const [id, one] of this.#pending) {
      if (one === listener) asked = this.#pending.delete(id)
    }
    if (asked && !this.#over && this.#control !== undefined) {
      const id = this.#nextId++
      // Behind the registration on the same stream, so that it undoes one that is still under way.
      this.#control.send({ type: 'release', id, endpoint: listener.endpoint })
      await new Promise<void>((resolve) => this.#releasing.set(id, resolve))
    }
    this.#settle()
  }

  /**
   * Resolves when the server has answered every registration: true when all were granted or refused
   * for good, false when the session was over first.
   */
  answered(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#settled.add(resolve)
      this.#settle()
    })
  }

  /** Ends the session in good order: no new streams, the open ones finish, then the connection. */
  async close({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#control?.send({ type: 'drain', retryAfterMs: 0 })
    this.#control?.end()
    this.#retire({})
    try {
      // Streams the server opened before it heard of this are still to be served.
      await this.#serverKnows(signal)
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

  async #serverKnows(signal: AbortSignal | undefined): Promise<void> {
    if (this.#control === undefined) return
    const patience = AbortSignal.timeout(DRAIN_ANSWER_MS)
    await underSignals(signal === undefined ? [patience] : [patience, signal], (either) =>
      abortable(this.#control?.closed ?? Promise.resolve(), either),
    ).catch(() => signal?.throwIfAborted())
  }

  #openControl(): ControlChannel {
    const control = new ControlChannel(
      {
        onHello: () => {},
        onMessage: (message) => this.#onMessage(message),
        onViolation: (error) => {
          this.#violation = error
          this.#session.abort(GO_AWAY_PROTOCOL_ERROR)
        },
        onClose: () => this.#retire({}),
      },
      this.#options.helloTimeoutMs,
    )
    const channel = this.#session.openChannel()
    channel.write(encodeStreamRecord({ kind: 'control', endpoint: '' }))
    control.open(channel, this.#options.identity)
    return control
  }

  /** The server routes nothing more here. */
  #retire(departure: Departure): void {
    for (const listener of this.#registered) listener.unregistered(this)
    this.#registered.clear()
    this.#leave(departure)
  }

  #end(error: Error | undefined): void {
    this.#over = true
    this.#control?.stop()
    this.#retire(error === undefined ? {} : { error })
    this.#pending.clear()
    for (const resolve of this.#releasing.values()) resolve()
    this.#releasing.clear()
    for (const timer of this.#again.values()) clearTimeout(timer)
    this.#again.clear()
    this.#settle()
  }

  #settle(): void {
    const waits = this.#pending.size > 0 || this.#again.size > 0
    if (waits && !this.#over) return
    for (const resolve of this.#settled) resolve(!this.#over)
    this.#settled.clear()
  }

  #onChannel(channel: Channel): void {
    if (this.protocol === 'piko') this.#accept(channel, undefined)
    else void new RecordSink(channel, (_, record) => this.#accept(channel, record))
  }

  #accept(channel: Channel, record: StreamRecord | undefined): ChannelSink | undefined {
    const listener = this.#options.find(record)
    // A stream that was opened before its visitor was judged is not for anybody.
    const isUnguarded = listener?.visitors !== undefined && !this.#guarded.has(listener)
    if (listener === undefined || isUnguarded) {
      channel.reset(RESET_REASONS.endpointUnknown)
      return undefined
    }
    return listener.accept(channel, record)
  }

  #onMessage(message: ControlMessage): void {
    switch (message.type) {
      case 'registered': {
        const listener = this.#take(message.id)
        if (listener === undefined) break // released meanwhile
        const unmet = unmetDemand(listener, message)
        if (unmet !== undefined) {
          // Registered all the same, as if nothing had been demanded: it must not stay so.
          const { endpoint } = listener
          this.#control?.send({ type: 'release', id: this.#nextId++, endpoint })
          this.#options.onRefused(listener, unmet)
          break
        }
        this.#guarded.add(listener)
        this.#registered.add(listener)
        listener.registered(this, this.#urlsOf(message), message.port)
        break
      }
      case 'refused':
        this.#onRefused(message)
        break
      case 'released':
        this.#releasing.get(message.id)?.()
        this.#releasing.delete(message.id)
        break
      case 'drain':
        this.#leave({ retryAfterMs: message.retryAfterMs })
        break
      case 'ended':
        this.#retire({ error: rightEnded(message.reason) })
        this.#control?.end()
        break
      default: // messages only an agent or a consumer sends: nothing to do with them
    }
    this.#settle()
  }

  #onRefused(refused: Refused): void {
    const listener = this.#take(refused.id)
    if (listener === undefined) return
    const { endpoint } = listener
    const { retryAfterMs } = refused
    if (retryAfterMs !== undefined) {
      const delayMs = Math.min(Math.max(retryAfterMs, MIN_REFUSED_DELAY_MS), MAX_REFUSED_DELAY_MS)
      const timer = setTimeout(() => {
        this.#again.delete(listener)
        this.register(listener)
      }, delayMs)
      timer.unref() // the session keeps the process alive, this alone need not
      this.#again.set(listener, timer)
    }
    this.#options.onRefused(listener, refusalError(endpoint, refused))
  }

  /** Where people find the endpoint; a public port at least where this agent found the server. */
  #urlsOf({ urls, port }: Extract<ControlMessage, { type: 'registered' }>): readonly string[] {
    const isNamed = port === undefined || urls.some((url) => url.startsWith('tcp:'))
    return isNamed ? urls : [`tcp://${this.#options.serverHost}:${port}`, ...urls]
  }

  #take(id: number): Listener | undefined {
    const listener = this.#pending.get(id)
    this.#pending.delete(id)
    return listener
  }
}
