import { type Channel, type ChannelSink, isMuxError } from '@proj/mux'

import { ChannelSplice } from '../io/channel-splice.ts'
import { WaitingSink } from '../io/waiting-sink.ts'
import type { Logger } from '../logger.ts'
import { type Endpoint, endpointKey } from '../protocol/endpoint.ts'
import { RESET_REASONS, type ResetReason } from '../protocol/reset-reason.ts'
import { OutcomeWatch } from '../protocol/stream-outcome.ts'
import type { StreamHop, StreamRecord } from '../protocol/stream-record.ts'
import { TAKEN } from './node-answer.ts'
import { isBusy } from './open-connection.ts'
import { coversDigests } from './rule-digests.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import type { Upstream } from './upstream.ts'

/** A stream of another node, as its record says. */
interface Hop {
  readonly channel: Channel
  readonly record: StreamRecord
  readonly facts: StreamHop
  readonly endpoint: Endpoint
  /** What joins it with the agent. */
  splice: ChannelSplice | undefined
}

/** An agent's session that takes the stream, why none does, or the one that may have room before long. */
type Choice = Channel | ResetReason | { readonly busy: Upstream }

/**
 * Joins streams of other nodes with the agents of this one. None goes on to a third node: where no session of
 * this node serves the endpoint as the sender knows it, the stream is reset with `notHere`, before an agent gets
 * any of it.
 */
export class HopAcceptor {
  /** Streams that were joined with an agent, since the start. */
  accepted = 0
  /** Streams that were reset with `notHere`. */
  refused = 0
  readonly #registry: UpstreamRegistry
  readonly #logger: Logger
  /** Open streams that carry one request after another, by endpoint: rules may change between two of them. */
  readonly #lasting = new Map<string, Set<Hop>>()
  /** Open streams of TCP connections. */
  readonly #tcp = new Set<Hop>()

  /** @param logger - debug for every stream that ends. */
  constructor(registry: UpstreamRegistry, logger: Logger) {
    this.#registry = registry
    this.#logger = logger
    registry.on('route', (endpoint) => this.#check(endpoint))
  }

  /**
   * Takes a stream over, whose record has been read.
   *
   * @returns the sink that was attached to the channel; undefined when it was reset.
   */
  accept(channel: Channel, record: StreamRecord): ChannelSink | undefined {
    const { hop: facts } = record
    if (facts === undefined || facts.hops !== 1 || record.kind === 'control') {
      channel.reset(RESET_REASONS.protocolError)
      return undefined
    }
    const hop: Hop = {
      channel,
      record,
      facts,
      endpoint: { tenant: facts.tenant, name: record.endpoint },
      splice: undefined,
    }
    const choice = this.#choose(hop)
    if (typeof choice === 'string') return this.#refuse(hop, choice)
    return 'busy' in choice ? this.#wait(hop, choice.busy) : this.#join(hop, choice)
  }

  /** Whether streams are open that have no end of their own, as far as that is seen here: not those of events. */
  get hasLongLived(): boolean {
    if (this.#tcp.size > 0) return true
    for (const hops of this.#lasting.values()) {
      for (const { splice } of hops) if (splice?.hasSwitched === true) return true
    }
    return false
  }

  /** This node stops: ends TCP connections, in which nothing can be said. */
  endTcp(): void {
    for (const { channel } of this.#tcp) channel.reset(RESET_REASONS.draining)
  }

  /** A queue of visitors has a place for it: its node has checked that it may wait. */
  #wait(hop: Hop, busy: Upstream): ChannelSink {
    const gone = new AbortController()
    const waiting = new WaitingSink(() => gone.abort())
    hop.channel.attach(waiting)
    void this.#untilRoom(hop, busy, gone.signal).then((choice) => {
      if (gone.signal.aborted) {
        if (typeof choice !== 'string') choice.reset(RESET_REASONS.consumerGone)
        return
      }
      const sink = typeof choice === 'string' ? this.#refuse(hop, choice) : this.#join(hop, choice)
      if (sink !== undefined) waiting.deliver(sink)
    })
    return waiting
  }

