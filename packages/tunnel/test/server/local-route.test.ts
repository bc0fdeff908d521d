// What other processes have to know of an endpoint that this one serves.
import { once } from 'node:events'

import { expect, onTestFinished, test, vi } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { type LocalRoute, readRouteRules } from '../../src/server/local-route.ts'
import type { Endpoint } from '../../src/protocol/endpoint.ts'
import type { ReadVisitorRules } from '../../src/protocol/visitor-rules.ts'
import { UpstreamRegistry } from '../../src/server/upstream-registry.ts'
import { at, startServer } from '../peers.ts'
import { FakeUpstream } from './fake-upstream.ts'

const readVisitorRules: ReadVisitorRules = (rules, kind) => ({
  id: `${kind} ${JSON.stringify(rules)}`,
  admitsConnection: () => true,
})

test('the route event tells of all changes of one turn once', async () => {
  const server = await startServer({ readVisitorRules })
  const { registry } = server
  const routes: (LocalRoute | undefined)[] = []
  registry.on('route', (_: Endpoint, route) => routes.push(route))
  await using agent = new Agent({ url: server.url, connections: 1 })
  const visitors = { allowFrom: ['127.0.0.1'] }
  const changed = once(registry, 'route')
  await agent.listen('web', { visitors, reuse: 'never', exclusive: true }).ready()
  expect((await changed)[0]).toEqual(at('web'))
  const rules = routes[0]?.rules ?? ''
  expect(routes).toEqual([
    {
      identity: 'anonymous',
      kind: 'http',
      sessions: 1,
      exclusive: true,
      peer: registry.sessions(at('web'))[0]?.peer,
      reuse: 'never',
      strictness: undefined,
      limits: undefined,
      agents: undefined,
      rules,
      isDown: false,
      epoch: undefined,
    },
  ])
  expect([...registry.localRoutes()]).toEqual([[at('web'), routes[0]]])
  // What another process reads is what this one has.
  const [own] = registry.rules(at('web')) ?? []
  expect(readRouteRules(rules, readVisitorRules).map(({ id }) => id)).toEqual([own?.id])
  const [session] = registry.sessions(at('web'))
  if (session === undefined) throw new Error('no session')
  const over = once(registry, 'route')
  registry.remove(at('web'), session)
  registry.add(at('web'), session, undefined, 'tcp', { epoch: 7 })
  registry.remove(at('web'), session)
  await over
  expect(routes.slice(1)).toEqual([undefined])
  expect(registry.localRoute(at('web'))).toBeUndefined()
})

test('health is told when it changed for all sessions, and at most once a second', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const registry = new UpstreamRegistry()
  const told: (boolean | undefined)[] = []
  const [a, b] = [new FakeUpstream('a'), new FakeUpstream('b')]
  for (const one of [a, b]) registry.add(at('web'), one)
  registry.on('route', (_: Endpoint, route) => told.push(route?.isDown))
  registry.setHealth(at('web'), a, false)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(told).toEqual([])
  registry.setHealth(at('web'), b, false)
  await vi.advanceTimersByTimeAsync(1)
  expect(told).toEqual([true])
  for (let turn = 0; turn < 101; turn++) {
    registry.setHealth(at('web'), b, turn % 2 === 0)
    await vi.advanceTimersByTimeAsync(1)
  }
  expect(told).toEqual([true])
  await vi.advanceTimersByTimeAsync(1_000)
  expect(told).toEqual([true, false])
})

test.each([
  ['no JSON', '['],
  ['no list', '{}'],
  ['no rule', '[1]'],
  ['a kind that is not known', '[["udp",{}]]'],
  ['rules that are no object', '[["http",null]]'],
])('rules of a route with %s are not read', (_, text) => {
  expect(() => readRouteRules(text, readVisitorRules)).toThrow(/./)
})
