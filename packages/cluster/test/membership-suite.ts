// What memberships of several nodes do together, whatever their engine is.
import { until, untilEvent } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Engine } from '../src/engine/engine.ts'
import type { NameLease } from '@proj/tunnel/server'
import { type ClaimAnswer, Membership } from '../src/membership.ts'
import type { ClusterNode } from '../src/model.ts'
import type { MembershipOptions } from '../src/options.ts'
import { CutEngine } from './cut-engine.ts'
import { named, nodeOf, PLAIN } from './nodes.ts'

/** A database of one test. */
export interface SharedDatabase {
  /** The engine of another node. */
  engine(): Engine
  /** Forgets everything, as a database that was made again. */
  clear(): Promise<void>
}

const { signal } = new AbortController()

/** Short times, so that a test takes moments. A lease is long enough for a machine that is busy. */
export const FAST: MembershipOptions = {
  leaseMs: 3_000,
  pollMs: 50,
  batchMs: 1,
  hintMs: 5,
  assertMs: 200,
  retryMinMs: 20,
  retryMaxMs: 100,
  claimWaitMs: 20_000,
}

/** Starts a node that is closed with the test. */
export async function startNode(
  engine: Engine,
  node: ClusterNode,
  options: MembershipOptions = {},
): Promise<Membership> {
  const membership = new Membership(engine, node, { ...FAST, ...options })
  onTestFinished(() => membership.close())
  await membership.start(signal)
  return membership
}

/** Claims a name and tells that one session serves it. */
export async function serve(
  membership: Membership,
  name: string,
  identity: string,
): Promise<NameLease> {
  // as an agent does: again while the database does not answer in time
  const lease = await until(async () => {
    const answer = await membership.take({ endpoint: named(name), identity }, signal)
    return 'code' in answer ? undefined : leaseOf(answer)
  })
  membership.announce(named(name), PLAIN)
  return lease
}

/** The lease of a claim that was granted. */
export function leaseOf(answer: ClaimAnswer): NameLease {
  if ('release' in answer) return answer
  throw new Error(`not granted: ${JSON.stringify(answer)}`)
}

/** Who serves a name as another node sees it: node and identity. */
export function seen(membership: Membership, name: string): string[] {
  return membership.table
    .routes(named(name))
    .map(({ node, identity }) => `${node.id} ${identity}`)
    .toSorted()
}

/** Waits until a node sees exactly this. */
export async function untilSeen(
  membership: Membership,
  name: string,
  expected: readonly string[],
): Promise<void> {
  const what = `${name} on ${expected.join(', ') || 'no node'}`
  await until(() => String(seen(membership, name)) === String(expected), { what })
}

