// The registry of a node: what other nodes serve comes second, and what all of them demand holds.
import { describe, expect, test, vi } from 'vitest'

import {
  areEqualRules,
  type RemoteRoute,
  type RemoteUpstreams,
} from '../../src/server/remote-upstreams.ts'
import { coversDigests, digestsOf } from '../../src/server/rule-digests.ts'
import { agentKeyOf, formatAgents } from '../../src/server/agent-key.ts'
import { UpstreamRegistry } from '../../src/server/upstream-registry.ts'
import type { Upstream } from '../../src/server/upstream.ts'
import { MOVED_MS, VisitorWaits } from '../../src/server/visitor-waits.ts'
import type { VisitorRules } from '../../src/protocol/visitor-rules.ts'
import type { Endpoint } from '../../src/protocol/endpoint.ts'
import { at } from '../peers.ts'
import { FakeUpstream } from './fake-upstream.ts'

interface Route extends RemoteRoute {
  readonly to: Upstream
  readonly load: number
}

class Nodes implements RemoteUpstreams<VisitorRules, Route> {
  list: readonly Route[] = []
  asked = 0
  readonly bound = new Map<string, Upstream>()
  readonly hasLongLived = false

  routes(endpoint: Endpoint): readonly Route[] {
    return endpoint.name === 'web' && endpoint.tenant === '' ? this.list : []
  }

  upstream({ to }: Route, _: Endpoint, agentKey?: string): Upstream {
    if (agentKey === undefined) return to
    const id = `${to.id} ${agentKey}`
    const known = this.bound.get(id)
    if (known !== undefined) return known
    const bound = Object.assign(new FakeUpstream(to.peer, id), { isRemote: true, agentKey })
    this.bound.set(id, bound)
    return bound
  }

  endLongLived(): void {}

  load({ load }: Route): number {
    return load
  }

  rules({ rules }: Route): readonly VisitorRules[] {
    this.asked += 1
    return rules === undefined ? [] : [rule(rules)]
  }
}

const rule = (id: string): VisitorRules => ({ id, admitsConnection: () => true })

function routeTo(to: Upstream, facts: Partial<Route> = {}): Route {
  const none = {
    reuse: undefined,
    strictness: undefined,
    rules: undefined,
    limits: undefined,
    agents: undefined,
    isDown: false,
  }
  return { kind: 'http', sessions: 1, load: 0, ...none, ...facts, to }
}

function registryOf(nodes: Nodes, ...local: readonly Upstream[]): UpstreamRegistry {
  const registry = new UpstreamRegistry()
  registry.setRemote(nodes)
  for (const upstream of local) registry.add(at('web'), upstream)
  return registry
}

const ids = (rules: readonly VisitorRules[] | undefined) => rules?.map(({ id }) => id)

