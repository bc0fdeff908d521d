// A cluster in one process with a clock, a network and a database that fail as a seed says.
// Length: the faults, the agents and the invariants of one world.
import type { Endpoint } from '@proj/tunnel/server'

import type { Clock } from '../../src/clock.ts'
import type { Engine, EngineCallOptions } from '../../src/engine/engine.ts'
import { MemoryDatabase, MemoryEngine } from '../../src/engine/memory-engine.ts'
import { MemoryRoutes } from '../../src/engine/memory-routes.ts'
import { ClusterError } from '../../src/errors.ts'
import { Membership } from '../../src/membership.ts'
import type { MembershipOptions } from '../../src/options.ts'
import { named, nodeOf, PLAIN } from '../nodes.ts'
import { settled, VirtualClock } from './virtual-clock.ts'

/** Short, so that a seed has few steps; their ratios are those of the defaults. */
const OPTIONS: MembershipOptions = {
  leaseMs: 1_000,
  pollMs: 200,
  batchMs: 20,
  hintMs: 60,
  assertMs: 900,
  retryMinMs: 30,
  retryMaxMs: 150,
  claimWaitMs: 250,
  removalsMs: 1_000,
  forgetMs: 3_000,
  maxPuts: 4,
  pageRows: 2,
}
const LEASE_MS = 1_000
const TIMEOUT_MS = 300
const LATENCY_MS = 12

/** Long enough for nodes that are dead to be judged, and for the rest to be told. */
const QUIET_MS = 3_500

const IDENTITIES = ['ann', 'bob', 'cat']
const NAMES = ['n0', 'n1', 'n2', 'n3', 'n4'].map(named)

/** What a seed may do. `database`: the database fails, and no agent, node or write is lost. */
export type World = 'all' | 'database'

/** The database of a simulation: it can be away, and lose what was written last. */
class SimulatedDatabase {
  readonly memory: MemoryDatabase
  state: 'up' | 'frozen' | 'down' | 'read-only' = 'up'
  /** What its clock is ahead of the real time, ms. */
  aheadMs = 0
  #saved: (() => void) | undefined

  constructor(clock: Clock) {
    this.memory = new MemoryDatabase(() => clock.date() + this.aheadMs)
  }

  backUp(): void {
    const nodes = [...this.memory.nodes].map(([id, stored]) => {
      const routes = [...stored.routes.values()]
      return [id, { ...stored }, routes] as const
    })
    const names = [...this.memory.names.entries()].map(([endpoint, name]) => {
      return [endpoint, { ...name }] as const
    })
    this.#saved = () => {
      this.memory.clear()
      for (const [id, stored, routes] of nodes) {
        const copy = { ...stored, routes: new MemoryRoutes() }
        for (const route of routes) copy.routes.set(route)
        this.memory.nodes.set(id, copy)
      }
      for (const [endpoint, name] of names) this.memory.names.set(endpoint, { ...name })
    }
  }

  restore(): void {
    this.#saved?.()
  }
}

/** The way of one node to the database. */
class SimulatedEngine implements Engine {
  way: 'open' | 'cut' | 'hang' | 'dead' = 'open'
  readonly #engine: Engine
  readonly #database: SimulatedDatabase
  readonly #clock: Clock
  readonly #lossy: () => boolean

  constructor(database: SimulatedDatabase, clock: Clock, lossy: () => boolean) {
    this.#engine = new MemoryEngine(database.memory)
    this.#database = database
    this.#clock = clock
    this.#lossy = lossy
  }

