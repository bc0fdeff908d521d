import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { UpstreamRegistry } from '../../src/server/upstream-registry.ts'
import type { Upstream } from '../../src/server/upstream.ts'
import { at } from '../peers.ts'
import { FakeUpstream } from './fake-upstream.ts'

function registryOf(...upstreams: readonly Upstream[]): UpstreamRegistry {
  const registry = new UpstreamRegistry()
  for (const upstream of upstreams) registry.add(at('web'), upstream)
  return registry
}

function picks(registry: UpstreamRegistry, count: number): (string | undefined)[] {
  return Array.from({ length: count }, () => registry.pick(at('web'))?.id)
}

describe.each([1, 2, 3, 4])('with %d agents', (agents) => {
  const names = ['a', 'b', 'c', 'd'].slice(0, agents)

  test('they take turns in order of arrival', () => {
    const registry = registryOf(...names.map((name) => new FakeUpstream(name)))
    expect(picks(registry, agents * 2)).toEqual([...names, ...names])
    expect(registry.count(at('web'))).toBe(agents)
  })

  test('removing any of them at any turn keeps the turns of the others', () => {
    for (let turn = 0; turn < agents; turn++) {
      for (const leaver of names) {
        const upstreams = names.map((name) => new FakeUpstream(name))
        const registry = registryOf(...upstreams)
        picks(registry, turn)
        const gone = upstreams.find(({ id }) => id === leaver)
        if (gone !== undefined) registry.remove(at('web'), gone)
        const inTurn = [...names.slice(turn), ...names.slice(0, turn)]
        const left = inTurn.filter((name) => name !== leaver)
        expect(picks(registry, left.length)).toEqual(left)
      }
    }
  })

  test('the last one to go leaves nothing behind', () => {
    const upstreams = names.map((name) => new FakeUpstream(name))
    const registry = registryOf(...upstreams)
    const events: unknown[] = []
    registry.on('endpoint', (...event) => events.push(event))
    for (const upstream of upstreams) registry.remove(at('web'), upstream)
    expect(registry.pick(at('web'))).toBeUndefined()
    expect(registry.count(at('web'))).toBe(0)
    expect(registry.snapshot().size).toBe(0)
    expect(events).toEqual([[at('web'), false, upstreams.at(-1)]])
  })
})

test('an endpoint is announced with its first upstream only', () => {
  const registry = new UpstreamRegistry()
  const events: unknown[] = []
  registry.on('endpoint', (...event) => events.push(event))
  const first = new FakeUpstream('a')
  registry.add(at('web'), first)
  registry.add(at('web'), new FakeUpstream('b'))
  expect(events).toEqual([[at('web'), true, first]])
})

test('parallel sessions of one agent share its turn, the least loaded first', () => {
  const [one, two] = [new FakeUpstream('a', 'a1'), new FakeUpstream('a', 'a2')]
  const registry = registryOf(one, two, new FakeUpstream('b'))
  expect(picks(registry, 4)).toEqual(['a1', 'b', 'a2', 'b'])
  one.openStreams = 1
  expect(picks(registry, 4)).toEqual(['a2', 'b', 'a2', 'b'])
  two.openStreams = 2
  expect(picks(registry, 1)).toEqual(['a1'])
  expect(
    [...registry.snapshot()].map(([endpoint, served]) => [endpoint, served.map(({ id }) => id)]),
  ).toEqual([[at('web'), ['a1', 'a2', 'b']]])
})

test('a session that is leaving, or was tried, is passed over', () => {
  const [one, two] = [new FakeUpstream('a'), new FakeUpstream('b')]
  const registry = registryOf(one, two)
  one.leave.abort()
  expect(picks(registry, 3)).toEqual(['b', 'b', 'b'])
  expect(registry.pick(at('web'), new Set([two]))).toBeUndefined()
})