describe('a visitor', () => {
  test('gets a session of its own node, then the node with the least to do, then what is silent', () => {
    const nodes = new Nodes()
    const [local, b, c] = ['local', 'b', 'c'].map((id) => new FakeUpstream(id))
    if (local === undefined || b === undefined || c === undefined) throw new Error('none')
    nodes.list = [routeTo(b, { load: 7 }), routeTo(c, { load: 3 })]
    const registry = registryOf(nodes, local)
    const order = (pick: (tried: ReadonlySet<Upstream>) => Upstream | undefined): string[] => {
      const tried = new Set<Upstream>()
      for (let one = pick(tried); one !== undefined; one = pick(tried)) tried.add(one)
      return [...tried].map(({ id }) => id)
    }
    const picked = () => order((tried) => registry.pick(at('web'), tried))
    expect(picked()).toEqual(['local', 'c', 'b'])
    expect(order((tried) => registry.pickHttp(at('web'), tried))).toEqual(['local', 'c', 'b'])
    expect(order((tried) => registry.pickLocal(at('web'), tried))).toEqual(['local'])
    local.suspect = true
    expect(picked()).toEqual(['c', 'b', 'local'])
    c.suspect = true
    expect(picked()).toEqual(['b', 'local', 'c'])
    b.leave.abort()
    expect(picked()).toEqual(['local', 'c'])
    expect(registry.pick(at('web', 'other'))).toBeUndefined()
  })

  test('gets another node before a session of its own whose service is down', () => {
    const nodes = new Nodes()
    const [down, up, b] = ['down', 'up', 'b'].map((id) => new FakeUpstream(id))
    if (down === undefined || up === undefined || b === undefined) throw new Error('none')
    nodes.list = [routeTo(b)]
    const registry = registryOf(nodes, down, up)
    registry.setHealth(at('web'), down, false)
    for (const pick of [registry.pick.bind(registry), registry.pickHttp.bind(registry)]) {
      expect(pick(at('web'))?.id).toBe('up')
      expect(pick(at('web'), new Set([up]))?.id).toBe('b')
      expect(pick(at('web'), new Set([up, b]))?.id).toBe('down')
    }
  })

  test('gets a node whose agents are all down after its own sessions, and a silent one of them last', () => {
    const nodes = new Nodes()
    const [own, down, up, silent] = ['own', 'down', 'up', 'silent'].map(
      (id) => new FakeUpstream(id),
    )
    if (own === undefined || down === undefined || up === undefined) throw new Error('none')
    if (silent === undefined) throw new Error('none')
    silent.suspect = true
    nodes.list = [
      routeTo(silent, { isDown: true }),
      routeTo(down, { isDown: true }),
      routeTo(up, { load: 9 }),
    ]
    const registry = registryOf(nodes, own)
    registry.setHealth(at('web'), own, false)
    for (const pick of [registry.pick.bind(registry), registry.pickHttp.bind(registry)]) {
      const tried = new Set<Upstream>()
      for (let one = pick(at('web'), tried); one !== undefined; one = pick(at('web'), tried)) {
        tried.add(one)
      }
      expect([...tried].map(({ id }) => id)).toEqual(['up', 'own', 'down', 'silent'])
    }
  })

  test('that is bound to an agent has it, whichever node it is connected to', () => {
    const nodes = new Nodes()
    const [b, c] = [new FakeUpstream('b'), new FakeUpstream('c')]
    const keys = ['one', 'two', 'three'].map((peer) => agentKeyOf(at('web'), peer))
    const [one = '', two = '', three = ''] = keys
    const listOf = (...listed: string[]) =>
      formatAgents(listed.map((key) => ({ key, weight: 100 })))
    nodes.list = [routeTo(b, { agents: listOf(two) }), routeTo(c, { agents: listOf(two, three) })]
    const own = new FakeUpstream('one')
    const registry = registryOf(nodes, own)
    registry.setBalance(() => 'cookie')
    registry.remoteChanged(at('web'))
    const pick = (key?: string, tried?: ReadonlySet<Upstream>) =>
      registry.pickHttp(at('web'), tried, key)
    const find = (...asked: string[]) =>
      registry.findByKey(at('web'), new Map(asked.map((key, place) => [key, place])))
    expect([find(three, one), find('x', two), find('x'), find()]).toEqual([
      three,
      two,
      undefined,
      undefined,
    ])
    expect(pick(one)?.id).toBe('one')
    expect(pick(three)?.id).toBe(`c ${three}`)
    expect(registry.keyOf(at('web'), pick(three) ?? own)).toBe(three)
    expect(registry.keyOf(at('web'), own)).toBe(one)
    // It has another one only when that cannot be had.
    const atB = pick(two)
    const atC = pick(two, new Set(atB && [atB]))
    expect(new Set([atB?.id, atC?.id])).toEqual(new Set([`b ${two}`, `c ${two}`]))
    expect(pick(two, new Set(atB && atC && [atB, atC]))?.id).toBe('one')
    c.suspect = true
    expect(pick(three)?.id).toBe(`c ${three}`) // the fake of the agent answers
    Object.assign(pick(three) ?? {}, { suspect: true })
    expect(pick(three)?.id).toBe('one')
    // Those of TCP are not bound.
    expect(registry.pick(at('web'), undefined, two)?.id).toBe('one')
  })

  test('without a cookie is bound to one of a node, in turn; a node of an earlier version chooses itself', () => {
    const nodes = new Nodes()
    const b = new FakeUpstream('b')
    const keys = ['one', 'two'].map((peer) => agentKeyOf(at('web'), peer))
    const agents = formatAgents(keys.map((key) => ({ key, weight: 100 })))
    const registry = registryOf(nodes)
    nodes.list = [routeTo(b)]
    registry.remoteChanged(at('web'))
    expect(registry.isByCookie(at('web'))).toBe(false)
    expect(registry.pickHttp(at('web'))).toBe(b)
    expect(registry.keyOf(at('web'), Object.assign(b, { isRemote: true }))).toBeUndefined()
    nodes.list = [routeTo(b, { agents })]
    registry.remoteChanged(at('web'))
    expect(registry.isByCookie(at('web'))).toBe(true)
    const picked = [1, 2, 3, 4].map(() => registry.pickHttp(at('web'))?.id)
    expect(new Set(picked)).toEqual(new Set(keys.map((key) => `b ${key}`)))
    expect(picked.slice(0, 2)).toEqual(picked.slice(2))
    // One that was tried is not chosen again.
    const tried = new Set<Upstream>()
    for (let turn = 0; turn < 3; turn++) {
      const one = registry.pickHttp(at('web'), tried)
      if (one !== undefined) tried.add(one)
    }
    expect(tried.size).toBe(2)
  })

  test('of HTTP gets no node that serves TCP alone', () => {
    const nodes = new Nodes()
    const [b, c] = [new FakeUpstream('b'), new FakeUpstream('c')]
    nodes.list = [routeTo(b, { kind: 'tcp' })]
    const registry = registryOf(nodes)
    expect(registry.pick(at('web'))?.id).toBe('b')
    expect(registry.pickHttp(at('web'))).toBeUndefined()
    expect(registry.isTcpOnly(at('web'))).toBe(true)
    nodes.list = [...nodes.list, routeTo(c, { kind: undefined })]
    expect(registry.pickHttp(at('web'))?.id).toBe('c')
    expect(registry.isTcpOnly(at('web'))).toBe(false)
    nodes.list = [routeTo(b, { kind: 'http' })]
    registry.add(at('web'), c, undefined, 'tcp')
    expect(registry.isTcpOnly(at('web'))).toBe(false)
  })

  test('takes turns between nodes with the same to do', () => {
    const nodes = new Nodes()
    nodes.list = ['b', 'c', 'd'].map((id) => routeTo(new FakeUpstream(id)))
    const registry = registryOf(nodes)
    const picked = Array.from({ length: 6 }, () => registry.pick(at('web'))?.id)
    expect(picked).toEqual(['b', 'c', 'd', 'b', 'c', 'd'])
  })

  test('waits no more when another node serves the endpoint', async () => {
    const nodes = new Nodes()
    const registry = new UpstreamRegistry(new VisitorWaits({ absentWaitMs: 60_000 }))
    registry.setRemote(nodes)
    registry.remoteChanged(at('web'))
    expect(registry.waits.expects(at('web'))).toBe(false)
    registry.remoteChanged(at('web'), true)
    const served = registry.waits.whenServed(at('web'))
    expect(served).toBeDefined()
    nodes.list = [routeTo(new FakeUpstream('b'))]
    registry.remoteChanged(at('web'))
    await served
    expect(registry.waits.expects(at('web'))).toBe(false)
  })
})

