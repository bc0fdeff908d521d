// How one of several agents of an endpoint is chosen: by weight, by load, by visitor.
import { Agent, forward } from '../../src/index.ts'
import { createServer } from 'node:http'

import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { type Candidate, choose } from '../../src/server/balance.ts'
import { UpstreamRegistry } from '../../src/server/upstream-registry.ts'
import { FakeUpstream } from './fake-upstream.ts'
import { at, startServer } from '../peers.ts'

const candidate = (peer: string, weight = 100, openStreams = 0): Candidate => ({
  peer,
  weight,
  credit: 0,
  openStreams,
})

const chosen = (
  candidates: readonly Candidate[],
  count: number,
  balance: Parameters<typeof choose>[1] = 'round-robin',
): (string | undefined)[] =>
  Array.from({ length: count }, () => choose(candidates, balance, undefined)?.peer)

const visitors = Array.from({ length: 1000 }, (_, n) => `192.0.${n >> 8}.${n & 255}`)
const placed = (candidates: readonly Candidate[]): (string | undefined)[] =>
  visitors.map((visitor) => choose(candidates, 'visitor', visitor)?.peer)

describe('in turn', () => {
  test('agents of equal weights take strict turns', () => {
    const three = [candidate('a'), candidate('b'), candidate('c')]
    expect(chosen(three, 6)).toEqual(['a', 'b', 'c', 'a', 'b', 'c'])
  })

  test('weights are kept exactly, and the turns of one agent are spread', () => {
    const two = [candidate('new', 5), candidate('old', 95)]
    const turns = chosen(two, 100)
    expect(turns.filter((one) => one === 'new')).toHaveLength(5)
    const gaps = turns.flatMap((one, index) => (one === 'new' ? [index] : []))
    expect(gaps.map((index, n) => index - (gaps[n - 1] ?? index - 20))).toEqual([
      20, 20, 20, 20, 20,
    ])
  })

  test('nothing is chosen of none', () => {
    expect(chosen([], 1)).toEqual([undefined])
  })
})

describe('the least busy', () => {
  test('has the fewest streams for its weight; equal ones take turns', () => {
    expect(chosen([candidate('a', 100, 3), candidate('b', 100, 2)], 2, 'least-busy')).toEqual([
      'b',
      'b',
    ])
    expect(chosen([candidate('a', 200, 3), candidate('b', 100, 2)], 1, 'least-busy')).toEqual(['a'])
    const equal = [candidate('a', 100, 1), candidate('b', 100, 1)]
    expect(chosen(equal, 4, 'least-busy')).toEqual(['a', 'b', 'a', 'b'])
  })
})

describe('by visitor', () => {
  const four = ['a', 'b', 'c', 'd'].map((peer) => candidate(peer))

  test('each address has one agent, whatever came before and in whatever order agents came', () => {
    expect(placed(four)).toEqual(placed(four.toReversed()))
  })

  test('a /64 of IPv6 has one agent, and other ones others; IPv4 in IPv6 is IPv4', () => {
    const agentOf = (visitor: string) => choose(four, 'visitor', visitor)?.peer
    const within = visitors.map((_, n) => agentOf(`2001:db8:0:7::${n.toString(16)}`))
    expect(new Set(within).size).toBe(1)
    const beyond = visitors.map((_, n) => agentOf(`2001:db8:0:${n.toString(16)}::1`))
    expect(new Set(beyond)).toEqual(new Set(['a', 'b', 'c', 'd']))
    expect(visitors.map((visitor) => agentOf(`::ffff:${visitor}`))).toEqual(placed(four))
  })

  test('addresses are spread over agents', () => {
    const counts = four.map(({ peer }) => placed(four).filter((one) => one === peer).length)
    expect(Math.min(...counts)).toBeGreaterThan(200)
    expect(Math.max(...counts)).toBeLessThan(300)
  })

  test('when an agent leaves, its visitors move and no others', () => {
    const before = placed(four)
    const after = placed(four.filter(({ peer }) => peer !== 'b'))
    const moved = before.filter((peer, index) => peer !== after[index])
    expect(new Set(moved)).toEqual(new Set(['b']))
    expect(after).not.toContain('b')
  })

  test('an agent with a small weight has as few visitors', () => {
    const count = placed([candidate('new', 5), candidate('old', 95)]).filter((one) => one === 'new')
    expect(count.length).toBeGreaterThan(25)
    expect(count.length).toBeLessThan(75)
  })

  test('without an address agents take turns', () => {
    expect(chosen(four, 4, 'visitor')).toEqual(['a', 'b', 'c', 'd'])
  })
})

