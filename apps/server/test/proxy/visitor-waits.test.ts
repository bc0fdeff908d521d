// HTTP visitors that come while an agent is away or busy.
import { createServer } from 'node:http'

import { Agent, forward } from '@proj/tunnel'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { request, startServer, tunnel } from '../tunnel-fixture.ts'

const WEB = { tenant: '', name: 'web' }
const RECORD = { kind: 'http', endpoint: 'web' } as const

describe('an endpoint whose agent is away for a moment', () => {
  it('serves the visitors that came meanwhile, with their bodies', async () => {
    await using path = await tunnel({ http: (req, res) => void req.pipe(res) })
    const { registry } = path.server
    for (const session of registry.sessions(WEB)) session.end('for this test')
    await path.agent[Symbol.asyncDispose]()
    using post = await path.visit(20_000)
    using get = await path.visit(20_000)
    await post.send(`${request('POST /', 'Content-Length: 4')}body`)
    await get.send(request('GET /'))
    await until(() => registry.waits.waiting === 2)
    await using back = new Agent({ url: path.upstreamUrl })
    const { host, port } = path.service
    forward(back, 'web', { kind: 'http', service: { host, port } })
    const answer = await post.readResponse()
    expect([answer.status, answer.body.toString()]).toEqual([200, 'body'])
    expect((await get.readResponse()).status).toBe(200)
  })

  it('checks them by the rules with which its agent comes back', async () => {
    await using path = await tunnel({ http: (_, res) => res.end() })
    for (const session of path.server.registry.sessions(WEB)) session.end('for this test')
    await path.agent[Symbol.asyncDispose]()
    using visitor = await path.visit(20_000)
    await visitor.send(request('GET /'))
    await until(() => path.server.registry.waits.waiting === 1)
    await using back = new Agent({ url: path.upstreamUrl })
    const { host, port } = path.service
    const visitors = { allow: ['192.0.2.1/32'] }
    forward(back, 'web', { kind: 'http', service: { host, port }, visitors })
    expect((await visitor.readResponse()).status).toBe(403)
  })

  it('answers no_upstream when it does not come back in time', async () => {
    // The wait is longer than what a visitor that waits for other things is given.
    await using path = await tunnel({
      http: (_, res) => res.end(),
      waits: { absentWaitMs: 500 },
      edge: { visitorCheckTimeoutMs: 450, firstByteTimeoutMs: 50 },
    })
    for (const session of path.server.registry.sessions(WEB)) session.end('for this test')
    await path.agent[Symbol.asyncDispose]()
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    const { status, headers } = await visitor.readResponse()
    expect([status, headers['adit-error']]).toEqual([503, 'no_upstream'])
    expect(path.server.registry.waits.waiting).toBe(0)
  })
})

describe('a name of which a server that has just started knows nothing', () => {
  async function serverWith(startWaitMs: number, maxWaiting = 4096) {
    const waits = { startWaitMs, maxWaiting, absentWaitMs: 60_000 }
    const server = await startServer({}, [], undefined, waits)
    const [upstream, port] = [server.listeners.upstream, server.listeners.proxy].map(
      ({ bound }) => bound[0]?.port ?? 0,
    )
    return { server, upstream, port: port ?? 0, [Symbol.dispose]: () => server.destroy() }
  }

  it('is served when its agent comes', async () => {
    using started = await serverWith(60_000)
    const asked = exchangeRaw(started.port, request('GET /'))
    await until(() => started.server.registry.waits.waiting === 1)
    const service = await listening(createServer((_, res) => res.end('ok')))
    await using agent = new Agent({ url: `http://127.0.0.1:${started.upstream}` })
    const { host, port } = service
    forward(agent, 'web', { kind: 'http', service: { host, port } })
    expect((await asked).body.toString()).toBe('ok')
    await service.close()
  })

  it('is no_upstream later, and when its agent has left', async () => {
    using later = await serverWith(0)
    expect((await exchangeRaw(later.port, request('GET /'))).status).toBe(503)
    using started = await serverWith(60_000)
    const agent = new Agent({ url: `http://127.0.0.1:${started.upstream}` })
    await forward(agent, 'web', { kind: 'http', service: { host: '127.0.0.1', port: 1 } }).ready()
    await agent.close()
    await until(() => started.server.registry.count(WEB) === 0)
    expect((await exchangeRaw(started.port, request('GET /'))).status).toBe(503)
  })

  it('has a quarter of the places, all such names together', async () => {
    using started = await serverWith(60_000, 8)
    const { waits } = started.server.registry
    const ask = (name: string) =>
      exchangeRaw(started.port, request('GET /').replace('web', name)).catch(() => undefined)
    const held = [ask('one'), ask('two')]
    await until(() => waits.waiting === 2)
    expect((await ask('three'))?.status).toBe(503)
    expect(waits.rejected).toBe(1)
    started.server.destroy()
    await Promise.all(held)
  })
})

describe('an agent that is busy', () => {
  /** A path whose session has as many streams as it may, of another endpoint, which answers nothing. */
  async function busyPath(busyWaitMs: number) {
    const path = await tunnel({ http: (_, res) => res.end(), waits: { busyWaitMs } })
    const sink = { onData: () => undefined, onEnd() {}, onDrain() {}, onClose() {} }
    await path.agent.listenChannels('held', { kind: 'http' }, () => sink).ready()
    const [session] = path.server.registry.sessions(WEB)
    const { signal } = new AbortController()
    const channels = []
    while (channels.length < 4096) {
      await session?.whenRoom({ signal })
      const channel = session?.openStream({ kind: 'http', endpoint: 'held' })
      if (channel !== undefined) channels.push(channel)
    }
    return { path, channels }
  }

  it('is agent_full, with retry-after, when its sessions have as many streams as they may', async () => {
    const { path: busy } = await busyPath(50)
    await using path = busy
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    const { status, headers } = await visitor.readResponse()
    expect([status, headers['adit-error'], headers['retry-after']]).toEqual([
      503,
      'agent_full',
      '1',
    ])
  })

  it('is waited for, and serves as soon as one of its streams has ended', async () => {
    const { path: busy, channels } = await busyPath(60_000)
    await using path = busy
    using visitor = await path.visit()
    await visitor.send(request('GET /'))
    await until(() => path.server.registry.waits.waiting === 1)
    channels[0]?.reset()
    expect((await visitor.readResponse()).status).toBe(200)
  })

  it('is agent_full also where visitors wait longer for it than for an answer', async () => {
    const server = await startServer({ firstByteTimeoutMs: 50 }, [], undefined, {
      busyWaitMs: 500,
    })
    using _server = { [Symbol.dispose]: () => server.destroy() }
    const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
    await using agent = new Agent({ url, connections: 1 })
    const sink = { onData: () => undefined, onEnd() {}, onDrain() {}, onClose() {} }
    await agent.listenChannels('web', { kind: 'http' }, () => sink).ready()
    const [session] = server.registry.sessions(WEB)
    const { signal } = new AbortController()
    for (let streams = 0; streams < 4096; streams++) {
      await session?.whenRoom({ signal })
      session?.openStream(RECORD)
    }
    const answer = await exchangeRaw(server.listeners.proxy.bound[0]?.port ?? 0, request('GET /'))
    expect([answer.status, answer.headers['adit-error']]).toEqual([503, 'agent_full'])
  })
})
