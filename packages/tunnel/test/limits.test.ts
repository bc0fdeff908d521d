import { expect, test } from 'vitest'

import { Agent } from '../src/client/agent.ts'
import { ConsumerAcceptor } from '../src/server/consumer-acceptor.ts'
import { Consumer } from '../src/client/consumer.ts'
import { limit, TUNNEL_LIMITS } from '../src/limits.ts'
import { UpstreamAcceptor } from '../src/server/upstream-acceptor.ts'
import { UpstreamRegistry } from '../src/server/upstream-registry.ts'

const names = Object.keys(TUNNEL_LIMITS) as (keyof typeof TUNNEL_LIMITS)[]

test.each(names)('%s takes its default and both ends of its range, and nothing beyond', (name) => {
  const { default: usual, min, max } = TUNNEL_LIMITS[name]
  expect(limit(name, undefined)).toBe(usual)
  expect([limit(name, min), limit(name, max)]).toEqual([min, max])
  const beyond = [min - 1, max === Infinity ? -Infinity : max + 1, min + 0.5, Number.NaN]
  for (const value of beyond) expect(() => limit(name, value)).toThrow(`${name} must be`)
})

test('is checked when an agent or an acceptor is made', () => {
  const registry = new UpstreamRegistry()
  expect(() => new Agent({ url: 'http://x', helloTimeoutMs: 0 })).toThrow('helloTimeoutMs')
  expect(() => new Agent({ url: 'http://x', pingIntervalMs: 99 })).toThrow('pingIntervalMs')
  expect(() => new Consumer({ url: 'http://x', pingIntervalMs: 99 })).toThrow('pingIntervalMs')
  expect(() => new UpstreamAcceptor({ registry, maxSessions: 0 })).toThrow('maxSessions')
  expect(() => new UpstreamAcceptor({ registry, drainRetryAfterMs: -1 })).toThrow('drainRetryAfter')
  expect(() => new ConsumerAcceptor({ registry, maxSessions: 1.5 })).toThrow('maxSessions')
})
