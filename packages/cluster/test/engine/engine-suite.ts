// What every engine does, whatever it is made of.
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Engine, RoutePut, WriteAnswer, WriteBatch } from '../../src/engine/engine.ts'
import type { ClusterNode, RouteFacts } from '../../src/model.ts'
import { factsOf, named, nodeOf } from '../nodes.ts'

/** Makes a database of one test; each call of what it returns is the engine of another node. */
export type MakeDatabase = () => Promise<() => Engine>

const { signal } = new AbortController()
const LONG = 600_000

/** The calls of one node, which counts its versions. */
class Writer {
  readonly engine: Engine
  readonly node: ClusterNode
  head = 0
  #beat = 0

  constructor(engine: Engine, node: ClusterNode) {
    this.engine = engine
    this.node = node
    onTestFinished(() => engine.close())
  }

  async join(replaces?: string): Promise<{ previousBoot: string | undefined; count: number }> {
    const answer = await this.engine.join(
      { node: this.node, head: this.head, leaseMs: LONG, replaces },
      { signal },
    )
    if (answer.isReplaced) throw new Error('replaced')
    this.head = answer.head
    return { previousBoot: answer.previousBoot, count: answer.digest.count }
  }

  async write(batch: Partial<WriteBatch>): Promise<Extract<WriteAnswer, { isDone: true }>> {
    const answer = await this.tryWrite(batch)
    if (!answer.isDone) throw new Error('not done')
    return answer
  }