  async #untilRoom(
    hop: Hop,
    first: Upstream,
    signal: AbortSignal,
  ): Promise<Exclude<Choice, { busy: Upstream }>> {
    const { waits } = this.#registry
    const untilMs = waits.busyUntil()
    const { visitorAddress } = hop.record
    let busy = first
    for (;;) {
      const mayTry = await waits.whenRoom(busy, hop.endpoint, visitorAddress, untilMs, signal)
      if (mayTry !== true || signal.aborted) return 'limitReached'
      const choice = this.#choose(hop)
      if (typeof choice === 'string' || !('busy' in choice)) return choice
      busy = choice.busy
    }
  }

  #choose({ endpoint, record, facts }: Hop): Choice {
    const registry = this.#registry
    if (!this.#matchesSender(endpoint, facts)) return 'notHere'
    const { hop: _, ...forAgent } = record
    const tried = new Set<Upstream>()
    let busy: Upstream | undefined
    let isOverQuota = false
    for (;;) {
      const upstream = this.#pick(record, facts, endpoint, tried)
      if (upstream === undefined) {
        if (busy !== undefined) return { busy }
        return isOverQuota ? 'limitReached' : 'notHere'
      }
      tried.add(upstream)
      // What one source may have was judged by the node that it came to.
      if (registry.reachedQuota(upstream, endpoint, undefined) !== undefined) {
        isOverQuota = true
        continue
      }
      try {
        return upstream.openStream(forAgent)
      } catch (error) {
        if (!isMuxError(error)) throw error
        if (isBusy(error)) busy ??= upstream
      }
    }
  }

  /** The sender has bound its visitor to the agent that it names: another one is no replacement. */
  #pick(
    { kind }: StreamRecord,
    { agent }: StreamHop,
    endpoint: Endpoint,
    tried: ReadonlySet<Upstream>,
  ): Upstream | undefined {
    const registry = this.#registry
    if (kind !== 'http') return registry.pickLocal(endpoint, tried)
    if (agent !== undefined) return registry.pickAgentHttp(endpoint, agent, tried)
    return registry.pickLocalHttp(endpoint, tried)
  }

  /** Whether the endpoint is served here under the name and the rules that the sender knows. */
  #matchesSender(endpoint: Endpoint, { epoch, rules }: StreamHop): boolean {
    const registry = this.#registry
    if (registry.takenAt(endpoint) === undefined) return false
    // A higher one: the name went to another node, and this one does not know it yet.
    if (epoch > (registry.epoch(endpoint) ?? epoch)) return false
    return coversDigests(rules, registry.agentRuleDigests(endpoint))
  }

  #refuse({ channel, endpoint, facts }: Hop, reason: ResetReason): undefined {
    if (reason === 'notHere') this.refused += 1
    const { tenant, name } = endpoint
    this.#logger.debug({ tenant, endpoint: name, node: facts.node, reason }, 'hop refused')
    channel.reset(RESET_REASONS[reason])
  }

  #join(hop: Hop, agent: Channel): ChannelSink {
    const { channel, endpoint, record, facts } = hop
    this.accepted += 1
    if (record.kind === 'tcp') {
      channel.write(TAKEN)
      this.#tcp.add(hop)
    } else this.#keep(hop)
    const outcome = new OutcomeWatch((what) => this.#registry.report(endpoint, what))
    const closed = (): void => {
      this.#forget(hop)
      const bytes = { in: splice.bytesForward, out: splice.bytesBack }
      const { requestId } = record
      this.#logger.debug(
        { endpoint: endpoint.name, requestId, node: facts.node, ...bytes },
        'hop closed',
      )
    }
    const splice = new ChannelSplice(channel, agent, outcome, closed, record.kind === 'http')
    hop.splice = splice
    return splice.first
  }

  #keep(hop: Hop): void {
    const key = endpointKey(hop.endpoint)
    const hops = this.#lasting.get(key)
    if (hops === undefined) this.#lasting.set(key, new Set([hop]))
    else hops.add(hop)
  }

  #forget(hop: Hop): void {
    this.#tcp.delete(hop)
    if (hop.record.kind !== 'http') return
    const key = endpointKey(hop.endpoint)
    const hops = this.#lasting.get(key)
    hops?.delete(hop)
    if (hops?.size === 0) this.#lasting.delete(key)
  }

  /** The sender would go on to send requests on a stream whose visitors the rules do not admit any more. */
  #check(endpoint: Endpoint): void {
    const hops = this.#lasting.get(endpointKey(endpoint))
    if (hops === undefined) return
    const demanded = this.#registry.agentRuleDigests(endpoint)
    for (const { channel, facts } of hops) {
      if (!coversDigests(facts.rules, demanded)) channel.reset(RESET_REASONS.notHere)
    }
  }
}