  open: Engine['open'] = (options) => this.#call(options, () => this.#engine.open(options))
  join: Engine['join'] = (request, options) =>
    this.#call(options, () => this.#engine.join(request, options), true)
  write: Engine['write'] = (batch, options) =>
    this.#call(options, () => this.#engine.write(batch, options), true)
  nodes: Engine['nodes'] = (options) => this.#call(options, () => this.#engine.nodes(options))
  changes: Engine['changes'] = (query, options) =>
    this.#call(options, () => this.#engine.changes(query, options))
  leave: Engine['leave'] = (node, options) =>
    this.#call(options, () => this.#engine.leave(node, options), true)
  sweep: Engine['sweep'] = (request, options) =>
    this.#call(options, () => this.#engine.sweep(request, options), true)
  hint: Engine['hint'] = (id, options) => this.#call(options, () => this.#engine.hint(id, options))
  watch: Engine['watch'] = (onHint, options) =>
    this.#engine.watch((id) => {
      if (this.way !== 'open') return
      this.#clock.after(LATENCY_MS * this.#clock.random(), () => onHint(id))
    }, options)
  close: Engine['close'] = () => this.#engine.close()

  async #call<T>(
    { signal }: EngineCallOptions,
    call: () => Promise<T>,
    isWrite: boolean = false,
  ): Promise<T> {
    const startedAt = this.#clock.now()
    await this.#wait(LATENCY_MS * this.#clock.random(), signal)
    while (this.way === 'hang' || (this.#database.state === 'frozen' && this.way === 'open')) {
      await this.#wait(20, signal)
      if (this.#clock.now() - startedAt >= TIMEOUT_MS) throw unreachable()
    }
    if (this.way !== 'open' || this.#database.state === 'down') throw unreachable()
    const { state } = this.#database
    if (isWrite && state === 'read-only') throw new ClusterError('CLUSTER_DATABASE_READ_ONLY')
    if (this.#lossy()) throw unreachable()
    const answer = await call()
    // the write is done, and its writer does not know
    if (this.#lossy()) throw unreachable()
    return answer
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#clock.after(ms, () => {
        signal.removeEventListener('abort', end)
        resolve()
      })
      const end = (): void => {
        cancel()
        reject(signal.reason)
      }
      if (signal.aborted) end()
      else signal.addEventListener('abort', end, { once: true })
    })
  }
}

function unreachable(): ClusterError {
  return new ClusterError('CLUSTER_DATABASE_UNREACHABLE')
}

interface Served {
  readonly endpoint: Endpoint
  readonly identity: string
  release: () => void
}

/** A node of the simulation, with its agents. */
class SimulatedNode {
  readonly engine: SimulatedEngine
  readonly membership: Membership
  readonly served = new Set<Served>()
  frozenUntil = 0

  constructor(
    id: string,
    boot: number,
    database: SimulatedDatabase,
    clock: Clock,
    lossy: () => boolean,
  ) {
    const own: Clock = {
      now: () => clock.now(),
      date: () => clock.date(),
      random: () => clock.random(),
      after: (ms, run) => {
        let cancel = clock.after(ms, () => {
          const waitMs = this.frozenUntil - clock.now()
          if (waitMs > 0) cancel = own.after(waitMs, run)
          else run()
        })
        return () => cancel()
      },
    }
    this.engine = new SimulatedEngine(database, own, lossy)
    this.membership = new Membership(this.engine, nodeOf(id, `${id}-${boot}`), {
      ...OPTIONS,
      clock: own,
    })
    this.membership.on('lost', (endpoint) => this.end(endpoint))
  }

  /** Ends all sessions of an endpoint. */
  end(endpoint: Endpoint): void {
    for (const one of this.served) {
      if (one.endpoint.name !== endpoint.name) continue
      this.served.delete(one)
      one.release()
    }
  }

  /** What it serves: name, and identity. */
  holds(): Map<string, string> {
    return new Map([...this.served].map(({ endpoint, identity }) => [endpoint.name, identity]))
  }
}

/** One run. */
export class SimulatedCluster {
  readonly #clock: VirtualClock
  readonly #database: SimulatedDatabase
  readonly #nodes = new Map<string, SimulatedNode>()
  readonly #over = new AbortController()
  readonly #world: World
  readonly #holders = new Map<string, string>()
  readonly #trace: string[] = []
  #boots = 0
  #pendingClaims = 0
  #lossRate = 0
  #isChecking = false
  /** Names that may have two holders for a moment: they were reserved, or their holder was forgotten. */
  readonly #contested = new Set<string>()
  #violation: string | undefined

  constructor(seed: number, world: World) {
    this.#clock = new VirtualClock(seed)
    this.#database = new SimulatedDatabase(this.#clock)
    this.#world = world
  }

  /** What happened, for a seed that fails. */
  get trace(): readonly string[] {
    return this.#trace
  }

