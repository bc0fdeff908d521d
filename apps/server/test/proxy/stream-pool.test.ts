// Streams between two requests: how long they are kept, how many, and who looks after them.
import type { Socket } from 'node:net'

import { Agent, forward } from '@proj/tunnel'
import { slowLine } from '@proj/testkit/slow-line'
import { until } from '@proj/testkit/until'
import { expect, it } from 'vitest'

import { type Fixture, request, tunnel } from '../tunnel-fixture.ts'

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
/** The edge looks at its deadlines every tenth of a second or so. */
const SOON = { firstByteTimeoutMs: 800 }

/** A service that answers each chunk it reads, but for those that say /hold, and its connections. */
function answering() {
  const sockets: Socket[] = []
  const tcp = (socket: Socket): void => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('data', (chunk) => {
      if (!chunk.includes('/hold')) socket.write(ANSWER)
    })
  }
  return { sockets, tcp }
}

/** The look at the rates of all visitors is always there. */
const LOOKS = 1

/** Visitors' connections and streams that have a deadline. */
const watched = (path: Fixture): number => path.server.edge.deadlines.size - LOOKS

it('keeps a stream for the next request, and ends it when none comes', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp, edge: { ...SOON, idleStreamTimeoutMs: 1_000 } })
  using visitor = await path.visit()
  for (let round = 0; round < 3; round++) {
    await visitor.send(request('GET /'))
    expect((await visitor.readResponse()).status).toBe(200)
  }
  expect(sockets.length).toBe(1)
  await until(() => sockets[0]?.readableEnded)
  expect(watched(path)).toBe(1)
  await visitor.send(request('GET /'))
  expect((await visitor.readResponse()).status).toBe(200)
  expect(sockets.length).toBe(2)
})

it('keeps a stream of a long path, which began with a large window', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp })
  await using line = await slowLine(Number(new URL(path.upstreamUrl).port), 100_000_000)
  await using agent = new Agent({ url: `http://${line.listening.authority}`, connections: 1 })
  const { host, port } = path.service
  await using listener = forward(agent, 'far', { kind: 'http', service: { host, port } })
  await listener.ready()
  using visitor = await path.visit()
  const ask = async (): Promise<void> => {
    await visitor.send('GET / HTTP/1.1\r\nHost: far.localhost\r\n\r\n')
    expect((await visitor.readResponse()).status).toBe(200)
  }
  // The ping that measures the path was sent before the first of these.
  for (let round = 0; round < 4; round++) await ask()
  await until(() => sockets.length > 0)
  const before = sockets.length
  for (let round = 0; round < 4; round++) await ask()
  expect(sockets.length).toBe(before)
})

it('keeps no more than maxIdleStreams for longer than a second', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp, edge: { ...SOON, maxIdleStreams: 1 } })
  using first = await path.visit()
  using second = await path.visit()
  await first.send(request('GET /hold'))
  await until(() => sockets.length === 1)
  await second.send(request('GET /'))
  expect((await second.readResponse()).status).toBe(200)
  sockets[0]?.write(ANSWER)
  expect((await first.readResponse()).status).toBe(200)
  const idleSince = performance.now()
  await until(() => sockets[0]?.readableEnded)
  expect(performance.now() - idleSince).toBeGreaterThan(500)
  expect(sockets[1]?.readableEnded).toBe(false)
})

it('needs no new connections when more visitors than maxIdleStreams ask again and again', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp, edge: { ...SOON, maxIdleStreams: 2 } })
  const visitors = await Promise.all(Array.from({ length: 12 }, () => path.visit()))
  const askAll = async (target: string): Promise<void> => {
    for (const visitor of visitors) await visitor.send(request(`GET ${target}`))
  }
  await askAll('/hold')
  await until(() => sockets.length === visitors.length)
  for (const socket of sockets) socket.write(ANSWER)
  for (const visitor of visitors) expect((await visitor.readResponse()).status).toBe(200)
  await askAll('/')
  for (const visitor of visitors) expect((await visitor.readResponse()).status).toBe(200)
  expect(sockets.filter((socket) => socket.readableEnded).length).toBe(0)
  for (const visitor of visitors) visitor.end()
})