  async tryWrite(batch: Partial<WriteBatch>): Promise<WriteAnswer> {
    const answer = await this.engine.write(
      {
        node: this.node,
        head: this.head,
        leaseMs: LONG,
        beat: (this.#beat += 1),
        puts: [],
        removes: [],
        removeUpTo: 0,
        isSettled: true,
        alive: [],
        epochFloor: 0,
        ...batch,
      },
      { signal },
    )
    if (answer.isDone) this.head = answer.head
    return answer
  }

  /** Claims or asserts one name. @returns its epoch, or who has it. */
  async put(name: string, identity: string, more: PutMore = {}): Promise<number | string> {
    const { facts, ...put } = more
    const [answer] = (await this.write({ puts: [putOf(name, identity, facts, put)] })).puts
    if (answer === undefined) throw new Error('no answer')
    return 'identity' in answer ? answer.identity : answer.epoch
  }

  /** All routes that another node sees of this one. */
  async routes(): Promise<Record<string, string>> {
    const query = { nodeId: this.node.id, after: 0, isSnapshot: true, limit: 1000 }
    const page = await this.engine.changes(query, { signal })
    return Object.fromEntries(
      (page?.changes ?? []).map(({ endpoint, facts }) => [endpoint.name, facts?.identity ?? '']),
    )
  }
}

type PutMore = Partial<Omit<RoutePut, 'facts'>> & { readonly facts?: Partial<RouteFacts> }

function putOf(
  name: string,
  identity: string,
  facts: Partial<RouteFacts> = {},
  put: Partial<RoutePut> = {},
): RoutePut {
  const plain = { endpoint: named(name), epoch: 0, isReserved: false }
  return { ...plain, facts: factsOf(identity, facts), ...put }
}

/** Registers the tests of an engine. */
export function describeEngine(title: string, make: MakeDatabase): void {
  describe(`what every one does: ${title}`, () => {
    async function writers(...ids: string[]): Promise<[Writer, Writer, Writer]> {
      const engine = await make()
      const all: Writer[] = []
      for (const id of [...ids, 'z1', 'z2', 'z3'].slice(0, 3)) {
        const writer = new Writer(engine(), nodeOf(id))
        await writer.engine.open({ signal })
        if (ids.includes(id)) await writer.join()
        if (ids.includes(id)) await writer.write({})
        all.push(writer)
      }
      const [a, b, c] = all
      if (a === undefined || b === undefined || c === undefined) throw new Error('no writer')
      return [a, b, c]
    }

    it('stores routes and gives their changes in the order of their versions', async () => {
      const [a] = await writers('a')
      const rules = JSON.stringify([{ allow: ["192.0.2.0/24 ' \\ é 漢 \u{1F600}"] }])
      const facts = {
        kind: 'tcp',
        sessions: 3,
        reuse: 'safe',
        strictness: 'strict',
        limits: '{"concurrent":2}',
        agents: 'AAAAAAAAAAAAAAAA00100 B-_bbbbbbbbbbbbb00005',
        rules,
        isDown: true,
      } as const
      await a.write({
        puts: [putOf('one', 'ann', facts), putOf('two', 'ann', { kind: undefined })],
      })
      await a.write({ removes: [named('one')], puts: [putOf('three', 'ann')] })
      const read = async (after: number, isSnapshot: boolean, limit = 10) => {
        const page = await a.engine.changes({ nodeId: 'a', after, isSnapshot, limit }, { signal })
        return page?.changes.map((change) => [
          change.version,
          change.endpoint.name,
          change.facts?.identity,
        ])
      }
      expect(await read(0, false)).toEqual([
        [2, 'two', 'ann'],
        [3, 'three', 'ann'],
        [4, 'one', undefined],
      ])
      expect(await read(0, true)).toEqual([
        [2, 'two', 'ann'],
        [3, 'three', 'ann'],
      ])
      expect(await read(2, false, 1)).toEqual([[3, 'three', 'ann']])
      expect(await read(4, false)).toEqual([])
      await a.put('one', 'ann', { facts })
      const page = await a.engine.changes(
        { nodeId: 'a', after: 4, isSnapshot: false, limit: 5 },
        { signal },
      )
      expect(page).toMatchObject({ boot: 'a-1', head: 5, floor: 0, isSettled: true })
      expect(page?.changes[0]?.facts).toEqual(factsOf('ann', facts))
      const none = { nodeId: 'x', after: 0, isSnapshot: true, limit: 1 }
      expect(await a.engine.changes(none, { signal })).toBeUndefined()
    })

    it('tells names of tenants apart', async () => {
      const [a, b] = await writers('a', 'b')
      await a.write({
        puts: [putOf('web', 'ann', {}, { endpoint: { tenant: 't1', name: 'web' } })],
      })
      const other = putOf('web', 'bob', {}, { endpoint: { tenant: 't2', name: 'web' } })
      expect((await b.write({ puts: [other] })).puts).toEqual([{ epoch: expect.any(Number) }])
    })

    it('gives a name to one identity, and says who has it since when', async () => {
      const [a, b] = await writers('a', 'b')
      const before = Date.now()
      const epoch = await a.put('web', 'ann')
      const { puts } = await b.write({ puts: [putOf('web', 'bob'), putOf('other', 'bob')] })
      expect(epoch).toBeGreaterThan(0)
      expect(puts).toEqual([
        { identity: 'ann', since: expect.any(Number), isExclusive: false },
        { epoch: expect.any(Number) },
      ])
      const [refused] = puts
      const since = refused !== undefined && 'since' in refused ? refused.since : 0
      expect(Math.abs(since - before)).toBeLessThan(60_000)
      expect(await b.routes()).toEqual({ other: 'bob' })
    })

    it('gives the same identity its name at once, under the same epoch', async () => {
      const [a, b] = await writers('a', 'b')
      const epoch = await a.put('web', 'ann')
      expect(await b.put('web', 'ann')).toBe(epoch)
      expect(await a.put('web', 'ann', { epoch: Number(epoch) })).toBe(epoch)
    })

    it('gives a name that no node serves to another identity, under a higher epoch', async () => {
      const [a, b] = await writers('a', 'b')
      const first = Number(await a.put('web', 'ann'))
      await a.write({ removes: [named('web')] })
      const second = Number(await b.put('web', 'bob'))
      expect(second).toBeGreaterThan(first)
      await b.write({ removes: [named('web')] })
      const floor = second + 1e12
      const [third] = (await a.write({ puts: [putOf('web', 'cat')], epochFloor: floor })).puts
      expect(third).toEqual({ epoch: floor + 1 })
    })

    it('takes a name from any for whom it is reserved', async () => {
      const [a, b] = await writers('a', 'b')
      const first = Number(await a.put('web', 'ann'))
      expect(await b.put('web', 'bob', { isReserved: true })).toBeGreaterThan(first)
      expect(await a.put('web', 'ann', { epoch: first })).toBe('bob')
    })

    it('decides between two that were granted a name by their epochs', async () => {
      const [a, b] = await writers('a', 'b')
      const epoch = Number(await a.put('web', 'ann'))
      expect(await b.put('web', 'bob', { epoch: epoch - 1 })).toBe('ann')
      expect(await b.put('web', 'bob', { epoch: epoch + 5 })).toBe(epoch + 5)
      expect(await a.put('web', 'ann', { epoch })).toBe('bob')
    })

    it('keeps the epoch of a name that it has forgotten', async () => {
      const [a] = await writers('a')
      expect(await a.put('web', 'ann', { epoch: 77 })).toBe(77)
    })

    it('lets an exclusive agent have a name alone, on several nodes', async () => {
      const [a, b, c] = await writers('a', 'b', 'c')
      const exclusive = { exclusive: true, peer: 'p1' }
      expect(await a.put('web', 'ann', { facts: exclusive })).toEqual(expect.any(Number))
      expect(await b.put('web', 'ann', { facts: exclusive })).toEqual(expect.any(Number))
      const other = { ...exclusive, peer: 'p2' }
      const { puts } = await c.write({ puts: [putOf('web', 'ann', other)] })
      expect(puts).toEqual([{ identity: 'ann', since: expect.any(Number), isExclusive: true }])
      expect(await c.put('web', 'ann')).toBe('ann')
      await b.put('shared', 'ann')
      expect(await c.put('shared', 'ann', { facts: other })).toBe('ann')
    })

    it('gives a name away when the lease of its node is over, unless the claimer knows it to be alive', async () => {
      const [a, b] = await writers('a', 'b')
      await a.write({ puts: [putOf('web', 'ann')], leaseMs: LONG })
      expect(await b.put('web', 'bob')).toBe('ann')
      await a.write({ leaseMs: 1 })
      await until(async () => {
        const states = await b.engine.nodes({ signal })
        return states.some(({ node, leaseLeftMs }) => node.id === 'a' && leaseLeftMs <= 0)
      })
      const claim = { puts: [putOf('web', 'bob')] }
      expect((await b.write({ ...claim, alive: ['a'] })).puts).toMatchObject([{ identity: 'ann' }])
      expect((await b.write({ ...claim, alive: ['x'] })).puts).toEqual([
        { epoch: expect.any(Number) },
      ])
      expect((await a.write({})).wasLapsed).toBe(true)
      expect((await a.write({})).wasLapsed).toBe(false)
    })

    it('has one winner of claims at the same time', async () => {
      const [a, b, c] = await writers('a', 'b', 'c')
      const names = Array.from({ length: 20 }, (_, at) => `n${at}`)
      for (let round = 0; round < 5; round++) {
        const order = round % 2 === 0 ? names : names.toReversed()
        const puts = (identity: string, list: readonly string[]) =>
          list.map((name) => putOf(`${round}-${name}`, identity))
        const answers = await Promise.all([
          a.write({ puts: puts('ann', names) }),
          b.write({ puts: puts('bob', order) }),
          c.write({ puts: puts('cat', names) }),
        ])
        const won = answers.flatMap(({ puts: all }) => all.filter((one) => one && 'epoch' in one))
        expect(won.length).toBe(names.length)
      }
      const held = [await a.routes(), await b.routes(), await c.routes()].flatMap(Object.keys)
      expect(held.length).toBe(names.length * 5)
      expect(new Set(held).size).toBe(held.length)
    })

    it('writes nothing for a node that is unknown, of another boot or at another version', async () => {
      const [a, b] = await writers('a')
      expect(await b.tryWrite({ puts: [putOf('web', 'bob')] })).toEqual({ isDone: false })
      a.head = 5
      expect(await a.tryWrite({ puts: [putOf('web', 'ann')] })).toEqual({ isDone: false })
      a.head = 0
      const again = new Writer(a.engine, nodeOf('a', 'a-2'))
      expect(await again.tryWrite({ puts: [putOf('web', 'ann')] })).toEqual({ isDone: false })
      expect(await a.put('web', 'bob')).toEqual(expect.any(Number))
    })

    it('lets a node that starts again replace its last run, with nothing of its routes', async () => {
      const [a, b] = await writers('a', 'b')
      const epoch = Number(await a.put('web', 'ann'))
      const again = new Writer(a.engine, nodeOf('a', 'a-2'))
      expect(await again.join()).toEqual({ previousBoot: 'a-1', count: 0 })
      expect(await again.routes()).toEqual({})
      expect(await a.tryWrite({})).toEqual({ isDone: false })
      expect(await b.put('web', 'bob')).toBeGreaterThan(epoch)
    })

    it('tells a node that another run has replaced it, and lets it come back when that is over', async () => {
      const [a] = await writers('a')
      const other = new Writer(a.engine, nodeOf('a', 'a-2'))
      await other.join()
      await other.write({})
      const request = { node: a.node, head: a.head, leaseMs: LONG, replaces: 'a-0' }
      expect(await a.engine.join(request, { signal })).toEqual({
        isReplaced: true,
        beat: expect.any(Number),
      })
      await other.write({ leaseMs: 1 })
      await until(async () => !(await a.engine.join(request, { signal })).isReplaced)
    })

    it('finds a node again with a digest of what is stored', async () => {
      const [a, b] = await writers('a', 'b')
      await a.write({ puts: [putOf('one', 'ann'), putOf('two', 'ann')] })
      const joined = await a.engine.join(
        { node: a.node, head: 2, leaseMs: LONG, replaces: undefined },
        { signal },
      )
      expect(joined).toEqual({
        isReplaced: false,
        head: 2,
        previousBoot: 'a-1',
        digest: { count: 2, versions: 3 },
      })
      await b.put('two', 'bob', { isReserved: true })
      const { count } = await a.join()
      expect(count).toBe(1)
    })

    it('counts on above what a node has used, and makes followers read everything', async () => {
      const [a] = await writers('a')
      await a.put('web', 'ann')
      a.head = 40
      await a.join()
      expect(a.head).toBe(40)
      const query = { nodeId: 'a', after: 1, isSnapshot: false, limit: 5 }
      const unsettled = await a.engine.changes(query, { signal })
      expect(unsettled).toMatchObject({ head: 40, floor: 40, isSettled: false })
      await a.write({ puts: [putOf('new', 'ann')], removeUpTo: 40 })
      const page = await a.engine.changes(query, { signal })
      expect(page).toMatchObject({ head: 42, isSettled: true })
      expect(
        page?.changes.map(({ version, endpoint, facts }) => [
          version,
          endpoint.name,
          facts?.identity,
        ]),
      ).toEqual([
        [41, 'new', 'ann'],
        [42, 'web', undefined],
      ])
    })

    it('forgets a node that leaves, and not its next run', async () => {
      const [a, b] = await writers('a', 'b')
      await a.put('web', 'ann')
      await b.engine.leave({ ...a.node, boot: 'other' }, { signal })
      expect(await b.put('web', 'bob')).toBe('ann')
      await a.engine.leave(a.node, { signal })
      const states = await b.engine.nodes({ signal })
      expect(states.find(({ node }) => node.id === 'a')).toMatchObject({ hasLeft: true })
      expect(await a.routes()).toEqual({})
      expect(await b.put('web', 'bob')).toEqual(expect.any(Number))
      await a.join()
      const again = await b.engine.nodes({ signal })
      expect(again.find(({ node }) => node.id === 'a')).toMatchObject({
        hasLeft: false,
        isSettled: false,
      })
    })

    it('reports nodes with what they said of themselves and what is left of their lease', async () => {
      const [a, b] = await writers('a', 'b')
      const node = { ...a.node, isLeaving: true, load: { sessions: 3, streams: 9 } }
      await a.write({ node, leaseMs: 50_000 })
      const states = await b.engine.nodes({ signal })
      const state = states.find((one) => one.node.id === 'a')
      expect(state?.node).toEqual(node)
      expect(state?.leaseLeftMs).toBeGreaterThan(0)
      expect(state?.leaseLeftMs).toBeLessThanOrEqual(50_000)
      const beat = state?.beat ?? 0
      await a.write({})
      const later = (await b.engine.nodes({ signal })).find((one) => one.node.id === 'a')
      expect(later?.beat).not.toBe(beat)
    })

    it('sweeps removals, dead nodes and unused names, and says what a follower has missed', async () => {
      const [a, b] = await writers('a', 'b')
      await b.put('dead', 'bob')
      await b.write({ leaseMs: 1 })
      await a.write({ puts: [putOf('one', 'ann'), putOf('two', 'ann')] })
      await a.write({ removes: [named('one')] })
      // Until all of it is old enough.
      await until(async () => {
        await a.engine.sweep({ node: a.node, removalsMs: 1, forgetMs: 10, limit: 100 }, { signal })
        const [first, ...more] = await a.engine.nodes({ signal })
        return first?.floor === 3 && more.length === 0
      })
      const page = await a.engine.changes(
        { nodeId: 'a', after: 0, isSnapshot: false, limit: 5 },
        { signal },
      )
      expect(page).toMatchObject({ head: 3, floor: 3 })
      expect(page?.changes.map(({ endpoint }) => endpoint.name)).toEqual(['two'])
      expect((await a.engine.nodes({ signal })).map(({ node }) => node.id)).toEqual(['a'])
      expect(await a.put('dead', 'ann', { epoch: 5 })).toBe(5)
      expect(await a.put('two', 'ann', { epoch: 1 })).toBeGreaterThan(1)
    })

    it('reports hints of all nodes until it is told to stop', async () => {
      const [a, b] = await writers('a', 'b')
      const hints: string[] = []
      const over = new AbortController()
      const options = { signal: over.signal }
      const watching = a.engine
        .watch((id) => hints.push(id), options)
        .catch((error: unknown) => error)
      const bWatching = b.engine.watch(() => {}, { signal: over.signal }).catch(() => {})
      await until(async () => {
        await b.engine.hint('b', { signal })
        return hints.includes('b')
      })
      over.abort()
      expect(await watching).toBeInstanceOf(Error)
      await bWatching
    })

    it('rejects calls that are aborted, and after it is closed', async () => {
      const [a] = await writers('a')
      const reason = new Error('no more')
      const aborted = { signal: AbortSignal.abort(reason) }
      await expect(a.engine.nodes(aborted)).rejects.toBe(reason)
      await expect(a.engine.open(aborted)).rejects.toBe(reason)
      await a.engine.close()
      await expect(a.engine.nodes({ signal })).rejects.toMatchObject({ code: 'CLUSTER_CLOSED' })
    })
  })
}
