import { expect, it } from 'vitest'

import { MemoryDatabase, MemoryEngine } from '../../src/engine/memory-engine.ts'
import { MemoryRoutes, type StoredRoute } from '../../src/engine/memory-routes.ts'
import { factsOf, named, nodeOf } from '../nodes.ts'
import { seededRandom } from '../simulation/virtual-clock.ts'

const { signal } = new AbortController()

function routeOf(name: string, version: number): StoredRoute {
  return { endpoint: named(name), version, facts: factsOf('ann'), epoch: 1, at: 0 }
}

/** What is behind a version, as the plainest code finds it. */
function expected(routes: ReadonlyMap<string, StoredRoute>, version: number): StoredRoute[] {
  return [...routes.values()]
    .filter((route) => route.version > version)
    .toSorted((one, other) => one.version - other.version)
}

it.each([
  ['in their order', false],
  ['out of their order, as a backup brings them back', true],
])('finds what is behind a version, of routes that come %s', (_, isShuffled) => {
  const random = seededRandom(7)
  const routes = new MemoryRoutes()
  const model = new Map<string, StoredRoute>()
  for (let version = 1; version <= 6_000; version += 1) {
    const name = `n${Math.floor(random() * 300)}`
    if (random() < 0.2) {
      routes.delete(named(name))
      model.delete(name)
      continue
    }
    const route = routeOf(name, isShuffled ? 1 + ((version * 2_503) % 6_007) : version)
    routes.set(route)
    model.set(name, route)
    if (version % 500 !== 0) continue
    for (const after of [0, version - 100, version, 6_007]) {
      expect([...routes.after(after)]).toEqual(expected(model, after))
    }
  }
  expect([...routes.values()].length).toBe(model.size)
  expect(routes.get(named('n1'))).toBe(model.get('n1'))
})

it('looks at a part of the names in each sweep, and at all of them in a few', async () => {
  const database = new MemoryDatabase()
  const engine = new MemoryEngine(database)
  for (let at = 0; at < 25_000; at += 1) {
    database.names.set(named(`n${at}`), { identity: 'ann', epoch: 1, since: 0 })
  }
  const sweep = async (): Promise<number> => {
    const request = { node: nodeOf('a'), removalsMs: 1, forgetMs: 1, limit: 100 }
    await engine.sweep(request, { signal })
    return database.names.size
  }
  expect(await sweep()).toBe(15_000)
  expect(await sweep()).toBe(5_000)
  expect(await sweep()).toBe(0)
})

it('looks at all names in each sweep where they are few', async () => {
  let now = 5
  const database = new MemoryDatabase(() => now)
  const engine = new MemoryEngine(database)
  const request = { node: nodeOf('a'), removalsMs: 1, forgetMs: 10, limit: 100 }
  for (const name of ['one', 'two', 'three']) {
    database.names.set(named(name), { identity: 'ann', epoch: 1, since: 0 })
  }
  // wherever the one before ended
  for (let count = 0; count < 5; count += 1) {
    await engine.sweep(request, { signal })
    expect([...database.namesToSweep()]).toHaveLength(3)
  }
  expect(database.names.size).toBe(3)
  now = 100
  await engine.sweep(request, { signal })
  expect(database.names.size).toBe(0)
})
