// One of two agents is silent or lost: a connection that carries nothing any more, as behind a stopped
// process or a router that forgot it.
import { connect, createServer, type Socket } from 'node:net'

import { Agent, forward } from '@proj/tunnel'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { type Fixture, request, tunnel } from '../tunnel-fixture.ts'

const WEB = { tenant: '', name: 'web' }

/** A second agent of the endpoint, whose connections go through a relay that can stop. */
async function relayedAgent(path: Fixture) {
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
  const agent = new Agent({ url: `http://${relay.authority}`, connections: 1 })
  const { host, port: servicePort } = path.service
  await forward(agent, 'web', { kind: 'http', service: { host, port: servicePort } }).ready()
  await until(() => path.server.registry.count(WEB) === 2)
  return {
    stop: () => {
      for (const socket of sockets) socket.unpipe().pause()
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
  }, 30_000)

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
  }, 30_000)

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
  }, 30_000)
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

  it('a POST is not sent twice', async () => {
    const { statuses, requests } = await askAndCut('POST /')
    expect([...statuses].toSorted((one, other) => one - other)).toEqual([200, 502])
    expect(requests).toBe(2)
  })
})
