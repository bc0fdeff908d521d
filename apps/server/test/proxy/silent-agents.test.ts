// One of two agents is silent or lost: a connection that carries nothing any more, as behind a stopped
// process or a router that forgot it.
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'

import { Agent, forward } from '@proj/tunnel'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { type Fixture, request, tunnel } from '../tunnel-fixture.ts'

const WEB = { tenant: '', name: 'web' }

/** A second agent of the endpoint, whose connections go through a relay that can stop. */
async function relayedAgent(path: Fixture, count = 2, connections = 1) {
  const sockets: Socket[] = []
  const { port } = new URL(path.upstreamUrl)
  const relay = await listening(
    createServer((near) => {
      const far = connect(Number(port), '127.0.0.1')
      near.pipe(far).pipe(near)
      for (const socket of [near, far]) socket.on('error', () => {})
      sockets.push(near, far)
    }),
  )
  const agent = new Agent({ url: `http://${relay.authority}`, connections })
  const { host, port: servicePort } = path.service
  await forward(agent, 'web', { kind: 'http', service: { host, port: servicePort } }).ready()
  await until(() => path.server.registry.count(WEB) === count)
  return {
    stop: () => {
      for (const socket of sockets) socket.unpipe().pause()
    },
    /** Nothing reaches the agent any more; what it sends reaches the server. */
    stopDown: () => {
      for (let at = 1; at < sockets.length; at += 2) sockets[at]?.unpipe().pause()
    },
    resume: () => {
      for (let at = 0; at < sockets.length; at += 2) {
        const [near, far] = sockets.slice(at, at + 2)
        if (near !== undefined && far !== undefined) near.pipe(far).pipe(near)
      }
    },
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      for (const socket of sockets) socket.destroy()
      await relay.close()
    },
  }
}

async function ask(path: Fixture, line: string, ...headers: string[]): Promise<number> {
  using visitor = await path.visit(20_000)
  await visitor.send(request(line, ...headers))
  return (await visitor.readResponse()).status
}

