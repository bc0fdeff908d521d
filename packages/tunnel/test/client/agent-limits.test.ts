// Limits that an agent asks for: what is sent, and what it says when the server does not apply all of them.
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { checkLimits, readLimits } from '../../src/protocol/endpoint-limits.ts'
import { at, startPikoServer, startServer, type TestServer } from '../peers.ts'

const RATE = { amount: 5, periodMs: 1000 }
const FAST = { amount: 1 << 20, periodMs: 1000 }
const ALL = {
  rate: RATE,
  ratePerVisitor: RATE,
  concurrent: 2,
  maxBodyBytes: 0,
  maxTimeMs: 10,
  upload: FAST,
  download: FAST,
}

function ignoredBy(url: string, limits: object) {
  const agent = new Agent({ url })
  onTestFinished(() => agent.destroy())
  const listener = agent.listen('web', { limits })
  const ignored: unknown[] = []
  listener.on('limitsIgnored', (names) => ignored.push(names))
  return { agent, listener, ignored }
}

/** A server that is told the limits of its endpoints. */
async function limiting(): Promise<{ server: TestServer; told: unknown[] }> {
  const server = await startServer()
  const told: unknown[] = []
  server.registry.onLimits = (endpoint, limits) => told.push([endpoint, limits])
  return { server, told }
}

test('the server is told them, and confirms them', async () => {
  const { server, told } = await limiting()
  const { listener, ignored } = ignoredBy(server.url, ALL)
  await listener.ready()
  expect(told[0]).toEqual([at('web'), [ALL]])
  await listener.close()
  expect(told.at(-1)).toEqual([at('web'), []])
  expect(ignored).toEqual([])
})

test('a server that applies none is named once, whatever the number of sessions', async () => {
  const server = await startServer()
  const { agent, listener, ignored } = ignoredBy(server.url, { concurrent: 2, rate: RATE })
  await until(() => agent.sessions === 2)
  // The answer to the release comes behind those of the registrations.
  await listener.close()
  expect(ignored).toEqual([['rate', 'concurrent']])
})

test('so is a server of Piko', async () => {
  const server = await startPikoServer()
  const { listener, ignored } = ignoredBy(server.url, { concurrent: 2 })
  await listener.ready()
  await new Promise<void>((resolve) => process.nextTick(resolve))
  expect(ignored).toEqual([['concurrent']])
})

test.for([
  ['nothing', undefined, undefined],
  ['no object', 'rate', undefined],
  ['no limit', {}, undefined],
  ['a limit of a later version', { later: 1, concurrent: 1 }, { concurrent: 1 }],
  ['a rate of nothing', { rate: { amount: 0, periodMs: 1000 } }, undefined],
  ['a rate without a period', { rate: { amount: 1 } }, undefined],
  ['a rate in an instant', { rate: { amount: 1, periodMs: 0 } }, undefined],
  ['a rate that is a number', { rate: 1 }, undefined],
  ['a bandwidth that is too low', { upload: { amount: 8191, periodMs: 1000 } }, undefined],
  ['none at once', { concurrent: 0 }, undefined],
  ['a broken number', { concurrent: 1.5, maxBodyBytes: -1, maxTimeMs: 9 }, undefined],
  ['a member of the prototype', { constructor: 1, toString: 1 }, undefined],
  ['all', ALL, ALL],
] as const)('of %s the server reads %j as %j', ([, sent, read]) => {
  expect(readLimits(sent)).toEqual(read)
})

test('limits that limit nothing are not sent, and those that no server takes are an error', () => {
  const unlimited = { amount: Infinity, periodMs: 1000 }
  expect(checkLimits({ rate: unlimited, maxTimeMs: Infinity, upload: undefined })).toBeUndefined()
  expect(() => checkLimits({ download: { amount: 1, periodMs: 1000 } })).toThrow(
    'limits.download is out of range',
  )
})
