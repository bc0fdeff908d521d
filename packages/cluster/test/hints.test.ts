// Hints of a client that is none of the nodes.
import { expect, it } from 'vitest'
import { MemoryDatabase, MemoryEngine } from '../src/engine/memory-engine.ts'
import { Follower } from '../src/follower.ts'
import { resolveMembershipOptions } from '../src/options.ts'
import { ClusterTable } from '../src/table/cluster-table.ts'
import { nodeOf } from './nodes.ts'
import { VirtualClock } from './simulation/virtual-clock.ts'

const { signal } = new AbortController()

it.for<readonly [what: string, idOf: (at: number) => string]>([
  ['of unknown nodes', (at: number) => `node ${at}`],
  ['of a node that has not changed', () => 'a'],
])('hints %s are followed at a limited rate', async ([, idOf]) => {
  const clock = new VirtualClock(1)
  const database = new MemoryDatabase(() => clock.now())
  const engine = new MemoryEngine(database)
  await engine.join(
    { node: nodeOf('a'), head: 0, leaseMs: 10_000, replaces: undefined },
    { signal },
  )
  const nothing = {
    puts: [],
    removes: [],
    removeUpTo: 0,
    isSettled: true,
    alive: [],
    epochFloor: 0,
  }
  await engine.write(
    { node: nodeOf('a'), head: 0, leaseMs: 10_000, beat: 1, ...nothing },
    { signal },
  )
  let [nodes, changes] = [0, 0]
  const counted: Pick<MemoryEngine, 'nodes' | 'changes'> = {
    nodes: async (options) => await engine.nodes(options).finally(() => (nodes += 1)),
    changes: async (query, options) =>
      await engine.changes(query, options).finally(() => (changes += 1)),
  }
  const options = resolveMembershipOptions({ clock })
  const follower = new Follower(
    Object.assign(new MemoryEngine(database), counted),
    new ClusterTable(),
    options,
    { selfId: 'self', renewsSince: () => 0, onRoute: () => {}, onProblem: () => {} },
  )
  await follower.readAll(signal)
  const over = new AbortController()
  const why = new Error('over')
  const reading = (async () => {
    while (!over.signal.aborted) await follower.readNext(over.signal)
  })()
  for (let at = 0; at < 2_000; at++) {
    for (let more = 0; more < 10; more++) follower.hint(idOf(at * 10 + more))
    await clock.pass(1)
  }
  over.abort(why)
  await expect(reading).rejects.toBe(why)
  // two seconds: a poll in each, and a read per pause between two hints
  expect(nodes).toBeLessThan(25)
  expect(changes).toBeLessThan(105)
  expect(nodes + changes).toBeGreaterThan(10)
})