test('counts are of all nodes, and what is told of this node is not', () => {
  const nodes = new Nodes()
  const [local, b] = [new FakeUpstream('local'), new FakeUpstream('b')]
  nodes.list = [routeTo(b, { sessions: 3 })]
  const registry = registryOf(nodes)
  expect([registry.count(at('web')), registry.countLocal(at('web'))]).toEqual([3, 0])
  expect([registry.agents(at('web')), registry.agents(at('other'))]).toEqual([1, 0])
  expect([registry.snapshot().size, registry.sessions(at('web')).length]).toEqual([0, 0])
  expect(registry.takenAt(at('web'))).toBeUndefined()
  expect(registry.hasOther(at('web'), b)).toBe(false)
  registry.add(at('web'), local)
  expect([registry.count(at('web')), registry.countLocal(at('web'))]).toEqual([4, 1])
  expect([registry.hasOther(at('web'), b), registry.hasOther(at('web'), local)]).toEqual([
    true,
    true,
  ])
  b.suspect = true
  expect(registry.hasOther(at('web'), local)).toBe(false)
})

describe('the rules for visitors', () => {
  test('are those of all nodes and of the operator, in one list until one changes', () => {
    const nodes = new Nodes()
    const [local, b] = [new FakeUpstream('local'), new FakeUpstream('b')]
    const registry = registryOf(nodes)
    const changed = (list: readonly Route[]): void => {
      nodes.list = list
      registry.remoteChanged(at('web'))
    }
    expect(registry.hasRules).toBe(true)
    expect(registry.rules(at('web'))).toBeUndefined()
    changed([routeTo(b, { rules: 'one' }), routeTo(b, { rules: 'two' }), routeTo(b)])
    const first = registry.rules(at('web'))
    expect(ids(first)).toEqual(['one', 'two'])
    expect(registry.rules(at('web'))).toBe(first)
    expect(nodes.asked).toBe(3)
    registry.add(at('web'), local, rule('local'))
    expect(ids(registry.rules(at('web')))).toEqual(['local', 'one', 'two'])
    registry.setStandingRules(() => [rule('operator')])
    expect(ids(registry.rules(at('web')))).toEqual(['operator', 'local', 'one', 'two'])
    registry.remove(at('web'), local)
    expect(ids(registry.rules(at('web')))).toEqual(['operator', 'one', 'two'])
    changed([routeTo(b)])
    expect(ids(registry.rules(at('web')))).toEqual(['operator'])
    registry.setStandingRules(() => [])
    expect(registry.rules(at('web'))).toBeUndefined()
    changed([])
    expect(registry.rules(at('web'))).toBeUndefined()
  })

  test('are compared by name', () => {
    const [one, two] = [rule('1'), rule('2')]
    expect(areEqualRules([one, two], [rule('2'), rule('1')])).toBe(true)
    expect(areEqualRules([one], [one, two])).toBe(false)
    expect(areEqualRules([one], [two])).toBe(false)
    expect(areEqualRules(undefined, [one])).toBe(false)
    expect(areEqualRules(undefined, undefined)).toBe(true)
  })

  test('of a visitor that another node has checked have to be all of these', () => {
    const [one, two] = [rule('1'), rule('2')]
    const both = digestsOf([one, two])
    expect(both.length).toBe(16)
    expect(coversDigests(both, digestsOf([two]))).toBe(true)
    expect(coversDigests(both, digestsOf([two, one]))).toBe(true)
    expect(coversDigests(digestsOf([one]), both)).toBe(false)
    expect(coversDigests(digestsOf(undefined), digestsOf([]))).toBe(true)
    expect(coversDigests(digestsOf([]), digestsOf([one]))).toBe(false)
  })
})

