// The upstream port limits its connections, and more strictly those whose peer has not authenticated.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

import { Agent, forward } from '@proj/tunnel'
import { connectRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import type { ServerOptions } from '../../src/server.ts'
import { startServer } from '../tunnel-fixture.ts'

const MANY = { visitors: 99, visitorsPerSource: 99, all: 199, unauthenticated: 99, admin: 99 }

async function started(options: Partial<ServerOptions>) {
  const server = await startServer({}, [], undefined, undefined, options)
  onTestFinished(() => server.destroy())
  const port = server.listeners.upstream.bound[0]?.port ?? 0
  return { server, port, url: `http://127.0.0.1:${port}` }
}

async function silent(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {}).resume()
  await once(socket, 'connect')
  return socket
}

async function answer(port: number) {
  using peer = await connectRaw(port)
  await peer.send('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n')
  return await peer.readResponse()
}

/** A link of one connection that has authenticated. */
async function agentAt(url: string): Promise<Agent> {
  const agent = new Agent({ url, connections: 1, backoff: { minMs: 1, baseMs: 1, maxMs: 20 } })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  await forward(agent, 'web', { kind: 'tcp', service: { host: '127.0.0.1', port: 1 } }).ready()
  return agent
}

test.each([
  ['port', { upstreamPort: { maxConnections: 1 } }],
  ['source', { upstreamPort: { maxUnauthenticatedPerSource: 1 } }],
  ['source', { connections: { ...MANY, unauthenticated: 2 } }],
  ['descriptors', { connections: { ...MANY, all: 1 } }],
] as const)('beyond %s of %j answers 503 with a code', async (limit, options) => {
  const { server, port } = await started(options)
  await silent(port)
  const { status, headers } = await answer(port)
  expect([status, headers['adit-error'], headers['retry-after']]).toEqual([
    503,
    'too_many_connections',
    '1',
  ])
  expect(server.upstreamConnections.rejected[limit]).toBe(1)
})

test('an agent that has authenticated leaves the place of one that has not', async () => {
  const { server, port, url } = await started({ upstreamPort: { maxUnauthenticatedPerSource: 1 } })
  await agentAt(url)
  expect((await answer(port)).status).toBe(404)
  expect(server.upstreamConnections.rejected.source).toBe(0)
})

test('silent connections of its address keep no agent out, and never take the place of one', async () => {
  const { server, port, url } = await started({
    upstreamPort: { maxUnauthenticatedPerSource: 2, maxConnections: 3 },
  })
  const silentOnes = [await silent(port), await silent(port)]
  // It is answered 503 until the silent ones have had their second, and then takes the place of one.
  const agent = await agentAt(url)
  await until(() => silentOnes.some((socket) => socket.destroyed))
  for (let at = 0; at < 4; at++) await silent(port)
  expect(agent.sessions).toBe(1)
  expect(server.upstreamConnections.open).toBeLessThanOrEqual(3)
})

test('an idle visitor goes for an agent where descriptors are few', async () => {
  const { server, url } = await started({ connections: { ...MANY, visitors: 1, all: 1 } })
  const visitor = await silent(server.listeners.proxy.bound[0]?.port ?? 0)
  const closed = once(visitor, 'end')
  await until(() => server.edge.sockets.open === 1)
  const agent = await agentAt(url)
  await closed
  expect(agent.sessions).toBe(1)
})