  /**
   * Runs the seed.
   *
   * @throws {Error} an invariant does not hold.
   */
  async run(): Promise<void> {
    for (const id of ['a', 'b', 'c']) this.#start(id)
    await this.#clock.pass(200)
    for (let at = 0; at < 4; at++) this.#claim()
    await this.#clock.pass(250)
    this.#isChecking = this.#world === 'database'
    if (this.#isChecking) this.#watchRoutes()
    const steps = 3 + Math.floor(this.#clock.random() * 6)
    for (let step = 0; step < steps; step++) {
      this.#step()
      await this.#clock.pass(this.#clock.random() * 400)
    }
    this.#heal()
    // what was still to come of the faults
    await this.#clock.pass(200)
    const until = this.#clock.now() + QUIET_MS
    let wrong = this.#check()
    while (wrong !== undefined && this.#clock.now() < until) {
      await this.#clock.pass(200)
      wrong = this.#check()
    }
    if (wrong !== undefined) this.#violate(wrong)
    await this.#close()
    if (this.#violation !== undefined) throw new Error(this.#violation)
  }

  #step(): void {
    const all: readonly (() => void)[] = [
      () => this.#claim(),
      () => this.#claim(),
      () => this.#release(),
      () => this.#cut(),
      () => this.#freeze(),
      () => this.#kill(),
      () => this.#leave(),
      () => this.#lose(),
      () => this.#fail(),
      () => this.#restore(),
    ]
    const database: readonly (() => void)[] = [
      () => this.#claim(),
      () => this.#fail(),
      () => this.#fail(),
      () => this.#empty(),
      () => this.#setClock(),
    ]
    this.#pick(this.#world === 'all' ? [...all, ...database] : database)()
  }

  // --- agents

  #claim(): void {
    const node = this.#pick([...this.#nodes.values()])
    const endpoint = this.#pick(NAMES)
    // with one identity per name nothing is lost when the database forgets what was not seen yet
    const { name } = endpoint
    const identity = this.#world === 'all' ? this.#pick(IDENTITIES) : `owner of ${name}`
    const isReserved = this.#world === 'all' && this.#clock.random() < 0.1
    if (isReserved) this.#contested.add(name)
    this.#pendingClaims += 1
    const { id } = node.membership.self
    void node.membership
      .take({ endpoint, identity, isReserved }, this.#over.signal)
      .then((answer) => {
        this.#note(`${id} ${endpoint.name} ${identity}: ${'epoch' in answer ? answer.epoch : 'no'}`)
        if (!('release' in answer)) return
        this.#hold(endpoint, identity, answer.epoch)
        if (!isReserved) this.#checkGrant(endpoint, identity)
        // as the registry does for a name that is reserved for another
        const other = node.holds().get(endpoint.name)
        if (other !== undefined && other !== identity) node.end(endpoint)
        node.served.add({ endpoint, identity, release: () => answer.release() })
        node.membership.announce(endpoint, PLAIN)
      })
      .catch((error: unknown) => {
        if (!this.#over.signal.aborted) this.#violate(String(error))
      })
      .finally(() => {
        this.#pendingClaims -= 1
      })
  }

  /** A name is not taken from a node that renews its lease. */
  #checkGrant({ name }: Endpoint, identity: string): void {
    if (this.#contested.has(name)) return
    for (const [id, { membership, served }] of this.#nodes) {
      if (membership.leaseAgeMs > LEASE_MS / 2) continue
      for (const one of served) {
        if (one.endpoint.name !== name || one.identity === identity) continue
        this.#violate(`${identity} got ${name}, which ${one.identity} has on ${id}`)
      }
    }
  }

  #forget(): void {
    for (const { name } of NAMES) this.#contested.add(name)
  }

  /** Never two holders of one epoch. */
  #hold(endpoint: Endpoint, identity: string, epoch: number): void {
    const key = `${endpoint.name} ${epoch}`
    const holder = this.#holders.get(key)
    if (holder !== undefined && holder !== identity) {
      this.#violate(`${key} was given to ${holder} and to ${identity}`)
    }
    this.#holders.set(key, identity)
  }

  #release(): void {
    const node = this.#pick([...this.#nodes.values()])
    const [one] = node.served
    if (one === undefined) return
    node.served.delete(one)
    one.release()
    this.#note(`${node.membership.self.id} releases ${one.endpoint.name}`)
  }

  // --- faults

