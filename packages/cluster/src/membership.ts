// Length: claims, the writer and the follower of a node share its state; the parts with a state of their own are files.
import { EventEmitter } from 'node:events'

import type {
  Endpoint,
  NameClaims,
  NameConflict,
  NameLease,
  NameRejection,
  Upstream,
} from '@proj/tunnel/server'

import type { Clock } from './clock.ts'
import {
  type Engine,
  MAX_NODE_ID_BYTES,
  MAX_RULES_BYTES,
  MAX_TEXT_BYTES,
  type NameHolder,
  type PutAnswer,
  textProblem,
  type WriteBatch,
} from './engine/engine.ts'
import { ClusterError, isClusterError } from './errors.ts'
import { Follower } from './follower.ts'
import type { ClusterNode, NodeLoad, RouteFacts } from './model.ts'
import {
  type MembershipOptions,
  type ResolvedMembershipOptions,
  resolveMembershipOptions,
} from './options.ts'
import {
  type AnnouncedFacts,
  type HeldName,
  type OwnName,
  OwnNames,
  putOf,
  type WaitingClaim,
} from './own-names.ts'
import { ClusterTable } from './table/cluster-table.ts'
import { Wake } from './wake.ts'

/**
 * `joining`: it has not joined yet. `joined`: its lease is renewed and all of its routes are stored. `away`: the
 * database does not answer; the node keeps what it has. `replaced`: another process has joined with its id.
 * `closed`: it was closed, or cannot use the database at all. The last two are final.
 */
export type MembershipState = 'joining' | 'joined' | 'away' | 'replaced' | 'closed'

/** Events of a membership. */
export interface MembershipEvents {
  /** Another identity has a name that was granted here: its sessions have to end. */
  lost: [endpoint: Endpoint, holder: { readonly identity: string; readonly since: number }]
  /** The state changed. */
  state: [state: MembershipState]
  /** A failure that is tried again, or that ended the membership; the same one is reported once in a row. */
  problem: [error: ClusterError]
}

/** A claim of a name. */
export interface ClusterClaim {
  readonly endpoint: Endpoint
  readonly identity: string
  /** The session that asks; its agent matters where it wants to be the only one. */
  readonly session?: Upstream
  /** Whether the agent wants to be the only one. Default: false. */
  readonly isExclusive?: boolean
  /** Whether the name is reserved for the identity, which then takes it from any other. Default: false. */
  readonly isReserved?: boolean
}

/** What comes of a claim. */
export type ClaimAnswer = NameLease | NameConflict | NameRejection

/** What a node does to be found and to find others; see the README. */
export class Membership extends EventEmitter<MembershipEvents> implements NameClaims {
  /** What all other nodes serve. */
  readonly table: ClusterTable = new ClusterTable()
  readonly #engine: Engine
  readonly #options: ResolvedMembershipOptions
  readonly #clock: Clock
  readonly #own: OwnNames
  readonly #follower: Follower
  readonly #work: Wake
  readonly #opened: Wake
  /** Aborted when the loops are to end. */
  readonly #closing = new AbortController()
  readonly #started = new StartedMembership()
  #self: ClusterNode
  #state: MembershipState = 'joining'
  #loops: Promise<unknown> | undefined
  #isClosed = false
  #lastProblem: string | undefined
  // --- the writer
  #head = 0
  #replaces: string | undefined
  #otherBeat: number | undefined
  #beat = 0
  #isOpen = false
  #hasRow = false
  #checkAt = 0
  #removeUpTo = 0
  #renewAt = 0
  #renewedAt = -Infinity
  #renewsSince = Infinity
  #epochFloor = 0
  #batchAt = Infinity
  #flushedAt = -Infinity
  #hintAt = -Infinity
  #isHinting = false

