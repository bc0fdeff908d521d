// An endpoint whose service is the proxy port that serves it: each request comes back as another one.
import { createServer } from 'node:http'

import { Agent, forward } from '@proj/tunnel'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { expect, it } from 'vitest'

import { request, startServer } from '../tunnel-fixture.ts'
import type { ProxyOptions } from '../../src/proxy/proxy-options.ts'

const CLOSE = 'Connection: close'

/** A server with the endpoint `web`, whose service is its own proxy port. */
async function looped(edge: ProxyOptions = {}) {
  const server = await startServer(edge)
  const port = server.listeners.proxy.bound[0]?.port ?? 0
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const agent = new Agent({ url, connections: 1 })
  const service = { host: '127.0.0.1', port }
  await forward(agent, 'web', { kind: 'http', service }).ready()
  return {
    server,
    port,
    agent,
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      server.destroy()
    },
  }
}

it.each([
  [1, 2],
  [undefined, 4],
  [5, 6],
])('a request that goes round is refused after maxHops %s', async (maxHops, requests) => {
  await using path = await looped(maxHops === undefined ? {} : { maxHops })
  const answer = await exchangeRaw(path.port, request('GET /', CLOSE))
  expect(answer.status).toBe(508)
  expect(path.server.edge.stats.requests).toBe(requests)
})

it('names the cause where it is found', async () => {
  await using path = await looped()
  const answer = await exchangeRaw(path.port, request('GET /', CLOSE, 'Adit-Hops: 3'))
  expect(answer.status).toBe(508)
  expect(answer.headers['adit-error']).toBe('loop_detected')
  expect(path.server.edge.stats.requests).toBe(1)
})

it.each(['Adit-Hops: 0', 'Adit_Hops: -9', 'Connection: adit-hops', 'Adit-Hops: x'])(
  'a visitor who writes %j gets no more rounds',
  async (line) => {
    await using path = await looped()
    const answer = await exchangeRaw(path.port, request('GET /', CLOSE, line))
    expect(answer.status).toBe(508)
    expect(path.server.edge.stats.requests).toBeLessThanOrEqual(4)
  },
)

it('a chain of three servers is no loop', async () => {
  const http = createServer((req, res) => res.end(req.headers['adit-hops']))
  const service = await listening(http)
  await using last = await looped()
  await using second = await looped()
  await using first = await looped()
  const chain = [first, second, last]
  for (const [at, { agent }] of chain.entries()) {
    const port = chain[at + 1]?.port ?? service.port
    await forward(agent, 'app', { kind: 'http', service: { host: '127.0.0.1', port } }).ready()
  }
  const head = request('GET /', CLOSE, 'X-Piko-Endpoint: app')
  expect((await exchangeRaw(first.port, head)).body.toString()).toBe('3')
  await service.close()
})
