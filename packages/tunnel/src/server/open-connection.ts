import { randomBytes } from 'node:crypto'

import { type Channel, isMuxError } from '@proj/mux'

import { ChannelSplice } from '../io/channel-splice.ts'
import { NodeAnswer } from './node-answer.ts'
import { SocketSplice } from '../io/socket-splice.ts'
import { type Bandwidths, paced, PacedSink } from '../io/bandwidth.ts'
import type { Traffic } from '../io/traffic.ts'
import type { Logger } from '../logger.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import { RESET_REASONS, type ResetReason } from '../protocol/reset-reason.ts'
import { OutcomeWatch } from '../protocol/stream-outcome.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import { ConnectionWatch } from './ended-connection.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import type { Upstream } from './upstream.ts'

/** Who connects to a TCP endpoint: on the connect route, in a consumer's session, or on a public port. */
export interface TcpVisitor {
  /** Peer's address, as it shall be shown. */
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  /** TLS version and server name of its connection, `TLSv1.3 name`; absent when plain. */
  readonly tls?: string
  /** Streams it has open on its session. Default 0. */
  readonly held?: number
}

/**
 * Why a connection is rejected: the rules for visitors do not admit it, no agent serves the endpoint, or
 * all that do are at a limit.
 */
export type ConnectionRejection = Extract<
  ResetReason,
  'notPermitted' | 'noUpstream' | 'limitReached'
>

/** Says whether a connection would be rejected, other than for a limit, without opening it. */
export function rejectConnection(
  registry: UpstreamRegistry,
  endpoint: Endpoint,
  { remoteAddress }: Pick<TcpVisitor, 'remoteAddress'>,
): Exclude<ConnectionRejection, 'limitReached'> | undefined {
  if (registry.agents(endpoint) === 0) return 'noUpstream'
  const rules = registry.rules(endpoint)
  const isAdmitted = rules?.every((one) => one.admitsConnection(remoteAddress)) ?? true
  return isAdmitted ? undefined : 'notPermitted'
}

/** Tells the registry's `onConnection` of a connection that is rejected before it is opened. */
export function tellRejected(
  { onConnection }: Pick<UpstreamRegistry, 'onConnection'>,
  endpoint: Endpoint,
  visitor: TcpVisitor,
  outcome: ConnectionRejection,
): void {
  onConnection?.({
    endpoint,
    visitor,
    requestId: undefined,
    agent: undefined,
    outcome,
    openedMs: undefined,
    answeredMs: undefined,
    totalMs: 0,
    bytesIn: 0,
    bytesOut: 0,
  })
}

/** A connection that is to be opened. */
interface Wanted {
  readonly registry: UpstreamRegistry
  readonly endpoint: Endpoint
  readonly visitor: TcpVisitor
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Sessions that did not take it. */
  readonly tried: Set<Upstream>
  /** Tells of it when it is over; undefined: not wanted. */
  readonly watch: ConnectionWatch | undefined
  readonly bandwidths: Bandwidths | undefined
}

/**
 * Opens a stream for a visitor of a TCP endpoint, on the upstream whose turn it is or the next that
 * takes it. A visitor waits where that helps: for an endpoint whose sessions were lost a moment ago, and for
 * room where all have too many unacknowledged or open streams; see VisitorWaits. It waits also until another
 * node has taken it; if that does not, another one may.
 *
 * @param logger - debug for every connection that ends.
 * @param signal - ends the wait: the visitor is gone.
 * @param isHeld - whether the visitor waits for any endpoint without sessions. Default false.
 * @returns a promise only when the visitor waits.
 */
export function openConnection(
  registry: UpstreamRegistry,
  endpoint: Endpoint,
  visitor: TcpVisitor,
  logger: Logger,
  signal: AbortSignal,
  isHeld = false,
): TcpConnection | ConnectionRejection | Promise<TcpConnection | ConnectionRejection> {
  const { onConnection } = registry
  const lease = registry.admitConnection?.(endpoint, visitor.remoteAddress)
  const bandwidths = lease === 'limitReached' ? undefined : lease
  const release = bandwidths && (() => bandwidths.release())
  const watch =
    onConnection === undefined && release === undefined
      ? undefined
      : new ConnectionWatch({ tell: onConnection, release }, endpoint, visitor)
  if (lease === 'limitReached') {
    watch?.ended({ in: 0, out: 0 }, lease)
    return lease
  }
  const tried = new Set<Upstream>()
  const wanted = { registry, endpoint, visitor, logger, signal, tried, watch, bandwidths }
  const result = openWatched(wanted, isHeld)
  if (watch === undefined) return result
  const tell = <Result extends TcpConnection | ConnectionRejection>(found: Result): Result => {
    if (typeof found === 'string') watch.ended({ in: 0, out: 0 }, found)
    return found
  }
  return result instanceof Promise ? result.then(tell) : tell(result)
}

