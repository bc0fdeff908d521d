// Length: one table; picking a session, its rules and its quotas are judged against the same entries.
import { EventEmitter } from 'node:events'

import type { Bandwidths } from '../io/bandwidth.ts'
import type { OtherAgents } from '../protocol/control-message.ts'
import { type Endpoint, endpointKey } from '../protocol/endpoint.ts'
import type { EndpointLimits } from '../protocol/endpoint-limits.ts'
import { EndpointMap } from '../protocol/endpoint-map.ts'
import type { LastOutcome, StreamOutcome } from '../protocol/stream-outcome.ts'
import type { AnswerStrictness } from '../protocol/answer-strictness.ts'
import { type StreamReuse, stricterReuse } from '../protocol/stream-reuse.ts'
import type { VisitorRules } from '../protocol/visitor-rules.ts'
import {
  formatRouteLimits,
  formatRouteRules,
  type LocalRoute,
  readRouteLimits,
  ruleText,
} from './local-route.ts'
import type { EndedConnection } from './ended-connection.ts'
import type { RemoteRoute, RemoteUpstreams } from './remote-upstreams.ts'
import { digestsOf } from './rule-digests.ts'
import {
  agentInTurn,
  agentKeyOf,
  agentKeys,
  formatAgents,
  isFullList,
  listsAgent,
} from './agent-key.ts'
import { WEIGHTS } from '../protocol/weight.ts'
import { type Balance, choose } from './balance.ts'
import { type ReachedQuota, StreamQuota } from './stream-quota.ts'
import type { Upstream } from './upstream.ts'
import { VisitorWaits } from './visitor-waits.ts'

/** Events of the registry. */
export interface RegistryEvents {
  /** An endpoint gained its first upstream or lost its last, which is named. */
  endpoint: [endpoint: Endpoint, present: boolean, upstream: Upstream]
  /**
   * How an endpoint is served here changed, as it is now; undefined: it is not any more. Once for all changes of
   * one turn of the event loop.
   */
  route: [endpoint: Endpoint, route: LocalRoute | undefined]
  /** Another node began or ceased to serve an endpoint, or changed how: agents there may be leaving. */
  remote: [endpoint: Endpoint]
}

/** What an agent asks of the server for an endpoint. */
export interface EndpointWishes {
  /** No other agent may serve it: `claimName` rejects them. Default: false. */
  readonly exclusive?: boolean
  /** When its streams carry another request. Default: as the server is set. */
  readonly reuse?: StreamReuse
  /** How the answers of its service are read. Default: `lenient`. */
  readonly strictness?: AnswerStrictness
  /** How often its agent is chosen, compared to the others. Default: 100. */
  readonly weight?: number
  /** What its visitors may do. Default: as the server is set. */
  readonly limits?: EndpointLimits
  /** Its rules for visitors as it sent them, for `LocalRoute.rules`. */
  readonly visitors?: object
  /** Epoch of the name, where names are claimed. */
  readonly epoch?: number
}

/** Shortest time between two times that other nodes are told which services went down or came up, ms. */
const HEALTH_TOLD_MS = 1_000

/** A connection that is counted until it is released. */
export interface ConnectionLease extends Bandwidths {
  /** It is over; called once. */
  release(): void
}

/** Agents of one endpoint that are told of each other; with more of them each change would be many messages. */
const MAX_TOLD_AGENTS = 16

interface Agent {
  readonly peer: string
  /** Names it in cookies; undefined: nobody has asked for it yet. */
  key: string | undefined
  readonly sessions: Upstream[]
  /** Index of the session with which the next search begins. */
  next: number
  /** As its last registration said. */
  weight: number
  credit: number
}

interface Entry<Rules extends VisitorRules> {
  readonly endpoint: Endpoint
  /** Agents in order of arrival. */
  readonly agents: Agent[]
  /** How one of them is chosen. */
  balance: Balance
  /** Whether they simply take turns: no other way was asked for, and all have one weight. */
  isPlain: boolean
  /** When the first of them came, ms since the epoch. */
  readonly takenAt: number
  next: number
  /** Outcome of the last stream to the service, and its time on the monotonic clock, ms. */
  last: { readonly outcome: StreamOutcome; readonly atMs: number } | undefined
  /** What each session demands of visitors, of those that demand anything. */
  readonly demands: Map<Upstream, Rules>
  /** The same as text, for other processes. */
  readonly ruleTexts: Map<Upstream, string>
  /** Sessions that serve it as a TCP endpoint; the others serve HTTP, or are Piko's and did not say. */
  readonly tcp: Set<Upstream>
  /** Sessions whose service fails the health checks of its agent. */
  readonly down: Set<Upstream>
  /** Both of these: what an HTTP request is not sent to while there is another; the same set as `tcp` without `down`. */
  tcpOrDown: ReadonlySet<Upstream>
  /** Sessions of an agent that wants to be the only one. */
  readonly exclusive: Set<Upstream>
  /** The same without repetition, and what the operator demands; undefined when nothing is demanded. */
  rules: readonly Rules[] | undefined
  /** What the sessions alone demand, without repetition. */
  agentRules: readonly Rules[]
  /** What each session said about the reuse of its streams, of those that said anything. */
  readonly reuses: Map<Upstream, StreamReuse>
  /** The strictest of them; undefined for none. */
  reuse: StreamReuse | undefined
  /** Whether a session for requests said nothing: the server's setting is to hold for it. */
  hasUnsaidReuse: boolean
  /** Sessions that ask for strict reading of answers. */
  readonly strict: Set<Upstream>
  /** What the visitors of each session may do, of those that limit anything. */
  readonly limits: Map<Upstream, EndpointLimits>
  /** The highest that its sessions were given. */
  epoch: number | undefined
}

/** What all that serve an endpoint demand of its visitors, here and on other nodes. */
interface Union<Rules> {
  /** What is demanded here, for which it was made. */
  readonly local: readonly Rules[] | undefined
  readonly all: readonly Rules[] | undefined
}

