// Every connection counts until it is closed, whatever it carries, and all ports share the descriptors of
// the process.
import { connect as connectSocket, createServer, type Socket } from 'node:net'

import { forward } from '@proj/tunnel'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { type Fixture, type FixtureOptions, request, tunnel } from './tunnel-fixture.ts'

const SWITCH = 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

const MANY = { visitors: 99, visitorsPerSource: 99, all: 99, unauthenticated: 99, admin: 99 }

/** Upgrades when asked to, and answers 200 else. */
function upgrading(socket: Socket): void {
  socket.on('data', (chunk) => socket.write(chunk.includes('Upgrade') ? SWITCH : OK))
  socket.on('end', () => socket.end())
}

async function path(options: FixtureOptions): Promise<Fixture> {
  const made = await tunnel({ tcp: upgrading, ...options })
  onTestFinished(() => made[Symbol.asyncDispose]())
  return made
}

/** The status of one request on a connection of its own. */
async function status({ port }: Fixture): Promise<number> {
  using visitor = await connectRaw(port)
  await visitor.send(request('GET /'))
  return (await visitor.readResponse()).status
}

test.each([{ maxConnections: 1 }, { maxConnectionsPerSource: 1 }])(
  'an upgraded connection counts for %j until it is closed, and is not dropped as idle',
  async (edge) => {
    const made = await path({ edge })
    using upgraded = await made.visit()
    await upgraded.send(request('GET /', 'Connection: Upgrade', 'Upgrade: x'))
    expect((await upgraded.readResponse()).status).toBe(101)
    expect(await status(made)).toBe(503)
    upgraded.end()
    await upgraded.ended
    await until(() => made.server.edge.sockets.open === 0)
    expect(await status(made)).toBe(200)
  },
)

test('an access counts as a visitor of its source until it is closed', async () => {
  const made = await path({ edge: { maxConnectionsPerSource: 1 } })
  using access = await made.visit()
  await access.send(
    request(
      'GET /piko/v1/connect/web',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ),
  )
  expect((await access.readResponse()).status).toBe(101)
  expect(await status(made)).toBe(503)
  access.reset()
  await until(() => made.server.edge.sockets.open === 0)
  expect(await status(made)).toBe(200)
})

/** A path with a public port, whose service says `x` at once. */
async function withPublicPort(options: Partial<FixtureOptions['server']> = {}) {
  const range = await freePorts(1)
  const made = await path({ server: { publicPorts: { ranges: [range] }, ...options } })
  const service = await listening(createServer((socket) => socket.write('x')))
  onTestFinished(() => service.close())
  const { host, port } = service
  await forward(made.agent, 'pg', {
    kind: 'tcp',
    publicPort: range.first,
    service: { host, port },
  }).ready()
  const { visitors } = made.server.publicPorts
  return { made, publicPort: range.first, sockets: visitors.sockets }
}

/** How a connection to a public port ends before its first byte; `x`: it was served. */
async function firstByte(port: number): Promise<string> {
  return await new Promise((resolve) => {
    // Does not close with the server, which has to keep its descriptor while the peer may read.
    const socket = connectSocket({ port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => resolve('reset'))
    socket.once('data', (chunk) => resolve(chunk.toString()))
  })
}

test('visitors of public ports and of the proxy port share the descriptors', async () => {
  const connections = { ...MANY, visitors: 1 }
  const { made, publicPort, sockets } = await withPublicPort({ connections })
  // An idle visitor of the proxy port goes for one of a public port,
  using idle = await made.visit()
  await idle.send(request('GET /'))
  await idle.readResponse()
  expect(await firstByte(publicPort)).toBe('x')
  await idle.ended
  // which is never idle.
  expect(await status(made)).toBe(503)
  expect(await firstByte(publicPort)).toBe('reset')
  expect(sockets.rejected.descriptors).toBe(1)
  expect(made.server.edge.sockets.rejected.descriptors).toBe(1)
})

test('one source has one share of the descriptors on all ports together', async () => {
  const connections = { ...MANY, visitorsPerSource: 1 }
  const { made, publicPort, sockets } = await withPublicPort({ connections })
  expect(await firstByte(publicPort)).toBe('x')
  expect(await status(made)).toBe(503)
  expect(await firstByte(publicPort)).toBe('reset')
  expect([sockets.rejected.source, made.server.edge.sockets.rejected.source]).toEqual([1, 1])
})

test('public ports have a limit for each source', async () => {
  const range = await freePorts(1)
  const publicPorts = { ranges: [range], maxConnectionsPerSource: 1 }
  const made = await path({ server: { publicPorts } })
  const service = await listening(createServer((socket) => socket.write('x')))
  onTestFinished(() => service.close())
  const { host, port } = service
  const pg = forward(made.agent, 'pg', {
    kind: 'tcp',
    publicPort: range.first,
    service: { host, port },
  })
  await pg.ready()
  expect(await firstByte(range.first)).toBe('x')
  expect(await firstByte(range.first)).toBe('reset')
})

test('more rejected visitors than may stay to be told are reset', async () => {
  const made = await path({ edge: { maxConnectionsPerSource: 1 } })
  using busy = await made.visit()
  await busy.send(request('GET /', 'Connection: Upgrade', 'Upgrade: x'))
  await busy.readResponse()
  const { sockets } = made.server.edge
  const endings: Promise<string>[] = []
  for (let at = 0; at < 40; at++) endings.push(firstByte(made.port))
  const seen = await Promise.all(endings)
  expect(sockets.rejected.source).toBe(40)
  expect(seen.filter((text) => text.startsWith('HTTP/1.1 503')).length).toBeGreaterThanOrEqual(16)
  expect(seen).toContain('reset')
})

test('the admin port has a share of the descriptors', async () => {
  const made = await path({ server: { connections: { ...MANY, admin: 1 } } })
  const port = made.server.listeners.admin.bound[0]?.port ?? 0
  using silent = await connectRaw(port)
  using second = await connectRaw(port)
  const answer = await second.readResponse()
  expect([answer.status, answer.headers['adit-error']]).toEqual([503, 'too_many_connections'])
  silent.reset()
  await until(async () => (await fetch(`http://127.0.0.1:${port}/health`)).status === 200)
})