function openWatched(
  wanted: Wanted,
  isHeld: boolean,
): TcpConnection | ConnectionRejection | Promise<TcpConnection | ConnectionRejection> {
  const { registry, endpoint } = wanted
  const result = tryConnection(wanted)
  if (result instanceof TcpConnection || isFinal(result)) return result
  const isAwaited = isHeld || registry.waits.expects(endpoint) || registry.isElsewhere(endpoint)
  if (result === 'noUpstream' && !isAwaited) return result
  return waitAndOpen(wanted, isHeld, result)
}

/** Waits for an absent agent once, and for room as often as another visitor takes it first. */
async function waitAndOpen(
  wanted: Wanted,
  isHeld: boolean,
  first: 'noUpstream' | Busy | Promise<Tried>,
): Promise<TcpConnection | ConnectionRejection> {
  const { registry, endpoint, visitor, signal } = wanted
  const { waits } = registry
  const busyUntilMs = waits.busyUntil()
  let hasWaited = false
  let result: Tried | Promise<Tried> = first
  for (;;) {
    if (result instanceof Promise) result = await result
    if (result instanceof TcpConnection || isFinal(result)) return result
    const isAbsent = result === 'noUpstream'
    const wait =
      result === 'noUpstream'
        ? hasWaited || waits.whenServed(endpoint, signal, isHeld || registry.isElsewhere(endpoint))
        : waits.whenRoom(result.upstream, endpoint, visitor.remoteAddress, busyUntilMs, signal)
    hasWaited ||= isAbsent
    const mayTry = wait instanceof Promise && (await wait) !== false
    if (!mayTry || signal.aborted) {
      return isAbsent ? 'noUpstream' : 'limitReached'
    }
    wanted.tried.clear()
    result = tryConnection(wanted)
  }
}

/** No session has room: this one may have some before long. */
interface Busy {
  readonly upstream: Upstream
}

type TcpRecord = ReturnType<typeof recordOf>

type Tried = TcpConnection | ConnectionRejection | Busy

function tryConnection(wanted: Wanted): Tried | Promise<Tried> {
  const { registry, endpoint, visitor, tried } = wanted
  const rejection = rejectConnection(registry, endpoint, visitor)
  if (rejection !== undefined) return rejection
  const record = recordOf(endpoint, visitor)
  let busy: Upstream | undefined
  let isOverQuota = false
  for (;;) {
    const upstream = registry.pick(endpoint, tried, visitor.remoteAddress)
    if (upstream === undefined) {
      if (busy !== undefined) return { upstream: busy }
      return isOverQuota ? 'limitReached' : 'noUpstream'
    }
    const { remoteAddress, held } = visitor
    if (registry.reachedQuota(upstream, endpoint, remoteAddress, held) !== undefined) {
      tried.add(upstream)
      isOverQuota = true
      continue
    }
    try {
      if (upstream.isRemote === true) return askNode(wanted, upstream, record)
      return connectionOf(wanted, upstream, upstream.openStream(record), record)
    } catch (error) {
      if (!isMuxError(error)) throw error
      tried.add(upstream) // it is leaving or full; the session reports itself
      if (isBusy(error)) busy ??= upstream
    }
  }
}

/** Opens a stream to another node, and waits until an agent there has taken it or none does. */
function askNode(wanted: Wanted, upstream: Upstream, record: TcpRecord): Promise<Tried> {
  const answer = new NodeAnswer()
  const channel = upstream.openStream(record, answer)
  return answer.untilTaken(channel, wanted.signal).then((refused) => {
    if (refused === undefined) return connectionOf(wanted, upstream, channel, record, answer)
    wanted.tried.add(upstream)
    if (wanted.signal.aborted) return 'noUpstream'
    const next = tryConnection(wanted)
    return next === 'noUpstream' && refused === 'limitReached' ? refused : next
  })
}