test('the strictest of what is asked for holds, wherever it is asked for', () => {
  const nodes = new Nodes()
  const [local, b] = [new FakeUpstream('local'), new FakeUpstream('b')]
  const registry = registryOf(nodes)
  expect([registry.reuse(at('web'), 'safe'), registry.strictness(at('web'))]).toEqual([
    'safe',
    'lenient',
  ])
  nodes.list = [routeTo(b, { reuse: 'always', strictness: 'strict' })]
  expect([registry.reuse(at('web'), 'safe'), registry.strictness(at('web'))]).toEqual([
    'always',
    'strict',
  ])
  registry.add(at('web'), local)
  expect(registry.reuse(at('web'), 'safe')).toBe('safe')
  registry.add(at('web'), local, undefined, 'http', { reuse: 'never' })
  expect(registry.reuse(at('web'), 'safe')).toBe('never')
  nodes.list = [routeTo(b, { kind: 'tcp' })]
  registry.add(at('web'), local, undefined, 'http', { reuse: 'always' })
  expect([registry.reuse(at('web'), 'safe'), registry.strictness(at('web'))]).toEqual([
    'always',
    'lenient',
  ])
})

test('an endpoint whose agent has left is expected for a moment on another node, where there are any', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  try {
    const alone = new UpstreamRegistry()
    const node = new UpstreamRegistry()
    node.setRemote(new Nodes())
    for (const registry of [alone, node]) {
      const agent = new FakeUpstream('a')
      registry.add(at('web'), agent)
      registry.remove(at('web'), agent)
    }
    expect([alone, node].map(({ waits }) => waits.expects(at('web')))).toEqual([false, true])
    node.remoteChanged(at('other'))
    expect(node.waits.expects(at('web'))).toBe(true)
    vi.advanceTimersByTime(MOVED_MS)
    expect(node.waits.expects(at('web'))).toBe(false)
  } finally {
    vi.useRealTimers()
  }
})