  /**
   * @param engine - of this node alone; it is closed with the membership.
   * @param self - this node; its boot is new for each start.
   */
  constructor(engine: Engine, self: ClusterNode, options: MembershipOptions = {}) {
    super()
    const problem = textProblem(self.id, MAX_NODE_ID_BYTES)
    if (problem !== undefined || self.id === '') {
      throw new ClusterError('CLUSTER_OPTION_INVALID', problem ?? 'is empty', { option: 'id' })
    }
    this.#engine = engine
    this.#self = self
    this.#options = resolveMembershipOptions(options)
    this.#clock = this.#options.clock
    this.#own = new OwnNames(this.#options.maxRecent)
    this.#work = new Wake(this.#clock)
    this.#opened = new Wake(this.#clock)
    this.#follower = new Follower(engine, this.table, this.#options, {
      selfId: self.id,
      renewsSince: () => this.#renewsSince,
      onRoute: (endpoint, facts, epoch) => this.#onRoute(endpoint, facts, epoch),
      onProblem: (error) => this.#report(error),
    })
  }

  /** Its state now; each change is an event. */
  get state(): MembershipState {
    return this.#state
  }

  /** This node, as the others see it. */
  get self(): ClusterNode {
    return this.#self
  }

  /** Names that this node has or claims. */
  get ownNames(): number {
    return this.#own.size
  }

  /** Names that this node has, or had a short time ago: for the process that is this node after this one. */
  held(): readonly HeldName[] {
    // What others have taken since is known here alone: the process after this one begins with an empty table.
    return this.#own.held().filter(({ endpoint, identity }) => {
      const routes = this.table.routes(endpoint)
      return routes.every((one) => one.identity === identity && !one.exclusive)
    })
  }

  /**
   * Takes the names of the process that was this node before: while the database is away, their identities get them
   * again. Others may have taken them since, so only a process that follows it at once does so.
   */
  inherit(names: Iterable<HeldName>): void {
    for (const one of names) this.#own.remember(one)
  }

  /** Names whose row is still to be stored or removed. */
  get unwritten(): number {
    return this.#own.dirty.size + this.#own.removed.size
  }

  /** Time since the lease was renewed last, ms; Infinity before the first time. */
  get leaseAgeMs(): number {
    return this.#clock.now() - this.#renewedAt
  }

  /** Time since the other nodes were read last, ms; Infinity before the first time. */
  get readAgeMs(): number {
    return this.#clock.now() - this.#follower.readAt
  }

  /**
   * Joins, and goes on by itself from then on, also while the database is away.
   *
   * @returns when the node has joined and read the others. A server does not have to wait for it.
   * @throws {ClusterError} CLUSTER_SCHEMA_NEWER, CLUSTER_DATABASE_TOO_OLD, CLUSTER_NODE_REPLACED; the reason of the
   *   signal, which ends the wait and not the membership.
   */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { signal: closing } = this.#closing
    if (this.#loops === undefined && !closing.aborted) {
      this.#loops = Promise.all([this.#write(closing), this.#follow(closing), this.#watch(closing)])
    }
    await this.#started.wait(signal)
  }

  /**
   * Claims a name for an identity. The one that has it gets it again at once, on any node.
   *
   * While the database is away, an identity gets the names that it had here or has on another node; other claims
   * are unavailable.
   *
   * @throws {ClusterError} CLUSTER_ROUTE_INVALID; the reason of the signal.
   */
  async take(claim: ClusterClaim, signal: AbortSignal): Promise<ClaimAnswer> {
    signal.throwIfAborted()
    const { endpoint, identity, session, isExclusive = false, isReserved = false } = claim
    const peer = isExclusive ? (session?.peer ?? '') : undefined
    checkText('tenant', endpoint.tenant, MAX_TEXT_BYTES)
    checkText('name', endpoint.name, MAX_TEXT_BYTES)
    checkText('identity', identity, MAX_TEXT_BYTES)
    if (peer !== undefined) checkText('peer', peer, MAX_TEXT_BYTES)
    const known = this.#own.get(endpoint)
    if (known !== undefined && known.identity !== identity && !isReserved) {
      if (known.leases + known.waiting.size > 0) return this.#conflict(known.identity, known.since)
    }
    const isSame = known !== undefined && known.identity === identity
    if (isSame && known.epoch > 0 && known.peer === peer) return this.#lease(known)
    // The table knows a holder that a database which was emptied has forgotten.
    const [route] = this.table.routes(endpoint)
    if (route !== undefined && route.identity !== identity && !isReserved) {
      return this.#conflict(route.identity)
    }
    if (this.#own.waiting >= this.#options.maxWaitingClaims) return this.#unavailable()
    const isAway = this.#state !== 'joined' && this.#state !== 'joining'
    if (isAway && !isSame) {
      const epoch = this.#heldEpoch(endpoint, identity, peer)
      if (epoch === undefined) return this.#unavailable()
      const own = this.#own.add(endpoint, identity)
      Object.assign(own, { epoch, peer, isReserved, since: this.#clock.date() })
      return this.#lease(own)
    }
    const own = isSame ? known : this.#own.add(endpoint, identity)
    own.peer = peer
    own.isReserved ||= isReserved
    return await this.#wait(own, signal)
  }

  /**
   * Tells the others what the sessions of this node say of an endpoint that was granted to it; undefined: none of
   * them serves it now. Until then the others see a name that is taken, and send no visitors.
   *
   * @param facts - of another identity than the one that has the name: ignored.
   * @throws {ClusterError} CLUSTER_ROUTE_INVALID: the rules cannot be stored.
   */
  announce(
    endpoint: Endpoint,
    facts: (AnnouncedFacts & { readonly identity?: string }) | undefined,
  ): void {
    const known = this.#own.get(endpoint)
    const identity = facts?.identity ?? known?.identity
    const own = known?.identity === identity ? known : known?.previous
    if (own === undefined || own.identity !== identity) return
    if (facts?.rules !== undefined) checkText('rules', facts.rules, MAX_RULES_BYTES)
    own.facts = facts
    if (known !== own) return
    this.#own.dirty.add(own)
    this.#hasWork()
  }

  /** Changes what the others know of this node; its load goes out with the next renewal. */
  update(change: { readonly isLeaving?: boolean; readonly load?: NodeLoad }): void {
    const isUrgent = change.isLeaving !== undefined && change.isLeaving !== this.#self.isLeaving
    this.#self = { ...this.#self, ...change }
    if (!isUrgent) return
    this.#renewAt = 0
    this.#hasWork()
  }

  /** Leaves: the others forget this node at once. Waits at most as long as a claim would. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const wasJoined = this.#state === 'joined'
    if (this.#state !== 'replaced') this.#become('closed')
    const closed = new ClusterError('CLUSTER_CLOSED')
    this.#started.fail(closed)
    this.#closing.abort(closed)
    await this.#loops
    if (wasJoined) await this.#leave()
    await this.#engine.close()
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // --- claims

  #lease(own: OwnName): NameLease {
    own.leases += 1
    let isReleased = false
    return {
      epoch: own.epoch,
      release: () => {
        if (isReleased) return
        isReleased = true
        own.leases -= 1
        this.#dropUnused(own)
      },
    }
  }

  #dropUnused(own: OwnName): void {
    if (own.leases > 0 || own.waiting.size > 0 || !this.#own.has(own)) return
    this.#own.drop(own)
    this.#hasWork()
  }

  async #wait(own: OwnName, signal: AbortSignal): Promise<ClaimAnswer> {
    this.#own.dirty.add(own)
    this.#hasWork()
    this.#own.waiting += 1
    try {
      return await new Promise<ClaimAnswer>((resolve, reject) => {
        const end = (settle: () => void): void => {
          cancel()
          signal.removeEventListener('abort', onAbort)
          own.waiting.delete(waiting)
          settle()
        }
        const onAbort = (): void => {
          end(() => reject(signal.reason))
          this.#dropUnused(own)
        }
        const cancel = this.#clock.after(this.#options.claimWaitMs, () => {
          end(() => resolve(this.#answerAway(own)))
        })
        const waiting: WaitingClaim = {
          grant: (granted) => {
            end(() => resolve(this.#lease(granted)))
          },
          refuse: (identity, since, isExclusive) => {
            end(() => resolve(this.#conflict(identity, since, isExclusive)))
          },
        }
        own.waiting.add(waiting)
        signal.addEventListener('abort', onAbort, { once: true })
      })
    } finally {
      this.#own.waiting -= 1
    }
  }

  /** The answer to a claim that the database did not decide in time. */
  #answerAway(own: OwnName): ClaimAnswer {
    const { endpoint, identity, peer } = own
    const epoch = own.epoch > 0 ? own.epoch : this.#heldEpoch(endpoint, identity, peer)
    if (epoch !== undefined && this.#own.has(own)) {
      own.epoch = epoch
      own.previous = undefined
      if (own.since === 0) own.since = this.#clock.date()
      return this.#lease(own)
    }
    this.#dropUnused(own)
    return this.#unavailable()
  }

  /** The epoch under which an identity has a name, as far as it is known without the database. */
  #heldEpoch(endpoint: Endpoint, identity: string, peer: string | undefined): number | undefined {
    const routes = this.table.routes(endpoint)
    const [route] = routes
    if (route === undefined) {
      const recent = this.#own.recent(endpoint)
      return recent?.identity === identity ? recent.epoch : undefined
    }
    const hasRival = routes.some(
      (one) => (one.exclusive || peer !== undefined) && one.peer !== peer,
    )
    return route.identity === identity && !hasRival ? route.epoch : undefined
  }

  #conflict(
    identity: string,
    since: number = this.#clock.date(),
    isExclusive: boolean = false,
  ): NameConflict {
    const { nameRetryAfterMs: retryAfterMs } = this.#options
    const conflict = { holder: 'session', identity, since, retryAfterMs } as const
    return isExclusive ? { ...conflict, isExclusive } : conflict
  }

  #unavailable(): NameRejection {
    const { awayRetryAfterMs } = this.#options
    const retryAfterMs = Math.round(awayRetryAfterMs * (1 + 2 * this.#clock.random()))
    return {
      code: 'unavailable',
      message: 'the database of the cluster does not answer',
      retryAfterMs,
    }
  }

  #onRoute(endpoint: Endpoint, { identity }: RouteFacts, epoch: number): void {
    this.#epochFloor = Math.max(this.#epochFloor, epoch)
    const own = this.#own.get(endpoint)
    if (own === undefined || own.epoch === 0) return
    const isSame = own.identity === identity
    if (isSame && own.epoch >= epoch) return
    if (!isSame && own.epoch < epoch) {
      this.#lose(own, { identity, since: this.#clock.date(), isExclusive: false })
      return
    }
    this.#own.dirty.add(own) // the database decides
    this.#hasWork()
  }

  #lose(own: OwnName, { identity, since, isExclusive }: NameHolder): void {
    const hadLeases = own.leases > 0
    for (const waiting of own.waiting) waiting.refuse(identity, since, isExclusive)
    own.epoch = 0 // it is nothing to come back to
    this.#own.drop(own)
    this.#hasWork()
    if (hadLeases) this.emit('lost', own.endpoint, { identity, since })
  }

  // --- the writer

  async #write(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      try {
        await this.#writeNext(signal)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        this.#hasRow = false
        // a database that answers with an error may have lost its tables
        if (isClusterError(error, 'CLUSTER_DATABASE_FAILED')) this.#isOpen = false
        this.#renewsSince = Infinity
        this.#report(error)
        if (isClusterError(error) && !error.retryable) {
          this.#become(error.code === 'CLUSTER_NODE_REPLACED' ? 'replaced' : 'closed')
          this.#started.fail(error)
          this.#closing.abort(error)
          return
        }
        this.#become('away')
        await this.#pause(failures, signal)
        failures += 1
      }
    }
  }

  async #writeNext(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    if (!this.#isOpen) await this.#engine.open({ signal })
    if (!this.#isOpen) this.#opened.set()
    this.#isOpen = true
    if (!this.#hasRow || clock.now() >= this.#checkAt) await this.#join(signal)
    const dueAt = Math.min(this.#renewAt, this.#checkAt, this.#batchAt)
    if (this.#state === 'joined' && dueAt > clock.now()) {
      await this.#work.wait(dueAt - clock.now(), signal)
      if (signal.aborted || Math.min(this.#renewAt, this.#batchAt) > clock.now()) return
    }
    await this.#flush(signal)
  }

  async #join(signal: AbortSignal): Promise<void> {
    const { leaseMs, assertMs, removalsMs, forgetMs, maxPuts: limit, clock } = this.#options
    const request = { node: this.#self, head: this.#head, leaseMs, replaces: this.#replaces }
    const answer = await this.#engine.join(request, { signal })
    if (answer.isReplaced) {
      const isAlive = this.#otherBeat !== undefined && answer.beat !== this.#otherBeat
      this.#otherBeat = answer.beat
      if (isAlive) throw new ClusterError('CLUSTER_NODE_REPLACED', this.#self.id)
      throw new ClusterError('CLUSTER_NODE_ID_TAKEN', this.#self.id)
    }
    this.#otherBeat = undefined
    this.#replaces ??= answer.previousBoot ?? this.#self.boot
    const own = this.#own.digest()
    const isWhole = own.count === answer.digest.count && own.versions === answer.digest.versions
    if (!isWhole || answer.head !== this.#head) {
      this.#own.dirtyAll()
      this.#removeUpTo = answer.head
    }
    this.#head = answer.head
    if (this.#hasRow) {
      await this.#engine.sweep({ node: this.#self, removalsMs, forgetMs, limit }, { signal })
    } else this.#renewAt = 0
    this.#hasRow = true
    this.#checkAt = clock.now() + assertMs
  }

  async #flush(signal: AbortSignal): Promise<void> {
    const { clock, leaseMs, maxPuts } = this.#options
    this.#batchAt = Infinity
    this.#flushedAt = clock.now()
    // A name is not taken from a node that seems dead before it is known who lives.
    const isReady = this.#follower.readAt > -Infinity
    const names: OwnName[] = []
    let isSettled = true
    for (const own of this.#own.dirty) {
      if (own.epoch === 0 && !isReady) continue
      isSettled = names.length < maxPuts
      if (!isSettled) break
      names.push(own)
    }
    const removes = firstOf(this.#own.removed.values(), maxPuts)
    const batch: WriteBatch = {
      node: this.#self,
      head: this.#head,
      leaseMs,
      beat: (this.#beat += 1),
      puts: names.map(putOf),
      removes,
      removeUpTo: isSettled ? this.#removeUpTo : 0,
      isSettled,
      alive: this.#follower.alive(),
      epochFloor: this.#epochFloor,
    }
    for (const own of names) this.#own.dirty.delete(own)
    const startedAt = clock.now()
    const answer = await this.#engine.write(batch, { signal }).catch((error: unknown) => {
      for (const own of names) if (this.#own.has(own)) this.#own.dirty.add(own)
      throw error
    })
    if (!answer.isDone) {
      for (const own of names) if (this.#own.has(own)) this.#own.dirty.add(own)
      this.#hasRow = false
      return
    }
    // A name that is claimed and has no session yet is nothing to tell: the hint that its session needs would wait.
    const isTold = batch.puts.some(
      ({ facts }, at) => facts.sessions > 0 || names[at]?.version !== 0,
    )
    const isShorter = answer.head > this.#head + batch.puts.length
    const hasChanged = isTold || isShorter || !this.#isRenewed() || batch.node.isLeaving
    this.#renewed(startedAt, answer.wasLapsed)
    for (const endpoint of removes) this.#own.removed.delete(endpoint)
    for (const [index, own] of names.entries()) {
      const put = answer.puts[index]
      if (put !== undefined) this.#settle(own, put, this.#head + 1 + index)
      else if (this.#own.has(own)) this.#own.dirty.add(own)
    }
    this.#head = answer.head
    if (isSettled) this.#removeUpTo = 0
    if (this.#own.dirty.size > 0 || this.#own.removed.size > 0) this.#hasWork()
    if (isSettled) this.#become('joined')
    if (isReady && isSettled) this.#started.resolve()
    if (hasChanged) this.#hint()
  }

  #isRenewed(): boolean {
    return this.#renewsSince !== Infinity
  }

  #renewed(startedAt: number, wasLapsed: boolean): void {
    const { clock, leaseMs } = this.#options
    const at = clock.now()
    if (this.#renewsSince === Infinity || at - this.#renewedAt > leaseMs) this.#renewsSince = at
    const isAgain = this.#renewedAt > -Infinity
    this.#renewedAt = startedAt
    this.#renewAt = startedAt + Math.floor(leaseMs / 3)
    this.#lastProblem = undefined
    // While the lease was over, others may have taken names: compare now.
    if (wasLapsed && isAgain) this.#checkAt = Math.min(this.#checkAt, at)
  }

  #settle(own: OwnName, answer: PutAnswer, version: number): void {
    const isCurrent = this.#own.has(own)
    if (!('identity' in answer)) {
      if (!isCurrent) return // what came in its place is written next
      this.#epochFloor = Math.max(this.#epochFloor, answer.epoch)
      if (own.since === 0) own.since = this.#clock.date()
      own.epoch = answer.epoch
      own.version = version
      own.previous = undefined
      for (const waiting of own.waiting) waiting.grant(own)
      this.#dropUnused(own)
      return
    }
    if (isCurrent) this.#lose(own, answer)
  }

  #hasWork(): void {
    // The first change after a pause goes out at once, those that follow together.
    const nextAt = Math.max(this.#clock.now(), this.#flushedAt + this.#options.batchMs)
    this.#batchAt = Math.min(this.#batchAt, nextAt)
    this.#work.set()
  }

  #hint(): void {
    if (this.#isHinting) return
    this.#isHinting = true
    const waitMs = Math.max(0, this.#hintAt + this.#options.hintMs - this.#clock.now())
    const { signal } = this.#closing
    const send = (): void => {
      this.#isHinting = false
      if (signal.aborted) return
      this.#hintAt = this.#clock.now()
      // the others read without it, a little later
      this.#engine.hint(this.#self.id, { signal }).catch(() => {})
    }
    if (waitMs === 0) send()
    else this.#clock.after(waitMs, send)
  }

  async #leave(): Promise<void> {
    const over = new AbortController()
    const cancel = this.#clock.after(this.#options.claimWaitMs, () => over.abort())
    const options = { signal: over.signal }
    try {
      await this.#engine.leave(this.#self, options)
      await this.#engine.hint(this.#self.id, options)
    } catch {
      // its lease will be over soon
    } finally {
      cancel()
    }
  }

  // --- reading

  async #follow(signal: AbortSignal): Promise<void> {
    let failures = 0
    let isFirst = true
    await this.#opened.wait(Infinity, signal)
    while (!signal.aborted) {
      try {
        if (isFirst) await this.#follower.readAll(signal)
        else await this.#follower.readNext(signal)
        if (isFirst) this.#hasWork()
        isFirst = false
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        this.#report(error)
        await this.#pause(failures, signal)
        failures += 1
      }
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      const startedAt = this.#clock.now()
      try {
        if (this.#isOpen) await this.#engine.watch((id) => this.#follower.hint(id), { signal })
      } catch {
        // polling goes on; the writer reports what is wrong with the database
      }
      if (this.#clock.now() - startedAt > this.#options.retryMaxMs) failures = 0
      await this.#pause(failures, signal)
      failures += 1
    }
  }

  async #pause(failures: number, signal: AbortSignal): Promise<void> {
    const { retryMinMs, retryMaxMs, clock } = this.#options
    const ceiling = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(failures, 20))
    const ms = retryMinMs + clock.random() * Math.max(0, ceiling - retryMinMs)
    await new Wake(clock).wait(Math.ceil(ms), signal)
  }

  #become(state: MembershipState): void {
    if (this.#state === state) return
    this.#state = state
    this.emit('state', state)
  }

  #report(error: unknown): void {
    const problem = isClusterError(error) ? error : new ClusterError('CLUSTER_DATABASE_FAILED')
    if (problem.message === this.#lastProblem) return
    this.#lastProblem = problem.message
    this.emit('problem', problem)
  }
}

/** Whether a membership has begun, to wait for. */
class StartedMembership {
  readonly #ended = new AbortController()
  #isStarted = false
  #waiting = new Set<() => void>()

  resolve(): void {
    this.#isStarted = true
    for (const end of this.#waiting) end()
  }

  fail(error: ClusterError): void {
    this.#ended.abort(error)
    for (const end of this.#waiting) end()
  }

  async wait(signal: AbortSignal): Promise<void> {
    const { signal: ended } = this.#ended
    if (!this.#isStarted && !ended.aborted && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = (): void => {
          this.#waiting.delete(end)
          signal.removeEventListener('abort', end)
          resolve()
        }
        this.#waiting.add(end)
        signal.addEventListener('abort', end, { once: true })
      })
    }
    if (this.#isStarted) return
    ended.throwIfAborted()
    signal.throwIfAborted()
  }
}

/** The first values, at most `limit`. */
function firstOf<T>(all: Iterable<T>, limit: number): T[] {
  const taken: T[] = []
  for (const one of all) {
    if (taken.length >= limit) break
    taken.push(one)
  }
  return taken
}

function checkText(what: string, text: string, maxBytes: number): void {
  const problem = textProblem(text, maxBytes)
  if (problem !== undefined) throw new ClusterError('CLUSTER_ROUTE_INVALID', `${what} ${problem}`)
}