function connectionOf(
  { registry, endpoint, logger, watch, bandwidths }: Wanted,
  { agentId }: Upstream,
  channel: Channel,
  { requestId }: TcpRecord,
  answer?: NodeAnswer,
): TcpConnection {
  watch?.opened(agentId, requestId)
  const outcome = new OutcomeWatch((what) => {
    watch?.outcome(what)
    registry.report(endpoint, what)
  })
  const ended = (bytes: { readonly in: number; readonly out: number }): void => {
    watch?.ended(bytes)
    logger.debug({ endpoint: endpoint.name, requestId, ...bytes }, 'stream closed')
  }
  return new TcpConnection(channel, outcome, ended, answer, bandwidths)
}

/** Whether there is nothing to wait for. */
function isFinal(result: unknown): result is 'notPermitted' | 'limitReached' {
  return result === 'notPermitted' || result === 'limitReached'
}

/** Whether a session could not open a stream only because it has too many now. */
export function isBusy(error: unknown): boolean {
  return isMuxError(error, 'MUX_ACK_BACKLOG') || isMuxError(error, 'MUX_STREAM_LIMIT')
}

/** A stream to an agent that carries one visitor's connection, to be joined with it at once. */
export class TcpConnection {
  readonly #channel: Channel
  readonly #outcome: OutcomeWatch
  readonly #ended: (bytes: { readonly in: number; readonly out: number }) => void
  readonly #answer: NodeAnswer | undefined
  readonly #bandwidths: Bandwidths | undefined

  /**
   * @param answer - the sink of the channel until it is joined, of a stream to another node.
   * @param bandwidths - Default: no limits.
   */
  constructor(
    channel: Channel,
    outcome: OutcomeWatch,
    ended: (bytes: { readonly in: number; readonly out: number }) => void,
    answer?: NodeAnswer,
    bandwidths?: Bandwidths,
  ) {
    this.#bandwidths = bandwidths
    this.#channel = channel
    this.#outcome = outcome
    this.#ended = ended
    this.#answer = answer
  }

  /**
   * Makes the splice for a visitor's socket; its `connect` is to be called next.
   *
   * @param onClose - called once, when the stream is over.
   * @param traffic - what the connection is counted in.
   */
  toSocket(onClose: () => void, traffic: readonly Traffic[] = []): SocketSplice {
    const splice = new SocketSplice(this.#channel, {
      resetReason: () => 'consumerGone',
      bandwidth: this.#bandwidths?.upload,
      onClose: (_reason, error) => {
        if (splice.bytesToSocket > 0) this.#outcome.answered()
        this.#outcome.closed(error)
        for (const one of traffic) one.remove(splice)
        this.#ended({ in: splice.bytesFromSocket, out: splice.bytesToSocket })
        onClose()
      },
    })
    for (const one of traffic) one.add(splice)
    const sink = paced(splice, this.#bandwidths?.download)
    if (sink instanceof PacedSink) splice.pacing = sink
    this.#channel.attach(sink)
    this.#answer?.deliver(sink)
    return splice
  }

  /** The visitor is gone: resets the stream to the agent. */
  abandon(): void {
    this.#channel.reset(RESET_REASONS.consumerGone)
    this.#ended({ in: 0, out: 0 })
  }

  /**
   * Joins the stream with a consumer's.
   *
   * @param onClose - called once, when both are over.
   */
  toChannel(consumer: Channel, onClose: () => void): ChannelSplice {
    const ended = (): void => {
      this.#ended({ in: splice.bytesForward, out: splice.bytesBack })
      onClose()
    }
    const splice = new ChannelSplice(
      consumer,
      this.#channel,
      this.#outcome,
      ended,
      false,
      this.#bandwidths,
    )
    this.#answer?.deliver(splice.second)
    return splice
  }
}

/** The request identifier is the same in the logs of server and agent, and in the PROXY header. */
function recordOf(
  endpoint: Endpoint,
  visitor: TcpVisitor,
): StreamRecord & { readonly requestId: string } {
  return {
    kind: 'tcp',
    endpoint: endpoint.name,
    ...(visitor.remoteAddress !== undefined && { visitorAddress: visitor.remoteAddress }),
    ...(visitor.remotePort !== undefined && { visitorPort: visitor.remotePort }),
    ...(visitor.tls !== undefined && { visitorTls: visitor.tls }),
    requestId: randomBytes(8).toString('hex'),
  }
}