/** Registers the tests of memberships on an engine. */
export function describeMembership(title: string, make: () => Promise<SharedDatabase>): void {
  describe(`what every one does: ${title}`, () => {
    it('shows the others what a node serves, how, and that it serves it no more', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      const rules = '[["http",{"allow":["192.0.2.0/24"]}]]'
      const lease = leaseOf(await a.take({ endpoint: named('web'), identity: 'ann' }, signal))
      await b.take({ endpoint: named('other'), identity: 'bob' }, signal)
      expect(seen(b, 'web')).toEqual([])
      a.announce(named('web'), { ...PLAIN, kind: 'tcp', sessions: 2, rules })
      await untilSeen(b, 'web', ['a ann'])
      expect(b.table.routes(named('web'))).toMatchObject([
        { epoch: lease.epoch, kind: 'tcp', sessions: 2, rules, node: nodeOf('a') },
      ])
      expect(b.table.size).toBe(1)
      lease.release()
      lease.release()
      await untilSeen(b, 'web', [])
      expect(a.ownNames).toBe(0)
    })

    it('gives a name to one identity, and to that on any node at once', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      await serve(a, 'web', 'ann')
      const claim = { endpoint: named('web'), identity: 'bob' }
      const conflict = { holder: 'session', identity: 'ann', retryAfterMs: 15_000 }
      expect(await b.take(claim, signal)).toMatchObject(conflict)
      expect(await a.take(claim, signal)).toMatchObject(conflict)
      await serve(b, 'web', 'ann')
      await untilSeen(a, 'web', ['b ann'])
      await untilSeen(b, 'web', ['a ann'])
    })

    it('keeps a name until the last of its leases is released', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      const first = await serve(a, 'web', 'ann')
      const second = await serve(a, 'web', 'ann')
      first.release()
      const claim = { endpoint: named('web'), identity: 'bob' }
      expect(await b.take(claim, signal)).toMatchObject({ identity: 'ann' })
      second.release()
      await until(async () => 'release' in (await b.take(claim, signal)))
    })

    it('has one winner among claims of the same name at the same time', async () => {
      const database = await make()
      const nodes = await Promise.all(
        ['a', 'b', 'c'].map((id) => startNode(database.engine(), nodeOf(id))),
      )
      for (let round = 0; round < 5; round++) {
        const answers = await Promise.all(
          nodes.map((node, at) =>
            node.take({ endpoint: named(`web${round}`), identity: `i${at}` }, signal),
          ),
        )
        expect(answers.filter((answer) => 'release' in answer).length).toBe(1)
      }
    })

    it('takes a name that is reserved from the node that gave it to another', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      await serve(a, 'web', 'ann')
      const lost = untilEvent(a, 'lost')
      const claim = { endpoint: named('web'), identity: 'bob', isReserved: true }
      leaseOf(await b.take(claim, signal))
      expect(await lost).toMatchObject([named('web'), { identity: 'bob' }])
      b.announce(named('web'), PLAIN)
      await untilSeen(a, 'web', ['b bob'])
    })

    it('forgets a node that closes at once, and gives its names away', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'), { leaseMs: 60_000 })
      const b = await startNode(database.engine(), nodeOf('b'), { leaseMs: 60_000 })
      await serve(a, 'web', 'ann')
      await untilSeen(b, 'web', ['a ann'])
      await a.close()
      await untilSeen(b, 'web', [])
      expect(b.table.node('a')).toBeUndefined()
      await serve(b, 'web', 'bob')
    })

    it('forgets a node whose lease is over, and gives its names away', async () => {
      const database = await make()
      const dead = database.engine()
      const a = await startNode(dead, nodeOf('a'), { leaseMs: 300, claimWaitMs: 50 })
      const b = await startNode(database.engine(), nodeOf('b'), { leaseMs: 300 })
      await serve(a, 'web', 'ann')
      await untilSeen(b, 'web', ['a ann'])
      await dead.close() // as after kill -9: no word to the others
      await untilSeen(b, 'web', [])
      await until(async () => {
        const answer = await b.take({ endpoint: named('web'), identity: 'bob' }, signal)
        return 'release' in answer
      })
      expect(b.table.node('a')).toBeUndefined()
    })

    it('drops what the last run of a node served as soon as it starts again', async () => {
      const database = await make()
      const dead = database.engine()
      const a = await startNode(dead, nodeOf('a'), { leaseMs: 60_000, claimWaitMs: 50 })
      const b = await startNode(database.engine(), nodeOf('b'), { leaseMs: 60_000 })
      await serve(a, 'web', 'ann')
      await untilSeen(b, 'web', ['a ann'])
      await dead.close()
      const again = await startNode(database.engine(), nodeOf('a', 'a-2'), { leaseMs: 60_000 })
      await untilSeen(b, 'web', [])
      await serve(again, 'web', 'cat')
      await untilSeen(b, 'web', ['a cat'])
      expect(b.table.node('a')?.boot).toBe('a-2')
    })

    it('ends the membership of a node whose id another one uses', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const problems: string[] = []
      a.on('problem', ({ code }) => problems.push(code))
      await startNode(database.engine(), nodeOf('a', 'a-2'))
      await until(() => a.state === 'replaced')
      expect(problems).toEqual(['CLUSTER_NODE_ID_TAKEN', 'CLUSTER_NODE_REPLACED'])
      const late = await a.take({ endpoint: named('x'), identity: 'ann' }, signal)
      expect(late).toMatchObject({ code: 'unavailable' })
      await expect(a.start(signal)).resolves.toBeUndefined()
    })

    it('fills a database again that was emptied, while every route stays', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      const lease = await serve(a, 'web', 'ann')
      await serve(b, 'api', 'bob')
      await untilSeen(b, 'web', ['a ann'])
      await untilSeen(a, 'api', ['b bob'])
      const gone: string[] = []
      for (const node of [a, b]) {
        node.table.on('route', ({ name }, _, present) => void (present || gone.push(name)))
        node.on('lost', ({ name }) => gone.push(name))
      }
      await database.clear()
      const claim = { endpoint: named('web'), identity: 'bob' }
      expect(await b.take(claim, signal)).toMatchObject({ identity: 'ann' })
      const c = await startNode(database.engine(), nodeOf('c'))
      await untilSeen(c, 'web', ['a ann'])
      await untilSeen(c, 'api', ['b bob'])
      expect(c.table.routes(named('web'))[0]?.epoch).toBe(lease.epoch)
      expect(gone).toEqual([])
      await serve(a, 'late', 'ann')
      await untilSeen(b, 'late', ['a ann'])
    })

    it('reads everything again after it missed removals that are forgotten', async () => {
      const database = await make()
      const sweeper = database.engine()
      onTestFinished(() => sweeper.close())
      const a = await startNode(database.engine(), nodeOf('a'))
      const lease = await serve(a, 'old', 'ann')
      await serve(a, 'kept', 'ann')
      const way = new CutEngine(database.engine())
      const b = await startNode(way, nodeOf('b'))
      await untilSeen(b, 'old', ['a ann'])
      way.way = 'cut'
      lease.release()
      await until(async () => {
        const request = { node: a.self, removalsMs: 1, forgetMs: 60_000, limit: 10 }
        await sweeper.sweep(request, { signal })
        return (await sweeper.nodes({ signal })).some(({ floor }) => floor > 0)
      })
      way.way = 'open'
      await untilSeen(b, 'old', [])
      expect(seen(b, 'kept')).toEqual(['a ann'])
    })

    it('gives the names of the process before it to their identities while the database is away', async () => {
      const database = await make()
      const ways = [new CutEngine(database.engine()), new CutEngine(database.engine())] as const
      const b = await startNode(database.engine(), nodeOf('b'))
      const a = await startNode(ways[0], nodeOf('a'))
      const lease = await serve(a, 'web', 'ann')
      const released = await serve(a, 'left', 'ann')
      released.release()
      for (const way of ways) way.way = 'cut'
      const names = a.held()
      await a.close()
      const next = new Membership(ways[1], nodeOf('a', 'a-2'), {
        claimWaitMs: 100,
        retryMaxMs: 200,
      })
      onTestFinished(() => next.close())
      next.inherit(names)
      const started = next.start(signal)
      const take = async (name: string, identity: string) =>
        await next.take({ endpoint: named(name), identity }, signal)
      expect(await take('web', 'ann')).toMatchObject({ epoch: lease.epoch })
      expect(await take('left', 'ann')).toMatchObject({ epoch: released.epoch })
      expect(await take('web', 'bob')).toMatchObject({ identity: 'ann' })
      expect(await take('new', 'ann')).toMatchObject({ code: 'unavailable' })
      next.announce(named('web'), { ...PLAIN, sessions: 2 })
      ways[1].way = 'open'
      await started
      await until(() => b.table.routes(named('web')).some(({ sessions }) => sessions === 2))
      expect(b.table.routes(named('web'))[0]?.epoch).toBe(lease.epoch)
    })

    it('does not hand over names that others have taken since', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      const lease = await serve(a, 'web', 'ann')
      await untilSeen(b, 'web', ['a ann'])
      lease.release()
      await untilSeen(b, 'web', [])
      expect(a.held()).toMatchObject([{ endpoint: named('web'), identity: 'ann' }])
      await serve(b, 'web', 'bob')
      await untilSeen(a, 'web', ['b bob'])
      expect(a.held()).toEqual([])
    })

    it('grants what it knows while the database is away, and refuses what is new with a drawn delay', async () => {
      const database = await make()
      const ways = [new CutEngine(database.engine()), new CutEngine(database.engine())] as const
      const options = { claimWaitMs: 100, leaseMs: 1_500 }
      const a = await startNode(ways[0], nodeOf('a'), options)
      const b = await startNode(ways[1], nodeOf('b'), options)
      const lease = await serve(a, 'web', 'ann')
      const released = await serve(a, 'mine', 'ann')
      await serve(b, 'api', 'bob')
      await untilSeen(b, 'web', ['a ann'])
      await untilSeen(a, 'api', ['b bob'])
      const gone: string[] = []
      for (const node of [a, b]) {
        node.table.on('route', ({ name }, _, present) => void (present || gone.push(name)))
        node.on('lost', ({ name }) => gone.push(name))
      }
      for (const way of ways) way.way = 'cut'
      await until(() => a.state === 'away' && b.state === 'away')
      const take = async (node: Membership, name: string, identity: string) =>
        await node.take({ endpoint: named(name), identity }, signal)
      expect(await take(a, 'web', 'ann')).toMatchObject({ epoch: lease.epoch })
      expect(await take(b, 'web', 'ann')).toMatchObject({ epoch: lease.epoch })
      expect(await take(b, 'web', 'bob')).toMatchObject({ identity: 'ann' })
      released.release()
      expect(await take(a, 'mine', 'ann')).toMatchObject({ epoch: released.epoch })
      a.announce(named('mine'), PLAIN)
      const refused = await take(a, 'new', 'ann')
      expect(refused).toMatchObject({ code: 'unavailable' })
      const delayMs = 'code' in refused ? (refused.retryAfterMs ?? 0) : 0
      expect(delayMs >= 5_000 && delayMs <= 15_000).toBe(true)
      // All leases are over when it comes back: none of it may be judged by that.
      await until(() => a.leaseAgeMs > 2_000 && b.leaseAgeMs > 2_000)
      for (const way of ways) way.way = 'open'
      await until(() => a.state === 'joined' && b.state === 'joined')
      b.announce(named('web'), PLAIN)
      await untilSeen(a, 'web', ['b ann'])
      await untilSeen(b, 'web', ['a ann'])
      expect(seen(a, 'api')).toEqual(['b bob'])
      expect(gone).toEqual([])
      await serve(a, 'new', 'ann')
    })

    it('answers a claim in time when the database hangs, and does not keep the name', async () => {
      const database = await make()
      const way = new CutEngine(database.engine())
      const a = await startNode(way, nodeOf('a'), { claimWaitMs: 50 })
      const b = await startNode(database.engine(), nodeOf('b'))
      way.way = 'hang'
      const claim = { endpoint: named('web'), identity: 'ann' }
      expect(await a.take(claim, signal)).toMatchObject({ code: 'unavailable' })
      expect(a.ownNames).toBe(0)
      await serve(b, 'web', 'bob')
    })

    it('withdraws a name that another got while the node was cut off', async () => {
      const database = await make()
      const way = new CutEngine(database.engine())
      const options = { leaseMs: 300 }
      const a = await startNode(way, nodeOf('a'), options)
      const b = await startNode(database.engine(), nodeOf('b'), options)
      await serve(a, 'web', 'ann')
      await untilSeen(b, 'web', ['a ann'])
      way.way = 'cut'
      await untilSeen(b, 'web', [])
      await until(async () => {
        const answer = await b.take({ endpoint: named('web'), identity: 'bob' }, signal)
        return 'release' in answer
      })
      b.announce(named('web'), PLAIN)
      const lost = untilEvent(a, 'lost')
      way.way = 'open'
      expect(await lost).toMatchObject([named('web'), { identity: 'bob' }])
      await untilSeen(a, 'web', ['b bob'])
      expect(seen(b, 'web')).toEqual([])
    })

    it('tells the others its load and that it is leaving', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      await until(() => b.table.node('a') !== undefined)
      a.update({ load: { sessions: 4, streams: 7 }, isLeaving: true })
      await until(() => b.table.node('a')?.isLeaving === true)
      expect(b.table.node('a')?.load).toEqual({ sessions: 4, streams: 7 })
    })

    it('ends a claim that is aborted, and the name stays free', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'), { batchMs: 50 })
      const b = await startNode(database.engine(), nodeOf('b'))
      const over = new AbortController()
      const claim = a.take({ endpoint: named('web'), identity: 'ann' }, over.signal)
      over.abort(new Error('agent gone'))
      await expect(claim).rejects.toThrow('agent gone')
      await serve(b, 'web', 'bob')
      await expect(a.take({ endpoint: named('x'), identity: 'ann' }, over.signal)).rejects.toThrow(
        'agent gone',
      )
    })

    it('refuses what cannot be stored', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      for (const name of ['a\0b', '\ud800', 'x'.repeat(1025)]) {
        await expect(
          a.take({ endpoint: named(name), identity: 'ann' }, signal),
        ).rejects.toMatchObject({ code: 'CLUSTER_ROUTE_INVALID' })
      }
      await serve(a, 'é漢\u{1F600}', 'ann')
      const rules = 'x'.repeat(64 * 1024 + 1)
      expect(() => a.announce(named('é漢\u{1F600}'), { ...PLAIN, rules })).toThrow('rules')
    })

    it('leaves a name with its holder while another claims it as reserved and does not get it', async () => {
      const database = await make()
      const way = new CutEngine(database.engine())
      const a = await startNode(way, nodeOf('a'), { claimWaitMs: 200 })
      const b = await startNode(database.engine(), nodeOf('b'))
      await serve(a, 'web', 'ann')
      await untilSeen(b, 'web', ['a ann'])
      way.way = 'hang'
      const claim = { endpoint: named('web'), identity: 'bob', isReserved: true }
      const pending = a.take(claim, signal)
      a.announce(named('web'), { ...PLAIN, sessions: 5, identity: 'ann' })
      expect(await pending).toMatchObject({ code: 'unavailable' })
      way.way = 'open'
      await until(() => b.table.routes(named('web'))[0]?.sessions === 5)
      expect(seen(b, 'web')).toEqual(['a ann'])
    })

    it('lets one exclusive agent have a name, on any node', async () => {
      const database = await make()
      const a = await startNode(database.engine(), nodeOf('a'))
      const b = await startNode(database.engine(), nodeOf('b'))
      const claim = { endpoint: named('web'), identity: 'ann' }
      leaseOf(await a.take({ ...claim, isExclusive: true }, signal))
      expect(await b.take(claim, signal)).toMatchObject({ identity: 'ann', isExclusive: true })
    })
  })
}
