import type { Channel, ChannelSink, StreamCount } from '@proj/mux'
import type { StreamRecord, Upstream, UpstreamRegistry } from '@proj/tunnel/server'

import type { ClusterTable } from '../table/cluster-table.ts'
import { MAX_LINK_STREAMS } from './link-limits.ts'
import type { NodeLink } from './node-link.ts'

/** Endpoints whose streams are counted before those without any are forgotten. */
const MAX_COUNTED = 1_024

/** The agents of one tenant on another node, as the registry sees a session. */
export class NodeUpstream implements Upstream {
  readonly id: string
  readonly peer: string
  readonly agentId: string
  readonly protocol = 'adit'
  readonly identity = ''
  readonly tenant: string
  readonly remoteAddress: undefined = undefined
  readonly connectedAt: number = Date.now()
  readonly maxStreams: number = MAX_LINK_STREAMS
  /** A link is for all endpoints: one of them may not take all of it. */
  readonly endpointCount: number = Infinity
  readonly isRemote = true
  readonly agentKey: string | undefined
  /** That of all agents of the tenant, where this one is for one of them. */
  readonly #all: NodeUpstream | undefined
  readonly #link: NodeLink
  readonly #self: string
  readonly #table: ClusterTable
  readonly #registry: UpstreamRegistry
  readonly #forgotten = new AbortController()
  /** @inheritdoc */
  readonly leaving: AbortSignal
  readonly #counts = new Map<string, StreamCount>()

  /**
   * @param self - id of this node.
   * @param bound - the agent that gets all streams, and the upstream of all agents, which counts them too. Default: the
   *   node chooses an agent for each.
   */
  constructor(
    link: NodeLink,
    tenant: string,
    self: string,
    table: ClusterTable,
    registry: UpstreamRegistry,
    bound?: { readonly agentKey: string; readonly all: NodeUpstream },
  ) {
    this.agentKey = bound?.agentKey
    this.#all = bound?.all
    this.id = `node ${link.node.id}`
    this.peer = link.node.id
    this.agentId = link.node.id
    this.tenant = tenant
    this.#link = link
    this.leaving = AbortSignal.any([link.retired, this.#forgotten.signal])
    this.#self = self
    this.#table = table
    this.#registry = registry
  }

  /** Whether any of its streams is open. */
  get isUsed(): boolean {
    for (const { open } of this.#counts.values()) if (open > 0) return true
    return false
  }

  /** Another one takes its place, when its tenant has visitors again. */
  forget(): void {
    this.#forgotten.abort()
  }

  /** @inheritdoc */
  get openStreams(): number {
    return this.#link.openStreams
  }

  /** @inheritdoc */
  get openable(): number {
    return this.#link.openable
  }

  /** @inheritdoc */
  get suspect(): boolean {
    return this.#link.suspect
  }

  /** @inheritdoc */
  streamsOf(endpoint: string): number {
    if (this.#all !== undefined) return this.#all.streamsOf(endpoint)
    return this.#counts.get(endpoint)?.open ?? 0
  }

  /** @inheritdoc */
  openStream(record: StreamRecord, sink?: ChannelSink): Channel {
    const endpoint = { tenant: this.tenant, name: record.endpoint }
    const route = this.#table.routes(endpoint).find(({ node }) => node.id === this.peer)
    const hop = {
      tenant: this.tenant,
      hops: 1,
      epoch: route?.epoch ?? 0,
      node: this.#self,
      rules: this.#registry.ruleDigests(endpoint),
      ...(this.agentKey !== undefined && { agent: this.agentKey }),
    }
    return this.#link.open({ ...record, hop }, sink, this.#streamCount(record.endpoint))
  }

  /** @inheritdoc */
  async whenRoom(options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#link.whenRoom(options)
  }

  /** @inheritdoc */
  doubt(isAtOnce?: boolean): void {
    this.#link.doubt(isAtOnce)
  }

  /** @inheritdoc */
  probe(): void {
    this.#link.doubt()
  }

  /** A node is not ended by what is known of one endpoint. */
  end(): void {}

  #streamCount(endpoint: string): StreamCount {
    const own = this.#countOf(endpoint)
    return this.#all === undefined ? own : new BothCounts(own, this.#all.#countOf(endpoint))
  }

  #countOf(endpoint: string): StreamCount {
    const known = this.#counts.get(endpoint)
    if (known !== undefined) return known
    if (this.#counts.size >= MAX_COUNTED) {
      for (const [name, { open }] of this.#counts) if (open === 0) this.#counts.delete(name)
    }
    const count = { open: 0 }
    this.#counts.set(endpoint, count)
    return count
  }
}

/** Counts one stream twice. */
class BothCounts implements StreamCount {
  readonly #counts: readonly StreamCount[]
  #open = 0

  constructor(...counts: readonly StreamCount[]) {
    this.#counts = counts
  }

  get open(): number {
    return this.#open
  }

  set open(open: number) {
    for (const count of this.#counts) count.open += open - this.#open
    this.#open = open
  }
}
