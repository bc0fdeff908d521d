// Length: one session; its endpoints, their answers and its end are judged against one state.
import type { Channel, ChannelSink } from '@proj/mux'

import type { ControlMessage, Hello, OtherAgents, Refused } from '../protocol/control-message.ts'
import { TunnelError, type TunnelErrorCode } from '../errors.ts'
import type { ServerPipe } from './handshake-request.ts'
import { type Departure, type KeptConnection, NETWORK_CHECK_MS, SILENT } from './keep-connected.ts'
import type { Listener, ServingSession } from './listener.ts'
import { MAX_TIMER_MS } from '../limits.ts'
import { LivenessProbe } from '../protocol/liveness-probe.ts'
import { RejectionRate, TAKEN_REJECTED } from '../protocol/rejection-rate.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import { rightEndedError, TunnelSession } from '../protocol/tunnel-session.ts'

/** How an agent and its sessions end in good order. */
export interface CloseOptions {
  /** Ends the wait: streams that are still open are then cut off. */
  readonly signal?: AbortSignal
  /**
   * When connections without an end of their own are closed, ms from now: WebSockets and event streams by the
   * server, as their protocols want; TCP connections of `forward` with a reset. Servers of Piko and older ones
   * of ours do not do it. Default: never.
   */
  readonly longLivedMs?: number
}

/** What an agent's session needs to know and reports. */
export interface ListenSessionOptions {
  /** What the agent sends of itself. */
  readonly identity: Omit<Hello, 'type'>
  /** Host the agent has dialed, as URLs have it. */
  readonly serverHost: string
  /** Time an Adit server has for its `hello`, ms. */
  readonly helloTimeoutMs: number
  /** Finds the listener of an inbound stream; without a record, of the session's one endpoint. */
  find(record: StreamRecord | undefined): Listener | undefined
  /** The server rejected an endpoint; with a delay it is asked again after that. */
  onRefused(listener: Listener, error: TunnelError): void
}

/** Bounds on the delay after which a rejected endpoint is asked for again. */
const MIN_REFUSED_DELAY_MS = 100
const MAX_REFUSED_DELAY_MS = 300_000

/** Time a server has to answer our `drain`, ms: a round trip, behind whatever is being sent. */
const DRAIN_ANSWER_MS = 5_000

/**
 * An agent's end of its session: registers and releases endpoints, and hands the server's streams to
 * their listeners. The server's end is `UpstreamSession`.
 *
 * A draining server announces that before it stops routing here. The session then counts as left, so
 * that a new one is made, but it serves until it is closed.
 */
export class ListenSession implements KeptConnection, ServingSession {
  readonly protocol: 'piko' | 'adit'
  readonly left: Promise<Departure>
  readonly localAddress: string | undefined
  /** Base URL of the server. */
  readonly url: string
  /** Resolves with the id of the server; with undefined when the session ends first, and from Piko. */
  readonly greeted: Promise<string | undefined>

  readonly #session: TunnelSession
  readonly #options: ListenSessionOptions
  readonly #registered = new Set<Listener>()
  /** Listeners whose visitor rules the server enforces; it goes on to while their streams end. */
  readonly #guarded = new WeakSet<Listener>()
  /** Registrations and releases the server has not answered, by id. */
  readonly #pending = new Map<number, Listener>()
  readonly #releasing = new Map<number, () => void>()
  readonly #again = new Map<Listener, NodeJS.Timeout>()
  readonly #settled = new Set<(answered: boolean) => void>()
  readonly #leave: (departure: Departure) => void
  readonly #probe: LivenessProbe
  readonly #rejected = new RejectionRate(TAKEN_REJECTED)
  #nextId = 1
  #over = false
  #isLeft = false
  #serverId: string | undefined