test('a suspect is picked only when there is nobody else', () => {
  const [one, two, three] = ['a', 'b', 'c'].map((name) => new FakeUpstream(name)) as [
    FakeUpstream,
    FakeUpstream,
    FakeUpstream,
  ]
  const registry = registryOf(one, two, three)
  two.suspect = true
  expect(picks(registry, 4)).toEqual(['a', 'c', 'a', 'c'])
  one.suspect = true
  expect(picks(registry, 2)).toEqual(['c', 'c'])
  three.leave.abort()
  expect(new Set(picks(registry, 2))).toEqual(new Set(['a', 'b']))
  one.suspect = false
  expect(picks(registry, 2)).toEqual(['a', 'a'])
})

test('of the parallel sessions of one agent a suspect comes last, however idle it is', () => {
  const [one, two] = [new FakeUpstream('a', 'a1'), new FakeUpstream('a', 'a2')]
  const registry = registryOf(one, two)
  one.suspect = true
  two.openStreams = 9
  expect(picks(registry, 2)).toEqual(['a2', 'a2'])
  expect(registry.pick(at('web'), new Set([two]))).toBe(one)
})

test('an endpoint is taken when its first session comes, and not anew by those that follow', () => {
  const registry = new UpstreamRegistry()
  expect(registry.takenAt(at('web'))).toBe(undefined)
  const before = Date.now()
  registry.add(at('web'), new FakeUpstream('a'))
  const takenAt = registry.takenAt(at('web'))
  expect(takenAt).toBeGreaterThanOrEqual(before)
  registry.add(at('web'), new FakeUpstream('b'))
  expect(registry.takenAt(at('web'))).toBe(takenAt)
  expect(registry.sessions(at('web')).map(({ id }) => id)).toEqual(['a', 'b'])
  expect(registry.sessions(at('other'))).toEqual([])
})

test('adding twice counts once; removing what is not there changes nothing', () => {
  const one = new FakeUpstream('a')
  const registry = registryOf(one, one)
  expect(registry.count(at('web'))).toBe(1)
  registry.remove(at('web'), new FakeUpstream('a'))
  registry.remove(at('other'), one)
  expect(registry.count(at('web'))).toBe(1)
})

// A hello that came twice once left such a session in the registry for ever.
test('a session leaves though its peer is called otherwise now', () => {
  const one = new FakeUpstream('a')
  const registry = registryOf(one)
  one.peer = 'z'
  registry.remove(at('web'), one)
  expect(registry.count(at('web'))).toBe(0)
})

test('endpoints are named in their letter case', () => {
  expect(registryOf(new FakeUpstream('a')).pick(at('WEB'))).toBeUndefined()
})