/**
 * Which sessions serve which endpoint, and whose turn it is. In a cluster it knows what other nodes serve as
 * well; each member says whether it is about both, or about this node alone.
 *
 * Agents take turns strictly; among the parallel sessions of one agent the one with the fewest open
 * streams is taken, so that a bulk transfer does not hold small requests back. A session that does
 * not answer a ping comes last. `Rules` is what the server makes of an agent's rules for visitors.
 */
export class UpstreamRegistry<
  Rules extends VisitorRules = VisitorRules,
> extends EventEmitter<RegistryEvents> {
  /** Visitors that wait for an agent. */
  readonly waits: VisitorWaits
  /** Keeps one source and one endpoint from taking all streams of an agent. */
  readonly quota: StreamQuota
  /**
   * Counts a connection to a TCP endpoint before it is opened. Returns its bandwidths and what releases it when it is
   * over, `limitReached` when it is to be rejected, and undefined where nothing is counted. Default: nothing is.
   */
  admitConnection:
    | ((
        endpoint: Endpoint,
        client: string | undefined,
      ) => ConnectionLease | 'limitReached' | undefined)
    | undefined
  /**
   * Ends the stream of a session that has been idle for longest, of the endpoint if one is given; false when none is
   * idle. Default: none ever is.
   */
  makeRoom: (upstream: Upstream, endpoint?: string) => boolean = () => false
  /** Is told of each connection to a TCP endpoint that is over or rejected. Default: nothing is told. */
  onConnection: ((ended: EndedConnection) => void) | undefined
  /**
   * Is told what the sessions of an endpoint, here and on other nodes, ask for as limits of its visitors, each time that
   * may have changed.
   * Default: limits of agents are not applied.
   */
  onLimits: ((endpoint: Endpoint, limits: readonly EndpointLimits[]) => void) | undefined
  readonly #entries = new EndpointMap<Entry<Rules>>()
  /** Number of endpoints with rules; while it is 0, no rules have to be looked up. */
  #guarded = 0
  /** Number of endpoints with `reuse`; while it is 0, none has to be looked up. */
  #reusing = 0
  /** Number of endpoints with a session that asks for strict reading; while it is 0, none has to be looked up. */
  #strict = 0
  /** Undefined: this process is no node of a cluster. */
  #remote: RemoteUpstreams<Rules> | undefined
  /** Where the next search among nodes begins, so that equal ones take turns. */
  #nextNode = 0
  /** Of endpoints that other nodes serve and a visitor asked for. */
  readonly #unions = new EndpointMap<Union<Rules>>()
  /** Endpoints with limits of agents that are connected to other nodes. */
  readonly #limitedElsewhere = new EndpointMap<true>()
  /** Sessions that are down, over all endpoints; while it is 0, none has to be looked up. */
  #down = 0
  /** Endpoints whose `route` event is due. */
  readonly #changed = new Map<string, Endpoint>()
  /** Endpoints whose services went down or came up, until other nodes are told. */
  readonly #changedHealth = new Map<string, Endpoint>()
  #healthToldAtMs = -Infinity
  #standingRules: (endpoint: Endpoint) => readonly Rules[] = () => []
  #balanceOf: (endpoint: Endpoint) => Balance = () => 'round-robin'
  /** Whether any endpoint has had the balance `cookie`; until then none is looked up for it. */
  #hasCookies = false

  /**
   * @param waits - Default: one with the default limits.
   * @param quota - the same.
   */
  constructor(waits: VisitorWaits = new VisitorWaits(), quota: StreamQuota = new StreamQuota()) {
    super()
    this.waits = waits
    this.quota = quota
  }

  /**
   * Adds a session to an endpoint.
   *
   * @param rules - what it demands of visitors, in place of what it did before.
   * @param kind - what its streams carry; undefined from a Piko agent, which does not say.
   * @param wishes - what else the agent asked for, in place of what it did before.
   */
  add(
    endpoint: Endpoint,
    upstream: Upstream,
    rules?: Rules,
    kind?: 'http' | 'tcp',
    { exclusive = false, reuse, strictness, visitors, epoch, weight, limits }: EndpointWishes = {},
  ): void {
    let entry = this.#find(endpoint)
    const fresh = entry === undefined
    if (entry === undefined) {
      const tcp = new Set<Upstream>()
      entry = {
        endpoint,
        agents: [],
        balance: this.#balanceOf(endpoint),
        isPlain: true,
        takenAt: Date.now(),
        next: 0,
        last: undefined,
        demands: new Map(),
        ruleTexts: new Map(),
        tcp,
        down: new Set(),
        tcpOrDown: tcp,
        exclusive: new Set(),
        reuses: new Map(),
        reuse: undefined,
        hasUnsaidReuse: false,
        strict: new Set(),
        limits: new Map(),
        rules: undefined,
        agentRules: [],
        epoch: undefined,
      }
      this.#entries.set(endpoint, entry)
      this.#settleRules(entry)
    }
    this.#hasCookies ||= entry.balance === 'cookie'
    const agent = entry.agents.find((one) => one.peer === upstream.peer)
    if (agent === undefined) {
      entry.agents.push({
        peer: upstream.peer,
        key: undefined,
        sessions: [upstream],
        next: 0,
        weight: weight ?? WEIGHTS.default,
        credit: 0,
      })
    } else {
      if (!agent.sessions.includes(upstream)) agent.sessions.push(upstream)
      agent.weight = weight ?? WEIGHTS.default
    }
    settleBalance(entry)
    if (kind === 'tcp') entry.tcp.add(upstream)
    else entry.tcp.delete(upstream)
    settleDown(entry)
    if (exclusive) entry.exclusive.add(upstream)
    else entry.exclusive.delete(upstream)
    if (reuse === undefined) entry.reuses.delete(upstream)
    else entry.reuses.set(upstream, reuse)
    this.#settleReuse(entry)
    this.#setStrict(entry, upstream, strictness === 'strict')
    this.#setLimits(entry, upstream, limits)
    this.#demand(entry, upstream, rules)
    if (rules === undefined || visitors === undefined) entry.ruleTexts.delete(upstream)
    else entry.ruleTexts.set(upstream, ruleText(visitors, kind === 'tcp' ? kind : 'http'))
    if (epoch !== undefined) entry.epoch = Math.max(entry.epoch ?? epoch, epoch)
    this.#noteChange(endpoint)
    if (agent === undefined) tellOthers(entry, upstream.peer)
    if (!fresh) return
    this.waits.settled(endpoint)
    this.emit('endpoint', endpoint, true, upstream)
  }

  /**
   * Removes a session from an endpoint; removing what is not there changes nothing.
   *
   * @param isLost - whether the session ended without a word, so that its agent is expected back.
   */
  remove(endpoint: Endpoint, upstream: Upstream, isLost = false): void {
    const entry = this.#find(endpoint)
    const at = entry?.agents.findIndex(({ sessions }) => sessions.includes(upstream)) ?? -1
    const agent = entry?.agents[at]
    if (entry === undefined || agent === undefined) return
    entry.tcp.delete(upstream)
    if (entry.down.delete(upstream)) this.#down -= 1
    settleDown(entry)
    entry.exclusive.delete(upstream)
    entry.reuses.delete(upstream)
    this.#setStrict(entry, upstream, false)
    this.#setLimits(entry, upstream, undefined)
    this.#demand(entry, upstream, undefined)
    entry.ruleTexts.delete(upstream)
    this.#noteChange(endpoint)
    agent.sessions.splice(agent.sessions.indexOf(upstream), 1)
    this.#settleReuse(entry)
    if (agent.sessions.length > 0) return
    entry.agents.splice(at, 1)
    settleBalance(entry)
    // Whose turn it was keeps it: those behind the gap move up by one.
    if (at < entry.next) entry.next -= 1
    if (entry.agents.length === 0) {
      this.#entries.delete(endpoint)
      if (entry.rules !== undefined) this.#guarded -= 1
      if (isLost) this.waits.lost(endpoint)
      else if (this.#remote !== undefined) this.waits.left(endpoint)
      this.emit('endpoint', endpoint, false, upstream)
    } else tellOthers(entry, upstream.peer)
  }

  /** The other nodes; undefined: this process is alone. */
  get remote(): RemoteUpstreams<Rules> | undefined {
    return this.#remote
  }

  /** Makes this process a node of a cluster: visitors reach what other nodes serve as well. */
  setRemote(remote: RemoteUpstreams<Rules>): void {
    this.#remote = remote
  }

  /**
   * Another node began or ceased to serve an endpoint, or changed how.
   *
   * @param isLost - whether it ceased without a word of the agent, so that its agents are expected back.
   */
  remoteChanged(endpoint: Endpoint, isLost = false): void {
    this.#unions.delete(endpoint)
    this.#noteRemoteLimits(endpoint)
    this.#hasCookies ||= this.#routes(endpoint).some(({ agents }) => agents !== undefined)
    this.emit('remote', endpoint)
    if ((this.#remote?.routes(endpoint).length ?? 0) > 0) this.waits.settled(endpoint)
    else if (isLost && this.#find(endpoint) === undefined) this.waits.lost(endpoint)
  }

  /**
   * Picks the session whose turn it is; if there is none that answers, the node that has the least to do.
   *
   * @param except - sessions already tried for this request.
   * @param visitor - address of the visitor, for endpoints where it matters.
   * @returns undefined when none takes streams.
   */
  pick(endpoint: Endpoint, except?: ReadonlySet<Upstream>, visitor?: string): Upstream | undefined {
    if (this.#remote === undefined) return this.pickLocal(endpoint, except, visitor)
    return this.#pickAny(endpoint, except, false, visitor)
  }

  /** Like {@link pick}, of the sessions of this node alone. */
  pickLocal(
    endpoint: Endpoint,
    except?: ReadonlySet<Upstream>,
    visitor?: string,
  ): Upstream | undefined {
    const entry = this.#find(endpoint)
    if (entry === undefined) return undefined
    const { down } = entry
    if (down.size > 0) {
      const up =
        next(entry, except, false, down, visitor) ?? next(entry, except, true, down, visitor)
      if (up !== undefined) return up
    }
    return (
      next(entry, except, false, undefined, visitor) ??
      next(entry, except, true, undefined, visitor)
    )
  }

  /**
   * Which quota one more stream of a visitor would exceed; asked before a stream is opened. Idle streams give way to it,
   * also where the session has as many as it can.
   *
   * @param remoteAddress - undefined: not limited by source.
   * @param held - streams that the visitor has on one connection. Default 0.
   */
  reachedQuota(
    upstream: Upstream,
    endpoint: Endpoint,
    remoteAddress: string | undefined,
    held = 0,
  ): ReachedQuota | undefined {
    const makeRoom = (name?: string): boolean => this.makeRoom(upstream, name)
    const sessions = (): number => this.count(endpoint)
    const { name } = endpoint
    const reached = this.quota.reached(upstream, name, sessions, remoteAddress, held, makeRoom)
    if (reached === undefined && upstream.openStreams >= upstream.maxStreams) makeRoom()
    return reached
  }

  /**
   * Like {@link pick}, of the sessions that do not serve the endpoint as a TCP endpoint.
   *
   * @param kept - a session that has an idle stream of the visitor: of the agent whose turn it is, it is the one that
   *   is picked, unless it carries bulk.
   */
  pickHttp(
    endpoint: Endpoint,
    except?: ReadonlySet<Upstream>,
    visitor?: string,
    kept?: Upstream,
  ): Upstream | undefined {
    if (this.#remote === undefined) return this.pickLocalHttp(endpoint, except, visitor, kept)
    return this.#pickAny(endpoint, except, true, visitor, kept)
  }

  /** Like {@link pickHttp}, of the sessions of this node alone. */
  pickLocalHttp(
    endpoint: Endpoint,
    except?: ReadonlySet<Upstream>,
    visitor?: string,
    kept?: Upstream,
  ): Upstream | undefined {
    const entry = this.#find(endpoint)
    if (entry === undefined) return undefined
    const { tcp, down, tcpOrDown } = entry
    if (down.size > 0) {
      const up =
        next(entry, except, false, tcpOrDown, visitor, kept) ??
        next(entry, except, true, tcpOrDown, visitor, kept)
      if (up !== undefined) return up
    }
    return (
      next(entry, except, false, tcp, visitor, kept) ??
      next(entry, except, true, tcp, visitor, kept)
    )
  }

  /**
   * Takes a session out of the turn for an endpoint, or back in: one whose service is down is picked only when
   * all are down.
   */
  setHealth(endpoint: Endpoint, upstream: Upstream, isUp: boolean): void {
    const entry = this.#find(endpoint)
    if (entry?.agents.some(({ sessions }) => sessions.includes(upstream)) !== true) return
    const before = entry.down.size
    const wasDown = isAllDown(entry)
    if (isUp) entry.down.delete(upstream)
    else entry.down.add(upstream)
    this.#down += entry.down.size - before
    settleDown(entry)
    const isTold = isAllDown(entry) !== wasDown || entry.balance === 'cookie'
    if (isTold && entry.down.size !== before) this.#noteHealth(endpoint)
  }

  /** Whether the service of a session is down: a stream that carried requests before is not to carry another one. */
  isDown(endpoint: Endpoint, upstream: Upstream): boolean {
    return this.#down > 0 && this.#find(endpoint)?.down.has(upstream) === true
  }

  /** Whether all that serve an endpoint serve it as a TCP endpoint; false when it is not served. */
  isTcpOnly(endpoint: Endpoint): boolean {
    const entry = this.#find(endpoint)
    const routes = this.#routes(endpoint)
    if (entry === undefined) return routes.length > 0 && routes.every(({ kind }) => kind === 'tcp')
    if (entry.tcp.size === 0 || !routes.every(({ kind }) => kind === 'tcp')) return false
    return entry.agents.every(({ sessions }) => sessions.every((one) => entry.tcp.has(one)))
  }

  /** Whether another session of an endpoint, or another node, takes streams and owes no answer. */
  hasOther(endpoint: Endpoint, than: Upstream): boolean {
    const isOther = (one: Upstream): boolean => one !== than && !one.leaving.aborted && !one.suspect
    const agents = this.#find(endpoint)?.agents ?? []
    if (agents.some(({ sessions }) => sessions.some(isOther))) return true
    const remote = this.#remote
    if (remote === undefined) return false
    return remote.routes(endpoint).some((route) => isOther(remote.upstream(route, endpoint)))
  }

  #routes(endpoint: Endpoint): readonly RemoteRoute[] {
    return this.#remote?.routes(endpoint) ?? NO_ROUTES
  }

  /** Sessions of this node before other nodes, silent ones after both, and last those whose service is down. */
  #pickAny(
    endpoint: Endpoint,
    except: ReadonlySet<Upstream> | undefined,
    isHttp: boolean,
    visitor: string | undefined,
    kept?: Upstream,
  ): Upstream | undefined {
    const entry = this.#find(endpoint)
    const without = isHttp ? entry?.tcp : undefined
    const hasDown = entry !== undefined && entry.down.size > 0
    const orDown = !hasDown ? without : isHttp ? entry.tcpOrDown : entry.down
    const bound = isHttp ? this.#pickBound(endpoint, entry, except, orDown, visitor) : undefined
    return (
      bound ??
      (entry && next(entry, except, false, orDown, visitor, kept)) ??
      this.#pickNode(endpoint, except, false, isHttp, false) ??
      (entry && next(entry, except, true, orDown, visitor, kept)) ??
      this.#pickNode(endpoint, except, true, isHttp, false) ??
      (hasDown
        ? (next(entry, except, false, without, visitor) ??
          next(entry, except, true, without, visitor))
        : undefined) ??
      this.#pickNode(endpoint, except, false, isHttp, true) ??
      this.#pickNode(endpoint, except, true, isHttp, true)
    )
  }

  /** The node of the agent that a visitor is bound to, unless a session of this node is the agent's. */
  #pickBound(
    endpoint: Endpoint,
    entry: Entry<Rules> | undefined,
    except: ReadonlySet<Upstream> | undefined,
    without: ReadonlySet<Upstream> | undefined,
    visitor: string | undefined,
  ): Upstream | undefined {
    const remote = this.#remote
    if (visitor === undefined || !this.#hasCookies || remote === undefined) return undefined
    if (entry !== undefined && entry.balance !== 'cookie') return undefined
    const here = entry?.agents.find((one) => keyOf(one, endpoint) === visitor)
    const isHere = here?.sessions.some((one) => isTakeable(one, except, false, without))
    if (isHere === true) return undefined
    let best: Upstream | undefined
    let least = Infinity
    for (const route of remote.routes(endpoint)) {
      if (route.agents === undefined || route.isDown || !listsAgent(route.agents, visitor)) continue
      const one = remote.upstream(route, endpoint, visitor)
      if (one.leaving.aborted || one.suspect || except?.has(one) === true) continue
      const load = remote.load(route)
      if (load >= least) continue
      best = one
      least = load
    }
    return best
  }

  /** What leads to a node, and to one of its agents where the visitor is then bound to that one. */
  #remoteUpstream(
    remote: RemoteUpstreams<Rules>,
    route: RemoteRoute,
    endpoint: Endpoint,
    except: ReadonlySet<Upstream> | undefined,
    isHttp: boolean,
    turn: number,
  ): Upstream | undefined {
    const { agents } = route
    if (!isHttp || agents === undefined || isFullList(agents) || !this.isByCookie(endpoint)) {
      const one = remote.upstream(route, endpoint)
      return except?.has(one) === true ? undefined : one
    }
    const key = agentInTurn(
      agents,
      turn,
      (one) => except?.has(remote.upstream(route, endpoint, one)) === true,
    )
    return key === undefined ? undefined : remote.upstream(route, endpoint, key)
  }

  #pickNode(
    endpoint: Endpoint,
    except: ReadonlySet<Upstream> | undefined,
    suspect: boolean,
    isHttp: boolean,
    isDown: boolean,
  ): Upstream | undefined {
    const remote = this.#remote
    const routes = remote?.routes(endpoint) ?? []
    let best: Upstream | undefined
    let least = Infinity
    for (let turn = 0; turn < routes.length; turn++) {
      const route = routes[(this.#nextNode + turn) % routes.length]
      if (remote === undefined || route === undefined) continue
      if (route.isDown !== isDown || (isHttp && route.kind === 'tcp')) continue
      const load = remote.load(route)
      if (load >= least) continue
      // Nodes of the same load take turns: each has a turn of its own for its agents.
      const agentTurn = Math.floor(this.#nextNode / routes.length)
      const one = this.#remoteUpstream(remote, route, endpoint, except, isHttp, agentTurn)
      if (one === undefined || one.leaving.aborted || one.suspect !== suspect) continue
      best = one
      least = load
    }
    if (best !== undefined) this.#nextNode = (this.#nextNode + 1) & 0xffff
    return best
  }

  /** Whether a session of an endpoint is that of an agent that wants to be the only one. */
  isExclusive(endpoint: Endpoint, upstream: Upstream): boolean {
    return this.#find(endpoint)?.exclusive.has(upstream) ?? false
  }

  /** The other agents of this node that serve an endpoint. */
  othersOf(endpoint: Endpoint, { peer, remoteAddress }: Upstream): OtherAgents {
    const others = this.#find(endpoint)?.agents.filter((one) => one.peer !== peer) ?? []
    const hosts = new Set(
      others.flatMap(({ sessions }) => sessions.map((one) => one.remoteAddress)),
    )
    hosts.delete(remoteAddress)
    return { agents: others.length, hosts: hosts.size }
  }

  /** Sessions of this node that serve an endpoint. */
  sessions(endpoint: Endpoint): readonly Upstream[] {
    return this.#find(endpoint)?.agents.flatMap((agent) => agent.sessions) ?? []
  }

  /** Since when this node serves an endpoint without a gap, ms since the epoch; undefined: it is not. */
  takenAt(endpoint: Endpoint): number | undefined {
    return this.#find(endpoint)?.takenAt
  }

  /**
   * Sets the operator's rules for an endpoint's visitors, which hold whatever session serves it. They
   * replace the ones before, for connections and requests from now on.
   */
  setStandingRules(rulesOf: (endpoint: Endpoint) => readonly Rules[]): void {
    this.#standingRules = rulesOf
    this.#unions.clear()
    for (const entry of this.#entries.values()) this.#settleRules(entry)
  }

  /** Sets how one of the agents of an endpoint is chosen, from the next request and connection on. */
  setBalance(balanceOf: (endpoint: Endpoint) => Balance): void {
    this.#balanceOf = balanceOf
    for (const entry of this.#entries.values()) {
      const before = entry.balance
      entry.balance = balanceOf(entry.endpoint)
      if ((entry.balance === 'cookie') !== (before === 'cookie')) this.#noteChange(entry.endpoint)
      settleBalance(entry)
      this.#hasCookies ||= entry.balance === 'cookie'
    }
  }

  /** Whether visitors of an endpoint are bound to agents by cookies. */
  isByCookie(endpoint: Endpoint): boolean {
    if (!this.#hasCookies) return false
    const entry = this.#find(endpoint)
    if (entry !== undefined) return entry.balance === 'cookie'
    return this.#routes(endpoint).some(({ agents }) => agents !== undefined)
  }

  /**
   * The agent that a visitor is bound to, here or on another node.
   *
   * @param asked - keys in its cookies, with their places: of several agents, the first one counts.
   * @returns its key; undefined: none of them serves the endpoint.
   */
  findByKey(endpoint: Endpoint, asked: ReadonlyMap<string, number>): string | undefined {
    if (asked.size === 0) return undefined
    // Each agent is looked up once, however many cookies there are: a visitor may send a thousand.
    let first = Infinity
    let found: string | undefined
    const look = (key: string): void => {
      const at = asked.get(key) ?? Infinity
      if (at >= first) return
      first = at
      found = key
    }
    const entry = this.#find(endpoint)
    for (const agent of entry?.agents ?? []) look(keyOf(agent, endpoint))
    for (const { agents } of this.#routes(endpoint)) {
      if (agents !== undefined) for (const key of agentKeys(agents)) look(key)
    }
    return found
  }

  /** The key of the agent that an upstream leads to; undefined: of a node that chooses one itself. */
  keyOf(endpoint: Endpoint, upstream: Upstream): string | undefined {
    if (upstream.isRemote === true) return upstream.agentKey
    const agents = this.#find(endpoint)?.agents
    const agent = agents?.find(({ peer }) => peer === upstream.peer)
    return agent && keyOf(agent, endpoint)
  }

  /** Picks a session of one agent of this node for HTTP; undefined: none of it takes streams, or its service is down. */
  pickAgentHttp(
    endpoint: Endpoint,
    key: string,
    except?: ReadonlySet<Upstream>,
  ): Upstream | undefined {
    const entry = this.#find(endpoint)
    const agent = entry?.agents.find((one) => keyOf(one, endpoint) === key)
    if (entry === undefined || agent === undefined) return undefined
    const without = isAllDown(entry) ? entry.tcp : entry.tcpOrDown
    return leastLoaded(agent, except, false, without) ?? leastLoaded(agent, except, true, without)
  }

  /** Whether any endpoint has rules for its visitors; in a cluster it is not counted. */
  get hasRules(): boolean {
    return this.#guarded > 0 || this.#remote !== undefined
  }

  /**
   * What is demanded of an endpoint's visitors: the operator's rules and those of all its sessions, also on other
   * nodes, every one of which holds, whichever session is picked. The same list until one of them changes;
   * undefined when there are none.
   */
  rules(endpoint: Endpoint): readonly Rules[] | undefined {
    const rules = this.#find(endpoint)?.rules
    return this.#remote === undefined ? rules : this.#allRules(this.#remote, endpoint, rules)
  }

  /** Digests of {@link rules}, for a node that is sent a visitor. */
  ruleDigests(endpoint: Endpoint): Buffer {
    return digestsOf(this.rules(endpoint))
  }

  /** Digests of what the sessions of this node demand, without the operator's rules. */
  agentRuleDigests(endpoint: Endpoint): Buffer {
    return digestsOf(this.#find(endpoint)?.agentRules)
  }

  #allRules(
    remote: RemoteUpstreams<Rules>,
    endpoint: Endpoint,
    local: readonly Rules[] | undefined,
  ): readonly Rules[] | undefined {
    const known = this.#unions.get(endpoint)
    if (known !== undefined && known.local === local) return known.all
    const routes = remote.routes(endpoint)
    if (routes.length === 0) return local
    const isServedHere = this.#find(endpoint) !== undefined
    const here = isServedHere ? (local ?? []) : this.#standingRules(endpoint)
    const all = unique([...here, ...routes.flatMap((route) => remote.rules(route))])
    const isSame = local !== undefined && all.length === local.length
    const union = { local, all: isSame ? local : all.length === 0 ? undefined : all }
    this.#unions.set(endpoint, union)
    return union.all
  }

  /**
   * When the streams of an endpoint carry another request: the strictest of what its sessions asked for.
   *
   * @param byDefault - the server's setting, for sessions that asked for nothing.
   */
  reuse(endpoint: Endpoint, byDefault: StreamReuse): StreamReuse {
    if (this.#remote !== undefined) return this.#reuseOfAll(endpoint, byDefault)
    const entry = this.#reusing === 0 ? undefined : this.#find(endpoint)
    if (entry?.reuse === undefined) return byDefault
    return entry.hasUnsaidReuse ? stricterReuse(entry.reuse, byDefault) : entry.reuse
  }

  #reuseOfAll(endpoint: Endpoint, byDefault: StreamReuse): StreamReuse {
    const entry = this.#find(endpoint)
    const routes = this.#routes(endpoint)
    let said = entry?.reuse
    let isUnsaid = entry !== undefined && (said === undefined || entry.hasUnsaidReuse)
    for (const { reuse, kind } of routes) {
      if (reuse === undefined) isUnsaid ||= kind !== 'tcp'
      else said = said === undefined ? reuse : stricterReuse(said, reuse)
    }
    if (said === undefined) return byDefault
    return isUnsaid ? stricterReuse(said, byDefault) : said
  }

  /** How the answers of an endpoint's service are read: strictly when one of its sessions asks for that. */
  strictness(endpoint: Endpoint): AnswerStrictness {
    if (this.#strict > 0 && (this.#find(endpoint)?.strict.size ?? 0) > 0) return 'strict'
    if (this.#remote === undefined) return 'lenient'
    const isStrict = this.#routes(endpoint).some(({ strictness }) => strictness === 'strict')
    return isStrict ? 'strict' : 'lenient'
  }

  /** Remembers the outcome of a stream to an endpoint's service, as long as a session serves it. */
  report(endpoint: Endpoint, outcome: StreamOutcome): void {
    const entry = this.#find(endpoint)
    if (entry !== undefined) entry.last = { outcome, atMs: performance.now() }
  }

  /** What became of the last stream to an endpoint's service; undefined before there was one. */
  lastOutcome(endpoint: Endpoint): LastOutcome | undefined {
    const last = this.#find(endpoint)?.last
    if (last === undefined) return undefined
    return { outcome: last.outcome, ageMs: Math.round(performance.now() - last.atMs) }
  }

  /**
   * Number of agents that serve an endpoint, in a cluster at least; each may hold several sessions. Another node is
   * taken for one agent: the same agent may have a session there.
   */
  agents(endpoint: Endpoint): number {
    const local = this.#find(endpoint)?.agents.length ?? 0
    if (this.#remote === undefined || local > 0) return local
    return Math.min(1, this.#routes(endpoint).length)
  }

  /** Number of sessions that serve an endpoint, on this node and on others. */
  count(endpoint: Endpoint): number {
    const local = this.countLocal(endpoint)
    if (this.#remote === undefined) return local
    return this.#routes(endpoint).reduce((sum, { sessions }) => sum + sessions, local)
  }

  /**
   * Whether an endpoint is served by other nodes alone. A node may have lost its agents, or be gone, before this one
   * knows it: a visitor whom none of them takes waits for what has become of them.
   */
  isElsewhere(endpoint: Endpoint): boolean {
    if (this.#remote === undefined || this.#find(endpoint) !== undefined) return false
    return this.#routes(endpoint).length > 0
  }

  /** Number of sessions of this node that serve an endpoint. */
  countLocal(endpoint: Endpoint): number {
    const entry = this.#find(endpoint)
    return entry === undefined ? 0 : sessionsOf(entry)
  }

  /** Sessions of this node that do not answer now, of an endpoint. */
  suspects(endpoint: Endpoint): number {
    const agents = this.#find(endpoint)?.agents ?? []
    return agents.flatMap(({ sessions }) => sessions).filter(({ suspect }) => suspect).length
  }

  /** Sessions of this node by endpoint, a snapshot for status pages. */
  snapshot(): Map<Endpoint, Upstream[]> {
    const all = new Map<Endpoint, Upstream[]>()
    for (const { endpoint, agents } of this.#entries.values()) {
      all.set(
        endpoint,
        agents.flatMap((agent) => agent.sessions),
      )
    }
    return all
  }

  /** How an endpoint is served here; undefined: it is not. */
  localRoute(endpoint: Endpoint): LocalRoute | undefined {
    const entry = this.#find(endpoint)
    return entry === undefined ? undefined : routeOf(entry)
  }

  /** How all endpoints are served here. */
  *localRoutes(): Generator<[Endpoint, LocalRoute]> {
    for (const entry of this.#entries.values()) {
      const route = routeOf(entry)
      if (route !== undefined) yield [entry.endpoint, route]
    }
  }

  /** Epoch of an endpoint's name, as its sessions were given it; undefined: it is not served, or not claimed. */
  epoch(endpoint: Endpoint): number | undefined {
    return this.#find(endpoint)?.epoch
  }

  /** Plans the `route` event of an endpoint. */
  #noteChange(endpoint: Endpoint): void {
    if (this.listenerCount('route') === 0) return
    if (this.#changed.size === 0) setImmediate(this.#tellChanges)
    this.#changed.set(endpointKey(endpoint), endpoint)
  }

  /** Plans the same for a change of health, once in a while: a service may fail and recover as often as it likes. */
  #noteHealth(endpoint: Endpoint): void {
    if (this.listenerCount('route') === 0) return
    if (this.#changedHealth.size === 0) {
      const waitMs = this.#healthToldAtMs + HEALTH_TOLD_MS - performance.now()
      setTimeout(this.#tellHealth, Math.max(0, waitMs)).unref()
    }
    this.#changedHealth.set(endpointKey(endpoint), endpoint)
  }

  readonly #tellHealth = (): void => {
    this.#healthToldAtMs = performance.now()
    for (const endpoint of this.#changedHealth.values()) this.#noteChange(endpoint)
    this.#changedHealth.clear()
  }

  readonly #tellChanges = (): void => {
    const changed = [...this.#changed.values()]
    this.#changed.clear()
    for (const endpoint of changed) this.emit('route', endpoint, this.localRoute(endpoint))
  }

  #find(endpoint: Endpoint): Entry<Rules> | undefined {
    return this.#entries.get(endpoint)
  }

  #demand(entry: Entry<Rules>, upstream: Upstream, rules: Rules | undefined): void {
    if (entry.demands.get(upstream) === rules) return
    if (rules === undefined) entry.demands.delete(upstream)
    else entry.demands.set(upstream, rules)
    this.#settleRules(entry)
  }

  #setStrict({ strict }: Entry<Rules>, upstream: Upstream, isStrict: boolean): void {
    const before = strict.size
    if (isStrict) strict.add(upstream)
    else strict.delete(upstream)
    this.#strict += Number(strict.size > 0) - Number(before > 0)
  }

  #setLimits(
    { endpoint, limits }: Entry<Rules>,
    upstream: Upstream,
    wish: EndpointLimits | undefined,
  ): void {
    const had = limits.delete(upstream)
    if (wish !== undefined) limits.set(upstream, wish)
    if (had || wish !== undefined) this.#tellLimits(endpoint, limits)
  }

  #noteRemoteLimits(endpoint: Endpoint): void {
    const wasLimited = this.#limitedElsewhere.get(endpoint) !== undefined
    const isLimited = this.#routes(endpoint).some(({ limits }) => limits !== undefined)
    if (!wasLimited && !isLimited) return
    if (isLimited) this.#limitedElsewhere.set(endpoint, true)
    else this.#limitedElsewhere.delete(endpoint)
    this.#tellLimits(endpoint, this.#find(endpoint)?.limits)
  }

  #tellLimits(endpoint: Endpoint, local: ReadonlyMap<Upstream, EndpointLimits> | undefined): void {
    const remote = this.#routes(endpoint).flatMap(({ limits }) => {
      const read = limits === undefined ? undefined : readRouteLimits(limits)
      return read === undefined ? [] : [read]
    })
    this.onLimits?.(endpoint, [...(local?.values() ?? []), ...remote])
  }

  #settleReuse(entry: Entry<Rules>): void {
    const before = entry.reuse
    if (before === undefined && entry.reuses.size === 0) return
    entry.reuse = undefined
    for (const one of entry.reuses.values()) {
      entry.reuse = entry.reuse === undefined ? one : stricterReuse(entry.reuse, one)
    }
    entry.hasUnsaidReuse = entry.agents.some(({ sessions }) =>
      sessions.some((one) => !entry.reuses.has(one) && !entry.tcp.has(one)),
    )
    this.#reusing += Number(entry.reuse !== undefined) - Number(before !== undefined)
  }

  #settleRules(entry: Entry<Rules>): void {
    entry.agentRules = unique([...entry.demands.values()])
    if (entry.rules !== undefined) this.#guarded -= 1
    const all = unique([...this.#standingRules(entry.endpoint), ...entry.agentRules])
    entry.rules = all.length === 0 ? undefined : all
    if (entry.rules !== undefined) this.#guarded += 1
  }
}

const NO_ROUTES: readonly RemoteRoute[] = Object.freeze([])

function unique<Rules extends VisitorRules>(rules: readonly Rules[]): readonly Rules[] {
  return [...new Map(rules.map((one) => [one.id, one])).values()]
}

function settleDown(entry: Entry<VisitorRules>): void {
  const { tcp, down } = entry
  entry.tcpOrDown = down.size === 0 ? tcp : new Set([...tcp, ...down])
}

function sessionsOf({ agents }: Entry<VisitorRules>): number {
  return agents.reduce((sum, agent) => sum + agent.sessions.length, 0)
}

/** Whether the services of all sessions are down. */
function isAllDown(entry: Entry<VisitorRules>): boolean {
  return entry.down.size > 0 && entry.down.size === sessionsOf(entry)
}

function routeOf(entry: Entry<VisitorRules>): LocalRoute | undefined {
  const sessions = sessionsOf(entry)
  const identity = entry.agents[0]?.sessions[0]?.identity
  if (identity === undefined) return undefined
  const isTcp = entry.tcp.size === sessions
  return {
    identity,
    kind: isTcp ? 'tcp' : entry.tcp.size === 0 ? 'http' : undefined,
    sessions,
    exclusive: entry.exclusive.size > 0,
    peer: [...entry.exclusive][0]?.peer,
    reuse: entry.reuse,
    strictness: entry.strict.size > 0 ? 'strict' : undefined,
    rules: formatRouteRules(entry.ruleTexts.values()),
    limits: formatRouteLimits(entry.limits.values()),
    agents: entry.balance === 'cookie' ? agentsOf(entry) : undefined,
    isDown: isAllDown(entry),
    epoch: entry.epoch,
  }
}

function keyOf(agent: Agent, endpoint: Endpoint): string {
  agent.key ??= agentKeyOf(endpoint, agent.peer)
  return agent.key
}

/** The agents of an endpoint for other nodes: those that it would choose itself for an HTTP request. */
function agentsOf(entry: Entry<VisitorRules>): string | undefined {
  const { endpoint, agents, tcp, tcpOrDown } = entry
  const without = isAllDown(entry) ? tcp : tcpOrDown
  const up = agents.filter(({ sessions }) => sessions.some((one) => !without.has(one)))
  return formatAgents(up.map((agent) => ({ key: keyOf(agent, endpoint), weight: agent.weight })))
}

/** Tells the agents of an endpoint but `peer` that it came or left. */
function tellOthers({ endpoint, agents }: Entry<VisitorRules>, peer: string): void {
  if (agents.length > MAX_TOLD_AGENTS) return
  for (const agent of agents) {
    if (agent.peer === peer) continue
    for (const session of agent.sessions) session.agentsChanged?.(endpoint)
  }
}

function settleBalance(entry: Entry<VisitorRules>): void {
  const [first] = entry.agents
  const isEven = entry.agents.every(({ weight }) => weight === first?.weight)
  entry.isPlain = entry.balance === 'round-robin' && isEven
}

/** The session of the agent that is chosen by weight, load or visitor. */
function balanced(
  { agents, balance, endpoint }: Entry<VisitorRules>,
  except: ReadonlySet<Upstream> | undefined,
  suspect: boolean,
  without: ReadonlySet<Upstream> | undefined,
  visitor: string | undefined,
  kept: Upstream | undefined,
): Upstream | undefined {
  const candidates = agents.flatMap((agent) => {
    const isFree = agent.sessions.some((one) => isTakeable(one, except, suspect, without))
    if (!isFree) return []
    const openStreams = agent.sessions.reduce((sum, one) => sum + one.openStreams, 0)
    const { peer, weight, credit } = agent
    const key = balance === 'cookie' ? keyOf(agent, endpoint) : undefined
    return [{ agent, peer, key, weight, credit, openStreams }]
  })
  const chosen = choose(candidates, balance, visitor)
  for (const { agent, credit } of candidates) agent.credit = credit
  return chosen && leastLoaded(chosen.agent, except, suspect, without, kept)
}

function isTakeable(
  one: Upstream,
  except: ReadonlySet<Upstream> | undefined,
  suspect: boolean,
  without: ReadonlySet<Upstream> | undefined,
): boolean {
  if (one.leaving.aborted || one.suspect !== suspect) return false
  return except?.has(one) !== true && without?.has(one) !== true
}

/** The next agent's session, in neither of the sets; of suspects only when they are asked for. */
function next(
  entry: Entry<VisitorRules>,
  except: ReadonlySet<Upstream> | undefined,
  suspect: boolean,
  without?: ReadonlySet<Upstream>,
  visitor?: string,
  kept?: Upstream,
): Upstream | undefined {
  if (!entry.isPlain) return balanced(entry, except, suspect, without, visitor, kept)
  const { agents } = entry
  for (let turn = 0; turn < agents.length; turn++) {
    const at = (entry.next + turn) % agents.length
    const agent = agents[at]
    const upstream =
      agent === undefined ? undefined : leastLoaded(agent, except, suspect, without, kept)
    if (upstream !== undefined) {
      entry.next = (at + 1) % agents.length
      return upstream
    }
  }
  return undefined
}

/** Of the agent's sessions without bulk, if there are some: the kept one, or that with the fewest streams. */
function leastLoaded(
  agent: Agent,
  except: ReadonlySet<Upstream> | undefined,
  suspect: boolean,
  without: ReadonlySet<Upstream> | undefined,
  kept?: Upstream,
): Upstream | undefined {
  const { sessions } = agent
  const { length } = sessions
  let best: Upstream | undefined
  let bestAt = 0
  let hasBulk = false
  // Begins behind the session that was picked last, so that equal ones take turns.
  for (let turn = 0; turn < length; turn++) {
    const at = (agent.next + turn) % length
    const one = sessions[at]
    if (one === undefined || !isTakeable(one, except, suspect, without)) continue
    const isBulk = one.carriesBulk === true
    if (one === kept && !isBulk) return one
    const isBetter = isBulk === hasBulk ? isLess(one, best, kept) : hasBulk
    if (best === undefined || isBetter) {
      best = one
      bestAt = at
      hasBulk = isBulk
    }
  }
  if (best !== undefined && best !== kept) agent.next = (bestAt + 1) % length
  return best
}

function isLess(one: Upstream, best: Upstream | undefined, kept: Upstream | undefined): boolean {
  if (best === undefined || best === kept) return false
  return one === kept || one.openStreams < best.openStreams
}