it.each([
  ['kept while less than half of the streams of the session are open', { openStreams: 2000 }, 2],
  ['not kept while more are open', { openStreams: 2100 }, 1],
  ['not kept to another node', { isRemote: true }, 1],
])('more than maxIdleStreams are %s', async (_, says, kept) => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp, edge: { ...SOON, maxIdleStreams: 1 } })
  const [session] = path.server.registry.sessions({ tenant: '', name: 'web' })
  for (const [name, value] of Object.entries(says)) Object.defineProperty(session, name, { value })
  using first = await path.visit()
  await first.send(request('GET /hold'))
  await until(() => sockets.length === 1)
  using second = await path.visit()
  await second.send(request('GET /'))
  expect((await second.readResponse()).status).toBe(200)
  sockets[0]?.write(ANSWER)
  expect((await first.readResponse()).status).toBe(200)
  expect(watched(path)).toBe(2 + kept)
})

it('keeps no stream where maxIdleStreams is 0', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp, edge: { ...SOON, maxIdleStreams: 0 } })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  expect((await visitor.readResponse()).status).toBe(200)
  await until(() => sockets[0]?.readableEnded)
})

it('looks after a stream that is used again no longer than until the next tick', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp, edge: SOON })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  expect((await visitor.readResponse()).status).toBe(200)
  expect(watched(path)).toBe(2)
  await visitor.send(request('POST /hold', 'Content-Length: 9'))
  await until(() => watched(path) === 1)
  sockets[0]?.destroy()
  expect((await visitor.readResponse()).status).toBe(502)
  visitor.end()
  await until(() => watched(path) === 0)
})

it('ends the idle streams of an agent that leaves', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp, edge: SOON })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  expect((await visitor.readResponse()).status).toBe(200)
  await path.agent.close()
  await until(() => sockets[0]?.readableEnded)
  await until(() => watched(path) === 1)
})

it('sends a POST on no stream that has been idle for half a second, but a GET', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp })
  using visitor = await path.visit()
  const ask = async (method: string): Promise<number> => {
    await visitor.send(request(`${method} /`, 'Content-Length: 0'))
    expect((await visitor.readResponse()).status).toBe(200)
    return sockets.length
  }
  // On a busy machine more than half a second may pass between two requests: then two others are looked at.
  let beganAt = performance.now()
  let before = await ask('POST')
  let opened = 0
  await until(async () => {
    const nextAt = performance.now()
    opened = await ask('POST')
    if (performance.now() - beganAt < 450) return true
    beganAt = nextAt
    before = opened
    return false
  })
  expect(opened).toBe(before)
  const idleSince = performance.now()
  await until(() => performance.now() - idleSince > 600)
  expect(await ask('POST')).toBe(opened + 1)
  await until(() => performance.now() - idleSince > 1_300)
  expect(await ask('GET')).toBe(opened + 1)
})

it('sends a POST on no stream whose answer may have been on its way for half a second', async () => {
  const { sockets, tcp } = answering()
  await using path = await tunnel({ tcp })
  using visitor = await path.visit()
  await visitor.send(request('GET /hold'))
  await until(() => sockets.length === 1)
  const since = performance.now()
  await until(() => performance.now() - since > 600)
  sockets[0]?.write(ANSWER)
  expect((await visitor.readResponse()).status).toBe(200)
  await visitor.send(request('POST /', 'Content-Length: 0'))
  expect((await visitor.readResponse()).status).toBe(200)
  expect(sockets.length).toBe(2)
})

it('remembers no endpoints without end', async () => {
  await using path = await tunnel({ http: (_, res) => res.end(), edge: { reuse: 'never' } })
  using visitor = await path.visit()
  const { host, port } = path.service
  for (let number = 0; number < 300; number++) {
    const name = `n${number}`
    await using listener = forward(path.agent, name, { kind: 'http', service: { host, port } })
    await listener.ready()
    await visitor.send(`GET / HTTP/1.1\r\nHost: ${name}.localhost\r\n\r\n`)
    expect((await visitor.readResponse()).status).toBe(200)
  }
  expect(path.server.edge.pool.endpoints).toBeLessThanOrEqual(256)
}, 60_000)