test('over any history every agent that is there gets its turn in each round', () => {
  const steps = fc.array(
    fc.record({ add: fc.boolean(), peer: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(steps, (history) => {
      const registry = new UpstreamRegistry()
      const here = new Map<string, FakeUpstream>()
      for (const { add, peer } of history) {
        const upstream = here.get(peer) ?? new FakeUpstream(peer)
        if (add) registry.add(at('web'), upstream)
        else registry.remove(at('web'), upstream)
        if (add) here.set(peer, upstream)
        else here.delete(peer)
        const round = new Set(picks(registry, here.size))
        expect(round).toEqual(new Set(here.keys()))
      }
    }),
  )
})

describe('the sessions of one agent', () => {
  test('take turns when they have equally many streams, and not only the first', () => {
    const sessions = ['1', '2', '3'].map((id) => new FakeUpstream('a', id))
    expect(picks(registryOf(...sessions), 6)).toEqual(['1', '2', '3', '1', '2', '3'])
    const [, second] = sessions
    if (second !== undefined) second.suspect = true
    expect(picks(registryOf(...sessions), 4)).toEqual(['1', '3', '1', '3'])
  })

  test('that owe an answer are no other session to go to', () => {
    const [one, other] = [new FakeUpstream('a', '1'), new FakeUpstream('a', '2')]
    const registry = registryOf(one, other)
    expect(registry.hasOther(at('web'), one)).toBe(true)
    other.suspect = true
    expect(registry.hasOther(at('web'), one)).toBe(false)
    expect(registry.hasOther(at('web'), other)).toBe(true)
    one.leave.abort()
    expect(registry.hasOther(at('web'), other)).toBe(false)
    expect(registry.hasOther(at('none'), other)).toBe(false)
  })
})

describe('reuse of the streams of an endpoint', () => {
  const values = ['never', 'safe', 'always'] as const

  test('is the setting of the server while no session asks for another', () => {
    const registry = registryOf(new FakeUpstream('a'))
    for (const value of values) {
      expect(registry.reuse(at('web'), value)).toBe(value)
      expect(registry.reuse(at('none'), value)).toBe(value)
    }
  })

  test('is the strictest value of its sessions, and leaves with its session', () => {
    const registry = new UpstreamRegistry()
    const always = new FakeUpstream('a', '1')
    const safe = new FakeUpstream('a', '2')
    const never = new FakeUpstream('b')
    const now = (): string => registry.reuse(at('web'), 'always')
    registry.add(at('web'), always, undefined, 'http', { reuse: 'always' })
    expect(registry.reuse(at('web'), 'never')).toBe('always')
    registry.add(at('web'), never, undefined, 'http', { reuse: 'never' })
    expect(now()).toBe('never')
    registry.add(at('web'), safe, undefined, 'http', { reuse: 'safe' })
    expect(now()).toBe('never')
    expect(registry.reuse(at('api'), 'always')).toBe('always')
    registry.remove(at('web'), never)
    expect(now()).toBe('safe')
    registry.remove(at('web'), safe)
    expect(registry.reuse(at('web'), 'never')).toBe('always')
    registry.remove(at('web'), always)
    for (const value of values) expect(registry.reuse(at('web'), value)).toBe(value)
  })

  test('is replaced by the next registration of a session', () => {
    const registry = new UpstreamRegistry()
    const session = new FakeUpstream('a')
    registry.add(at('web'), session, undefined, 'http', { reuse: 'never' })
    registry.add(at('web'), session, undefined, 'http', { reuse: 'always' })
    expect(registry.reuse(at('web'), 'safe')).toBe('always')
    registry.add(at('web'), session, undefined, 'http')
    expect(registry.reuse(at('web'), 'safe')).toBe('safe')
  })

  test('a session that asks for nothing counts with the setting of the server', () => {
    const registry = registryOf(new FakeUpstream('a'))
    const asking = new FakeUpstream('b')
    registry.add(at('web'), asking, undefined, 'http', { reuse: 'safe' })
    expect(values.map((value) => registry.reuse(at('web'), value))).toEqual([
      'never',
      'safe',
      'safe',
    ])
    const other = new FakeUpstream('c')
    registry.add(at('api'), asking, undefined, 'http', { reuse: 'always' })
    registry.add(at('api'), other)
    expect(registry.reuse(at('api'), 'safe')).toBe('safe')
    registry.remove(at('api'), other)
    expect(registry.reuse(at('api'), 'safe')).toBe('always')
    // No request goes to a session of a TCP service.
    registry.add(at('api'), other, undefined, 'tcp')
    expect(registry.reuse(at('api'), 'safe')).toBe('always')
  })
})

describe('reading of the answers of an endpoint', () => {
  test('is strict as long as one session asks for it', () => {
    const registry = new UpstreamRegistry()
    const strict = new FakeUpstream('a', '1')
    const lenient = new FakeUpstream('b')
    const now = (): string => registry.strictness(at('web'))
    expect(now()).toBe('lenient')
    registry.add(at('web'), lenient, undefined, 'http', { strictness: 'lenient' })
    expect(now()).toBe('lenient')
    registry.add(at('web'), strict, undefined, 'http', { strictness: 'strict' })
    registry.add(at('web'), strict, undefined, 'http', { strictness: 'strict' })
    expect(now()).toBe('strict')
    expect(registry.strictness(at('api'))).toBe('lenient')
    registry.add(at('web'), strict, undefined, 'http')
    expect(now()).toBe('lenient')
    registry.add(at('web'), strict, undefined, 'http', { strictness: 'strict' })
    registry.remove(at('web'), lenient)
    registry.remove(at('web'), lenient)
    expect(now()).toBe('strict')
    registry.remove(at('web'), strict)
    expect(now()).toBe('lenient')
    registry.add(at('web'), lenient)
    expect(now()).toBe('lenient')
  })
})

describe('the sessions of one agent', () => {
  const make = () => {
    const [a, b] = [new FakeUpstream('agent', 'a'), new FakeUpstream('agent', 'b')]
    return { a, b, registry: registryOf(a, b) }
  }
  const ids = (count: number, pick: () => { id: string } | undefined): (string | undefined)[] =>
    Array.from({ length: count }, () => pick()?.id)

  test('are passed over while they carry bulk and another one does not', () => {
    const { a, b, registry } = make()
    a.carriesBulk = true
    b.openStreams = 100
    expect(ids(3, () => registry.pickHttp(at('web')))).toEqual(['b', 'b', 'b'])
    expect(ids(2, () => registry.pick(at('web')))).toEqual(['b', 'b'])
    b.carriesBulk = true
    expect(ids(2, () => registry.pickHttp(at('web')))).toEqual(['a', 'a'])
    expect(registry.pickHttp(at('web'), new Set([a]))?.id).toBe('b')
  })

  test('serve a visitor on the one that has an idle stream of it, if that carries no bulk', () => {
    const { a, b, registry } = make()
    const kept = () => registry.pickHttp(at('web'), undefined, undefined, b)
    b.openStreams = 100
    expect(ids(3, kept)).toEqual(['b', 'b', 'b'])
    b.carriesBulk = true
    expect(ids(2, kept)).toEqual(['a', 'a'])
    a.carriesBulk = true
    expect(ids(2, kept)).toEqual(['b', 'b'])
    b.leave.abort()
    expect(ids(2, kept)).toEqual(['a', 'a'])
  })

  test('do not take the turn of another agent for it', () => {
    const other = new FakeUpstream('other', 'c')
    const [a, b] = [new FakeUpstream('agent', 'a'), new FakeUpstream('agent', 'b')]
    const registry = registryOf(a, b, other)
    const picked = ids(4, () => registry.pickHttp(at('web'), undefined, undefined, b))
    expect(picked.filter((id) => id === 'c').length).toBe(2)
    expect(picked.filter((id) => id === 'b').length).toBe(2)
  })
})

describe('a session whose service is down', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new FakeUpstream(name))
  if (a === undefined || b === undefined || c === undefined) throw new Error('three are made')

  test('is passed over while others serve, and comes back', () => {
    const registry = registryOf(a, b, c)
    registry.setHealth(at('web'), b, false)
    expect(picks(registry, 4)).toEqual(['a', 'c', 'a', 'c'])
    expect(registry.pickHttp(at('web'), new Set([a]))?.id).toBe('c')
    registry.setHealth(at('web'), b, true)
    expect(new Set(picks(registry, 3))).toEqual(new Set(['a', 'b', 'c']))
  })

  test('is picked when all are down, in turn', () => {
    const registry = registryOf(a, b)
    for (const one of [a, b]) registry.setHealth(at('web'), one, false)
    expect(new Set(picks(registry, 2))).toEqual(new Set(['a', 'b']))
    expect(registry.pickHttp(at('web'), new Set([a]))?.id).toBe('b')
  })

  test('comes behind a suspect one', () => {
    const suspect = new FakeUpstream('s')
    suspect.suspect = true
    const registry = registryOf(a, suspect)
    registry.setHealth(at('web'), a, false)
    expect(picks(registry, 2)).toEqual(['s', 's'])
  })

  test('of TCP stays out of the turn of requests, when it is up again too', () => {
    const registry = registryOf(a, b)
    registry.add(at('web'), b, undefined, 'tcp')
    registry.setHealth(at('web'), a, false)
    expect(registry.pickHttp(at('web'))?.id).toBe('a')
    expect(registry.pick(at('web'))?.id).toBe('b')
    registry.setHealth(at('web'), a, true)
    expect(registry.pickHttp(at('web'))?.id).toBe('a')
  })

  test('is up when it registers anew, and what is not registered changes nothing', () => {
    const registry = registryOf(a, b)
    registry.setHealth(at('web'), b, false)
    registry.remove(at('web'), b)
    registry.setHealth(at('web'), c, false)
    registry.add(at('web'), b)
    expect(new Set(picks(registry, 2))).toEqual(new Set(['a', 'b']))
  })
})