  /** Takes the pipe over and greets the server. */
  constructor({ url, pipe, protocol }: ServerPipe, options: ListenSessionOptions) {
    this.url = url
    this.protocol = protocol
    this.localAddress = pipe.localAddress
    this.#options = options
    let leave: (departure: Departure) => void = () => {}
    this.left = new Promise((resolve) => (leave = resolve))
    this.#leave = (departure) => {
      this.#isLeft = true
      leave(departure)
    }
    let greet: (id: string | undefined) => void = () => {}
    this.greeted = new Promise((resolve) => (greet = resolve))
    if (protocol === 'piko') greet(undefined)
    const { identity: hello, helloTimeoutMs } = options
    this.#session = new TunnelSession(
      pipe,
      { role: 'client', protocol, hello, helloTimeoutMs },
      {
        onStream: (channel, record) => this.#onStream(channel, record),
        onMessage: (message) => this.#onMessage(message),
        onHello: ({ peer }) => {
          this.#serverId = peer
          greet(peer)
        },
        onLeaving: () => this.#retire({}),
        onClose: (error) => {
          greet(undefined)
          this.#end(error)
        },
      },
    )
    this.#probe = new LivenessProbe(this.#session.mux, NETWORK_CHECK_MS, () => this.leave(SILENT))
  }

  /** Id of the server; undefined until it has told, and from Piko. */
  get serverId(): string | undefined {
    return this.#serverId
  }

  /** Whether a new session is being made in its place. */
  get isLeft(): boolean {
    return this.#isLeft
  }

  /** The next session is there: this one serves until it is closed. */
  replaced(): void {
    this.#leave({ isReplaced: true })
  }

  /** @inheritdoc */
  tellHealth(endpoint: string, isUp: boolean): void {
    if (this.protocol === 'adit') this.#session.send({ type: 'health', endpoint, isUp })
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /** @inheritdoc */
  leave(why: string): void {
    this.#leave({ error: new TunnelError('TUNNEL_NETWORK_CHANGED', why) })
  }

  /** @inheritdoc */
  check(): void {
    if (!this.#over) this.#probe.start()
  }

  /** Asks for an endpoint; on the baseline wire the route has asked already. */
  register(listener: Listener): void {
    if (this.#over) return
    const { endpoint, kind, visitors, publicPort, exclusive, reuse, strictness } = listener
    const { weight, limits } = listener
    if (this.protocol === 'piko') {
      const unmet = unmetDemand(listener, {})
      if (unmet !== undefined) {
        this.#options.onRefused(listener, unmet)
        return
      }
      this.#registered.add(listener)
      listener.registered(this, [])
      listener.limited([])
      return
    }
    const id = this.#nextId++
    this.#pending.set(id, listener)
    const demands = {
      ...(visitors !== undefined && { visitors }),
      ...(publicPort !== undefined && { port: publicPort }),
      ...(exclusive && { exclusive }),
      ...(reuse !== undefined && { reuse }),
      ...(strictness !== undefined && { strictness }),
      ...(weight !== undefined && { weight }),
      ...(limits !== undefined && { limits }),
    } as const
    this.#session.send({ type: 'register', id, endpoint, kind, ...demands })
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
    if (asked && !this.#over && this.protocol === 'adit') {
      const id = this.#nextId++
      // Behind the registration on the same stream, so that it undoes one that is still under way.
      this.#session.send({ type: 'release', id, endpoint: listener.endpoint })
      await new Promise<void>((resolve) => this.#releasing.set(id, resolve))
    }
    this.#settle()
  }

  /**
   * Resolves when the server has answered every registration: true when all were granted or
   * finally rejected, false when the session ended before that.
   */
  answered(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#settled.add(resolve)
      this.#settle()
    })
  }

  /** Ends the session in good order: no new streams, the open ones finish, then the connection. */
  async close({ signal, longLivedMs = Infinity }: CloseOptions = {}): Promise<void> {
    this.#retire({})
    // Streams the server opened before it read our `drain` are still to be served.
    const message = {
      type: 'drain',
      retryAfterMs: 0,
      ...(longLivedMs <= MAX_TIMER_MS && { longLivedMs: Math.round(longLivedMs) }),
    } as const
    await this.#session.end({ message, peerWaitMs: DRAIN_ANSWER_MS, signal })
  }

  /** Ends the session now. */
  destroy(): void {
    this.#session.abort()
  }

  /** The server routes nothing more here. */
  #retire(departure: Departure): void {
    for (const listener of this.#registered) listener.unregistered(this)
    this.#registered.clear()
    this.#leave(departure)
  }

  #end(error: Error | undefined): void {
    this.#over = true
    this.#probe.stop()
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

  #onStream(channel: Channel, record: StreamRecord | undefined): ChannelSink | undefined {
    const listener = this.#options.find(record)
    // A stream that was opened before its visitor was judged must not reach the service.
    const isUnguarded = listener?.visitors !== undefined && !this.#guarded.has(listener)
    if (listener === undefined || isUnguarded) {
      channel.reset(RESET_REASONS.endpointUnknown)
      return undefined
    }
    // A line-based service would take the lines of an HTTP request for commands. The other way round is
    // allowed: a consumer with the right to connect may bring an HTTP service to a local port.
    if (record?.kind === 'http' && listener.kind === 'tcp') {
      channel.reset(RESET_REASONS.kindMismatch)
      return undefined
    }
    return listener.accept(channel, record)
  }

  #onMessage(message: ControlMessage): void {
    switch (message.type) {
      case 'registered': {
        const listener = this.#take(message.id)
        if (listener === undefined) break // it was released before the answer came
        const unmet = unmetDemand(listener, message)
        if (unmet !== undefined) {
          // The server has registered it without what was demanded: undo that.
          const { endpoint } = listener
          this.#session.send({ type: 'release', id: this.#nextId++, endpoint })
          this.#options.onRefused(listener, unmet)
          break
        }
        this.#guarded.add(listener)
        this.#registered.add(listener)
        listener.registered(this, this.#urlsOf(message), message.port)
        listener.limited(message.limits ?? [])
        listener.shared(othersIn(message))
        break
      }
      case 'shared': {
        const { endpoint } = message
        for (const one of this.#registered) {
          if (one.endpoint === endpoint) one.shared(othersIn(message))
        }
        break
      }
      case 'malformed': {
        // Each is a line in the log of the agent.
        if (!this.#rejected.take()) break
        const { endpoint, requestId, code, message: text } = message
        for (const one of this.#registered) {
          if (one.endpoint === endpoint) one.malformed({ endpoint, requestId, code, message: text })
        }
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
        this.#retire({ error: rightEndedError(message.reason) })
        this.#session.endControl()
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

  /** URLs of the endpoint; for a public port without one, the host that this agent has dialed. */
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

/**
 * What a listener demands and the server's answer does not confirm. A server of an earlier version
 * ignores the demand and registers the endpoint without it.
 *
 * @param answer - the fields of `registered` that confirm demands; none on the baseline wire.
 */
function unmetDemand(
  {
    endpoint,
    visitors,
    publicPort,
    exclusive,
  }: Pick<Listener, 'endpoint' | 'visitors' | 'publicPort' | 'exclusive'>,
  answer: { readonly visitors?: true; readonly port?: number; readonly exclusive?: true },
): TunnelError | undefined {
  const name = JSON.stringify(endpoint)
  if (visitors !== undefined && answer.visitors !== true) {
    return new TunnelError(
      'TUNNEL_VISITORS_UNSUPPORTED',
      `the server does not enforce rules for visitors, so ${name} is not served`,
    )
  }
  if (publicPort !== undefined && answer.port === undefined) {
    return new TunnelError(
      'TUNNEL_PORT_UNSUPPORTED',
      `the server does not know of public ports, so ${name} is not served`,
    )
  }
  if (exclusive && answer.exclusive !== true) {
    return new TunnelError(
      'TUNNEL_EXCLUSIVE_UNSUPPORTED',
      `the server cannot keep other agents off, so ${name} is not served`,
    )
  }
  return undefined
}

function othersIn({
  others = 0,
  otherHosts = 0,
}: {
  readonly others?: number
  readonly otherHosts?: number
}): OtherAgents {
  return { agents: others, hosts: otherHosts }
}

/** A rejected registration as an error. */
function refusalError(endpoint: string, refused: Refused): TunnelError {
  const { code, message, retryAfterMs, holder, since } = refused
  return new TunnelError(
    errorCode(code),
    `endpoint ${JSON.stringify(endpoint)} refused (${code}): ${message}`,
    { holder, since, ...(retryAfterMs !== undefined && { retryAfterMs }) },
  )
}

function errorCode(code: string): TunnelErrorCode {
  if (code === 'name-taken') return 'TUNNEL_NAME_TAKEN'
  if (code === 'name-in-use') return 'TUNNEL_NAME_IN_USE'
  return code.startsWith('port-') ? 'TUNNEL_PORT_REFUSED' : 'TUNNEL_ENDPOINT_REFUSED'
}