/** Asks from another address of this machine. */
async function askFrom(localAddress: string, { port }: Fixture): Promise<number | undefined> {
  const asked = get({ port, host: '127.0.0.1', localAddress, headers: { host: 'web.localhost' } })
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

const times = (count: number) => Array.from({ length: count }, (_, n) => n)

describe('an agent that is silent beside one that is not', () => {
  it('costs no GET its answer, and only the first ones time', async () => {
    await using path = await tunnel({ http: (_, res) => res.end('ok') })
    await using relayed = await relayedAgent(path)
    relayed.stop()
    expect(await Promise.all(times(6).map(() => ask(path, 'GET /')))).toEqual(
      times(6).map(() => 200),
    )
    const sinceMs = performance.now()
    for (const _ of times(6)) expect(await ask(path, 'GET /')).toBe(200)
    expect(await ask(path, 'POST /', 'Content-Length: 0')).toBe(200)
    expect(performance.now() - sinceMs).toBeLessThan(5_000)
    expect(path.server.registry.count(WEB)).toBe(2)
  })

  it('costs no GET its answer on a stream that has carried requests before', async () => {
    await using path = await tunnel({ http: (_, res) => res.end('ok') })
    await using relayed = await relayedAgent(path)
    await Promise.all(times(8).map(() => ask(path, 'GET /')))
    relayed.stop()
    expect(await Promise.all(times(8).map(() => ask(path, 'GET /')))).toEqual(
      times(8).map(() => 200),
    )
    for (const _ of times(6)) expect(await ask(path, 'GET /')).toBe(200)
    expect(path.server.registry.count(WEB)).toBe(2)
  })

  it('keeps a GET that the other one has no room for', async () => {
    const waiting: (() => void)[] = []
    await using path = await tunnel({
      http: (req, res) => {
        if (req.url === '/now') res.end('ok')
        else waiting.push(() => res.end('ok'))
      },
      // Of a session with 4096 streams and several endpoints, 41 for one.
      server: { quota: { maxEndpointShare: 1, maxSourceShare: 100 } },
    })
    const { host, port } = path.service
    await forward(path.agent, 'other', { kind: 'http', service: { host, port } }).ready()
    const slow = times(41).map(() => ask(path, 'GET /'))
    await until(() => waiting.length === 41)
    await using relayed = await relayedAgent(path)
    relayed.stop()
    const asked = ask(path, 'GET /now')
    // The looks of this request, after 1, 2 and 3 s of silence, are over.
    await until(() => path.server.registry.quota.rejected.endpoint >= 3)
    relayed.resume()
    expect(await asked).toBe(200)
    for (const answer of waiting) answer()
    await Promise.all(slow)
  })

  it('is not suspected for a service that takes its time', async () => {
    await using path = await tunnel({
      http: (_, res) => void setTimeout(() => res.end('ok'), 3_500),
    })
    await using _relayed = await relayedAgent(path)
    let requests = 0
    path.serviceServer.on('request', () => (requests += 1))
    expect(await Promise.all(times(4).map(() => ask(path, 'GET /')))).toEqual([200, 200, 200, 200])
    expect(requests).toBe(4)
    expect(path.server.registry.sessions(WEB).some(({ suspect }) => suspect)).toBe(false)
  })
})

it('a GET whose stream ends waits for an agent that has room for no other', async () => {
  const taken: Socket[] = []
  await using path = await tunnel({
    tcp: (socket) => {
      taken.push(socket)
      socket.on('error', () => {})
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    },
  })
  await using relayed = await relayedAgent(path)
  await path.agent.close()
  await until(() => path.server.registry.count(WEB) === 1)
  using visitor = await path.visit(20_000)
  await visitor.send(request('GET /'))
  expect((await visitor.readResponse()).status).toBe(200)
  relayed.stopDown()
  const [session] = path.server.registry.sessions(WEB)
  expect(() => {
    for (;;) session?.openStream({ kind: 'http', endpoint: 'web' })
  }).toThrow(expect.objectContaining({ code: 'MUX_ACK_BACKLOG' }))
  await visitor.send(request('GET /'))
  // What the server reads later than the request.
  expect((await exchangeRaw(path.port, 'malformed\r\n\r\n')).status).toBe(400)
  taken[0]?.end()
  const answer = visitor.readResponse()
  await Promise.race([answer, until(() => path.server.registry.waits.waiting === 1)])
  relayed.resume()
  expect((await answer).status).toBe(200)
})

describe('an agent whose connection is lost while a service works', () => {
  async function askAndCut(line: string) {
    const waiting: (() => void)[] = []
    await using path = await tunnel({ http: (_, res) => void waiting.push(() => res.end('ok')) })
    await using relayed = await relayedAgent(path)
    const asked = times(2).map(() => ask(path, line, 'Content-Length: 0'))
    await until(() => waiting.length === 2)
    relayed.cut()
    const first = Promise.race(asked)
    await Promise.race([first, until(() => waiting.length === 3)])
    for (const answer of waiting) answer()
    return { statuses: await Promise.all(asked), requests: waiting.length }
  }

  it.each(['GET /', 'PUT /'])('%s is answered by the other one', async (line) => {
    expect(await askAndCut(line)).toEqual({ statuses: [200, 200], requests: 3 })
  })

  it('every GET of a burst is answered by the other one, also those that waited for room', async () => {
    const waiting: (() => void)[] = []
    let isHeld = true
    await using path = await tunnel({
      http: (_, res) => void (isHeld ? waiting.push(() => res.end('ok')) : res.end('ok')),
    })
    await path.agent[Symbol.asyncDispose]()
    await using relayed = await relayedAgent(path, 1)
    relayed.stop()
    // The acknowledgements of 256 streams may be missing.
    const asked = times(300).map(() => ask(path, 'GET /'))
    await until(() => path.server.registry.waits.waiting === 44)
    relayed.resume()
    await until(() => waiting.length === 300)
    isHeld = false
    const { host, port } = path.service
    await using other = new Agent({ url: path.upstreamUrl, connections: 1 })
    await forward(other, 'web', { kind: 'http', service: { host, port } }).ready()
    relayed.cut()
    expect((await Promise.all(asked)).filter((status) => status !== 200)).toEqual([])
  }, 60_000)

  it('of visitors that wait for room, a burst of one source loses places to others', async () => {
    await using path = await tunnel({ http: (_, res) => res.end('ok'), waits: { maxWaiting: 8 } })
    const { waits } = path.server.registry
    await path.agent[Symbol.asyncDispose]()
    await using relayed = await relayedAgent(path, 1)
    relayed.stop()
    const burst = times(258).map(() => ask(path, 'GET /'))
    await until(() => waits.waiting === 2)
    expect(await ask(path, 'GET /')).toBe(503)
    const other = askFrom('127.0.0.2', path)
    expect(await Promise.race(burst)).toBe(503)
    await until(() => waits.waiting === 2)
    relayed.resume()
    expect(await other).toBe(200)
    expect((await Promise.all(burst)).filter((status) => status !== 200)).toEqual([503])
    expect(waits.rejected).toBe(2)
  }, 60_000)

  it('a GET waits for the agent that comes back', async () => {
    let requests = 0
    await using path = await tunnel({
      http: (_, res) => void ((requests += 1) > 1 && res.end('ok')),
    })
    await path.agent[Symbol.asyncDispose]()
    await using relayed = await relayedAgent(path, 2, 2)
    const asked = ask(path, 'GET /')
    await until(() => requests === 1)
    relayed.cut()
    expect(await asked).toBe(200)
  })

  it('a POST is not sent twice', async () => {
    const { statuses, requests } = await askAndCut('POST /')
    expect([...statuses].toSorted((one, other) => one - other)).toEqual([200, 502])
    expect(requests).toBe(2)
  })
})