describe('the registry', () => {
  const picks = (registry: UpstreamRegistry, count: number, visitor?: string) =>
    Array.from({ length: count }, () => registry.pick(at('web'), undefined, visitor)?.id)

  test('uses the weights of agents, of one with several sessions once', () => {
    const registry = new UpstreamRegistry()
    registry.add(at('web'), new FakeUpstream('old'), undefined, 'http', { weight: 75 })
    registry.add(at('web'), new FakeUpstream('new', 'new1'), undefined, 'http', { weight: 25 })
    registry.add(at('web'), new FakeUpstream('new', 'new2'), undefined, 'http', { weight: 25 })
    const all = picks(registry, 40)
    expect(all.filter((id) => id === 'old')).toHaveLength(30)
    expect(all.filter((id) => id === 'new1')).toHaveLength(5)
    expect(all.filter((id) => id === 'new2')).toHaveLength(5)
  })

  test('a later registration of an agent changes its weight', () => {
    const registry = new UpstreamRegistry()
    const [a, b] = [new FakeUpstream('a'), new FakeUpstream('b')]
    registry.add(at('web'), a, undefined, 'http', { weight: 1 })
    registry.add(at('web'), b, undefined, 'http', { weight: 9 })
    expect(picks(registry, 10).filter((id) => id === 'a')).toHaveLength(1)
    registry.add(at('web'), a, undefined, 'http', { weight: 9 })
    expect(picks(registry, 10).filter((id) => id === 'a')).toHaveLength(5)
  })

  test('takes an agent that is silent or tried only without another', () => {
    const registry = new UpstreamRegistry()
    const [a, b] = [new FakeUpstream('a'), new FakeUpstream('b')]
    registry.add(at('web'), a)
    registry.add(at('web'), b)
    registry.setBalance(() => 'visitor')
    const [home = ''] = picks(registry, 1, '192.0.2.1')
    const [own, other] = home === 'a' ? [a, b] : [b, a]
    expect(picks(registry, 3, '192.0.2.1')).toEqual([own.id, own.id, own.id])
    expect(registry.pick(at('web'), new Set([own]), '192.0.2.1')).toBe(other)
    own.suspect = true
    expect(picks(registry, 1, '192.0.2.1')).toEqual([other.id])
    other.suspect = true
    expect(picks(registry, 1, '192.0.2.1')).toEqual([own.id])
    own.leave.abort()
    other.leave.abort()
    expect(picks(registry, 1, '192.0.2.1')).toEqual([undefined])
  })

  test('goes to the least busy agent, and back to turns when that is no longer asked for', () => {
    const registry = new UpstreamRegistry()
    const [a, b] = [new FakeUpstream('a'), new FakeUpstream('b')]
    registry.setBalance(() => 'least-busy')
    registry.add(at('web'), a)
    registry.add(at('web'), b)
    a.openStreams = 5
    expect(picks(registry, 3)).toEqual(['b', 'b', 'b'])
    registry.setBalance(() => 'round-robin')
    expect(picks(registry, 4)).toEqual(['a', 'b', 'a', 'b'])
  })
})

test('the weight of a listener reaches the server', async () => {
  const server = await startServer()
  const service = await listening(createServer())
  onTestFinished(() => service.close())
  const weights = { old: 90, new: 10 }
  for (const [peer, weight] of Object.entries(weights)) {
    const agent = new Agent({ url: server.url, connections: 1, peer })
    onTestFinished(() => agent[Symbol.asyncDispose]())
    await forward(agent, 'web', { kind: 'http', service, weight }).ready()
  }
  // The first one was asked whether it is still there when the second one came.
  const all = () => server.registry.sessions(at('web'))
  await until(() => all().length === 2 && all().every(({ suspect }) => !suspect))
  const peers = Array.from({ length: 100 }, () => server.registry.pick(at('web'))?.peer)
  expect(peers.filter((peer) => peer === 'new')).toHaveLength(10)
})

test.for([0, 1.5, 10_001, NaN])('a weight of %d is rejected', async (weight) => {
  await using agent = new Agent({ url: 'http://127.0.0.1:1' })
  expect(() => agent.listen('web', { kind: 'http', weight })).toThrow(RangeError)
})