  #start(id: string): void {
    this.#boots += 1
    const lossy = (): boolean => this.#lossRate > 0 && this.#clock.random() < this.#lossRate
    const node = new SimulatedNode(id, this.#boots, this.#database, this.#clock, lossy)
    this.#nodes.set(id, node)
    void node.membership.start(this.#over.signal).catch(() => {})
    this.#note(`${id} starts as ${this.#boots}`)
  }

  #cut(): void {
    const node = this.#pick([...this.#nodes.values()])
    node.engine.way = this.#pick(['cut', 'hang'])
    this.#note(`${node.membership.self.id}: ${node.engine.way}`)
    this.#later(() => {
      if (node.engine.way !== 'dead') node.engine.way = 'open'
    })
  }

  #freeze(): void {
    const node = this.#pick([...this.#nodes.values()])
    node.frozenUntil = this.#clock.now() + this.#clock.random() * 2 * LEASE_MS
    this.#note(`${node.membership.self.id} is frozen`)
  }

  #kill(): void {
    const id = this.#pick([...this.#nodes.keys()])
    const node = this.#nodes.get(id)
    if (node === undefined) return
    node.engine.way = 'dead'
    node.membership.removeAllListeners()
    void node.membership.close()
    this.#note(`${id} is killed`)
    this.#start(id)
  }

  #leave(): void {
    const id = this.#pick([...this.#nodes.keys()])
    const node = this.#nodes.get(id)
    if (node === undefined) return
    this.#note(`${id} leaves`)
    void node.membership.close()
    this.#start(id)
  }

  #lose(): void {
    this.#lossRate = 0.2
    this.#note('calls are lost')
    this.#later(() => {
      this.#lossRate = 0
    })
  }

  #fail(): void {
    this.#database.state = this.#pick(['frozen', 'down', 'read-only'])
    this.#note(`the database is ${this.#database.state}`)
    this.#later(() => {
      this.#database.state = 'up'
    })
  }

  #empty(): void {
    this.#forget()
    this.#database.memory.clear()
    this.#note('the database is emptied')
  }

  #setClock(): void {
    this.#forget()
    this.#database.aheadMs = this.#pick([-3_600_000, 0, 3_600_000])
    this.#note(`the clock of the database is ${this.#database.aheadMs} ms ahead`)
  }

  #restore(): void {
    this.#database.backUp()
    this.#note('a backup is made')
    this.#later(() => {
      this.#note('the backup is restored')
      this.#forget()
      this.#database.restore()
    })
  }

  #later(run: () => void): void {
    this.#clock.after(this.#clock.random() * 2 * LEASE_MS, run)
  }

  #heal(): void {
    this.#lossRate = 0
    this.#database.state = 'up'
    this.#note('all is well')
    for (const node of this.#nodes.values()) {
      if (node.engine.way !== 'dead') node.engine.way = 'open'
      node.frozenUntil = 0
    }
  }

  // --- invariants

  /** While only the database fails, no route of a node that lives goes from a table. */
  #watchRoutes(): void {
    for (const { membership } of this.#nodes.values()) {
      membership.table.on('route', ({ name }, { node, identity }, present) => {
        if (present || !this.#isChecking) return
        this.#violate(`${membership.self.id} lost ${name} of ${identity} on ${node.id}`)
      })
    }
  }

  /** What is not as it has to be when all is well; undefined: nothing. */
  #check(): string | undefined {
    this.#isChecking = false
    if (this.#pendingClaims > 0) return `${this.#pendingClaims} claims never ended`
    const holders = new Map<string, string>()
    for (const [id, node] of this.#nodes) {
      const { state } = node.membership
      if (state !== 'joined') return `${id} is ${state}`
      for (const [name, identity] of node.holds()) {
        const holder = holders.get(name)
        if (holder !== undefined && holder !== identity) {
          return `${name} is served by ${holder} and ${identity}`
        }
        holders.set(name, identity)
      }
    }
    const epochs = new Map<string, number>()
    for (const [id, { membership }] of this.#nodes) {
      const should = [...this.#nodes].flatMap(([other, node]) => {
        const { boot } = node.membership.self
        const held = [...node.holds()].map(([name, identity]) => `${name} ${identity} ${boot}`)
        return other === id ? [] : held
      })
      const is: string[] = []
      for (const [{ name }, routes] of membership.table.entries()) {
        for (const { identity, epoch, node } of routes) {
          this.#hold(named(name), identity, epoch)
          if ((epochs.get(name) ?? epoch) !== epoch) return `${name} has two epochs`
          epochs.set(name, epoch)
          is.push(`${name} ${identity} ${node.boot}`)
        }
      }
      const [found, expected] = [is.toSorted().join(', '), should.toSorted().join(', ')]
      if (found !== expected) return `${id} sees [${found}], not [${expected}]`
    }
    return undefined
  }

  async #close(): Promise<void> {
    this.#over.abort(new Error('the simulation is over'))
    for (const { engine, membership } of this.#nodes.values()) {
      engine.way = 'cut'
      void membership.close()
    }
    await this.#clock.pass(50)
    await settled()
  }

  #violate(what: string): void {
    this.#note(what)
    this.#violation ??= what
  }

  #pick<T>(all: readonly T[]): T {
    const one = all[Math.floor(this.#clock.random() * all.length)]
    if (one === undefined) throw new Error('nothing to pick from')
    return one
  }

  #note(text: string): void {
    this.#trace.push(`${Math.round(this.#clock.now())} ${text}`)
  }
}
