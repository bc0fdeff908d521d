// What an agent asks of the server's ports, what it is told, and how long the server holds what it gave.
// The ports themselves are the server program's: here a source records what is asked for and released.
import { once } from 'node:events'

import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import { isTunnelError, type TunnelError } from '../../src/errors.ts'
import type { Listener } from '../../src/client/listener.ts'
import type {
  PortLease,
  PortRejection,
  PortWish,
  PublicPortSource,
} from '../../src/server/port-leases.ts'
import { CONTROL, Control, controlOf } from '../protocol/control-peer.ts'
import { at, connectPeer, startPikoServer, startServer } from '../peers.ts'

const OURS = { 'adit-protocol': '1' }

/** Gives what the test says, and knows who has what. */
class Ports implements PublicPortSource {
  readonly wishes: PortWish[] = []
  /** Leases that were given and not given back. */
  readonly held = new Set<PortLease>()
  given = 0
  answer: (wish: PortWish) => Promise<PortRejection | undefined> = () => Promise.resolve(undefined)
  url: string | undefined

  async take(wish: PortWish): Promise<PortLease | PortRejection> {
    this.wishes.push(wish)
    const refusal = await this.answer(wish)
    if (refusal !== undefined) return refusal
    const lease: PortLease = {
      port: wish.port === 0 ? 9950 : wish.port,
      url: this.url,
      release: () => this.held.delete(lease),
    }
    this.held.add(lease)
    this.given += 1
    return lease
  }
}

function agentOf(url: string, connections = 1): Agent {
  const agent = new Agent({ url, connections, backoff: { minMs: 1, baseMs: 1, maxMs: 2 } })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  return agent
}

/** A session without an agent, whose messages the test writes. */
async function bareSession(ports: Ports, maxEndpointsPerSession = 10) {
  const server = await startServer({ publicPorts: ports, maxEndpointsPerSession })
  const peer = await connectPeer(`${server.url}/piko/v1/upstream/x`, {}, OURS)
  const stream = await peer.session.open()
  stream.write(CONTROL)
  const control = new Control(stream)
  control.send({ type: 'hello', software: 's', peer: 'a' })
  await control.receive('hello')
  const register = (id: number, endpoint: string, port?: number): void =>
    control.send({
      type: 'register',
      id,
      endpoint,
      kind: 'tcp',
      ...(port !== undefined && { port }),
    })
  return { server, peer, control, register }
}

async function refusalOf(agent: Agent): Promise<TunnelError> {
  const [, error] = (await once(agent, 'refused')) as [Listener, TunnelError]
  return error
}

describe('an agent', () => {
  test('is told its port, and where it is found when the server knows no better name', async () => {
    const ports = new Ports()
    const server = await startServer({ publicPorts: ports, urls: () => ['http://pg.localhost'] })
    const listener = agentOf(server.url).listen('pg', { kind: 'tcp', publicPort: 0 })
    await listener.ready()
    expect(listener.port).toBe(9950)
    expect(listener.urls).toEqual(['tcp://127.0.0.1:9950'])
    expect(ports.wishes).toMatchObject([{ endpoint: at('pg'), identity: 'anonymous', port: 0 }])
  })

  test('is told the URL of the server that has one', async () => {
    const ports = new Ports()
    ports.url = 'tcp://tunnel.example.com:9901'
    const server = await startServer({ publicPorts: ports })
    const listener = agentOf(server.url).listen('pg', { kind: 'tcp', publicPort: 9901 })
    await listener.ready()
    expect(listener.urls).toEqual(['tcp://tunnel.example.com:9901'])
  })

  test('holds the port by each of its sessions, and by none once it has released it', async () => {
    const ports = new Ports()
    const server = await startServer({ publicPorts: ports })
    const listener = agentOf(server.url, 2).listen('pg', { kind: 'tcp', publicPort: 9901 })
    await listener.ready()
    await until(() => ports.held.size === 2)
    await listener.close()
    expect(ports.held.size).toBe(0)
  })

  test('that asks for none does not trouble the ports', async () => {
    const ports = new Ports()
    const server = await startServer({ publicPorts: ports })
    const listener = agentOf(server.url).listen('pg', { kind: 'tcp' })
    await listener.ready()
    expect([listener.port, listener.urls, ports.wishes]).toEqual([undefined, [], []])
  })

  test('hears why it gets none, and asks again when it may', async () => {
    const ports = new Ports()
    const refusal = {
      code: 'port-taken',
      message: 'port 9901 is taken by another program',
      holder: 'program',
      since: '2026-01-02T03:04:05.000Z',
      retryAfterMs: 1,
    } as const
    ports.answer = () => Promise.resolve(ports.wishes.length === 1 ? refusal : undefined)
    const server = await startServer({ publicPorts: ports })
    const agent = agentOf(server.url)
    const refused = refusalOf(agent)
    const listener = agent.listen('pg', { kind: 'tcp', publicPort: 9901 })
    expect(await refused).toMatchObject({
      code: 'TUNNEL_PORT_REFUSED',
      message: 'endpoint "pg" refused (port-taken): port 9901 is taken by another program',
      holder: 'program',
      since: '2026-01-02T03:04:05.000Z',
      retryAfterMs: 1,
    })
    expect(server.registry.count(at('pg'))).toBe(0)
    await listener.ready()
    expect(listener.port).toBe(9901)
  })

  test.each([
    ['a server without public ports', {}, 'tcp', 'port-off'],
    ['a server whose ports are for tcp', { publicPorts: new Ports() }, 'http', 'port-kind'],
  ] as const)('is refused for good by %s', async (_, options, kind, code) => {
    const server = await startServer(options)
    const peer = await connectPeer(`${server.url}/piko/v1/upstream/x`, {}, OURS)
    const stream = await peer.session.open()
    stream.write(CONTROL)
    const control = new Control(stream)
    control.send({ type: 'hello', software: 's', peer: 'a' })
    control.send({ type: 'register', id: 7, endpoint: 'pg', kind, port: 9901 })
    const { message: _text, ...refusal } = await control.receive('refused')
    expect(refusal).toEqual({ type: 'refused', id: 7, code })
    expect(server.registry.count(at('pg'))).toBe(0)
  })

  test('asks again when the source of the ports breaks, which ends nobody', async () => {
    const ports = new Ports()
    ports.answer = () => Promise.reject(new Error('no more descriptors'))
    const server = await startServer({ publicPorts: ports })
    const agent = agentOf(server.url)
    const refused = refusalOf(agent)
    agent.listen('pg', { kind: 'tcp', publicPort: 9901 })
    const other = agent.listen('web')
    expect(await refused).toMatchObject({ retryAfterMs: 10_000 })
    expect(server.logger.find('no public port for an endpoint')).toHaveLength(1)
    await other.ready()
  })

  test.each([
    [{ kind: 'http', publicPort: 9901 }, TypeError],
    [{ publicPort: 9901 }, TypeError],
    [{ kind: 'tcp', publicPort: -1 }, RangeError],
    [{ kind: 'tcp', publicPort: 65_536 }, RangeError],
    [{ kind: 'tcp', publicPort: 1.5 }, RangeError],
  ] as const)('does not ask for what makes no sense: %j', (options, kind) => {
    const agent = agentOf('http://127.0.0.1:1')
    expect(() => agent.listen('pg', options)).toThrow(kind)
    expect(agent.endpoints).toEqual([])
  })
})

describe('a server that does not know of public ports', () => {
  test('is told to forget the endpoint: TUNNEL_PORT_UNSUPPORTED', async () => {
    const server = await startPikoServer({ headers: ['adit-protocol: 1'] })
    const agent = agentOf(server.url)
    const listener = agent.listen('pg', { kind: 'tcp', publicPort: 9901 })
    const other = agent.listen('free', { kind: 'tcp' })
    const control = await controlOf(await (await server.session(0)).stream())
    control.send({ type: 'hello', software: 's', peer: 'n' })
    const { id, port } = await control.receive('register')
    expect(port).toBe(9901)
    control.send({ type: 'registered', id, urls: [] })
    const { error } = await listener.closed
    expect(isTunnelError(error, 'TUNNEL_PORT_UNSUPPORTED')).toBe(true)
    expect(await control.receive('release')).toMatchObject({ endpoint: 'pg' })
    expect(agent.endpoints).toEqual([other])
  })

  test('such as Piko serves nobody: TUNNEL_PORT_UNSUPPORTED', async () => {
    const server = await startPikoServer()
    const listener = agentOf(server.url).listen('pg', { kind: 'tcp', publicPort: 0 })
    const { error } = await listener.closed
    expect(isTunnelError(error, 'TUNNEL_PORT_UNSUPPORTED')).toBe(true)
    await (
      await server.session(0)
    ).session.closed
  })
})

describe('a port under way', () => {
  /** Ports whose answers wait for the test. */
  function slow(): { ports: Ports; go: () => void } {
    const ports = new Ports()
    let go: () => void = () => {}
    const gate = new Promise<undefined>((resolve) => (go = () => resolve(undefined)))
    ports.answer = () => gate
    return { ports, go }
  }

  test('is given back when its endpoint was released meanwhile', async () => {
    const { ports, go } = slow()
    const { server, control, register } = await bareSession(ports)
    register(1, 'pg', 9901)
    control.send({ type: 'release', id: 2, endpoint: 'pg' })
    expect((await control.receive('released')).id).toBe(2)
    go()
    register(3, 'other')
    expect((await control.receive('registered')).id).toBe(3)
    expect([ports.held.size, server.registry.count(at('pg'))]).toEqual([0, 0])
  })

  test('is given back when its session ended meanwhile', async () => {
    const { ports, go } = slow()
    const { server, peer, register } = await bareSession(ports)
    register(1, 'pg', 9901)
    await until(() => ports.wishes.length === 1)
    peer.session.destroy()
    await until(() => server.upstream.sessions.size === 0)
    go()
    await until(() => ports.given === 1 && ports.held.size === 0)
    expect(server.registry.count(at('pg'))).toBe(0)
  })

  test('is given back when the server began to stop meanwhile', async () => {
    const { ports, go } = slow()
    const { server, control, register } = await bareSession(ports)
    register(1, 'pg', 9901)
    await until(() => ports.wishes.length === 1)
    server.upstream.askToMove()
    go()
    expect(await control.receive('refused')).toMatchObject({ id: 1, code: 'draining' })
    expect([ports.held.size, server.registry.count(at('pg'))]).toEqual([0, 0])
  })

  test('counts among the endpoints of its session', async () => {
    const { ports, go } = slow()
    const { control, register } = await bareSession(ports, 2)
    register(1, 'a', 9901)
    register(2, 'b', 9902)
    register(3, 'c', 9903)
    expect(await control.receive('refused')).toMatchObject({ id: 3, code: 'limit-reached' })
    go()
    expect((await control.receive('registered')).port).toBe(9901)
    expect((await control.receive('registered')).port).toBe(9902)
    expect(ports.held.size).toBe(2)
  })
})

describe('an endpoint that is registered again', () => {
  test('with another port has only that one', async () => {
    const ports = new Ports()
    const { control, register } = await bareSession(ports)
    register(1, 'pg', 9901)
    await control.receive('registered')
    register(2, 'pg', 9902)
    expect((await control.receive('registered')).port).toBe(9902)
    expect([...ports.held].map(({ port }) => port)).toEqual([9902])
  })

  test('without a port has none', async () => {
    const ports = new Ports()
    const { server, control, register } = await bareSession(ports)
    register(1, 'pg', 9901)
    await control.receive('registered')
    register(2, 'pg')
    expect(await control.receive('registered')).not.toHaveProperty('port')
    expect([ports.held.size, server.registry.count(at('pg'))]).toEqual([0, 1])
  })

  test('and is refused keeps what it has', async () => {
    const ports = new Ports()
    const { server, control, register } = await bareSession(ports)
    register(1, 'pg', 9901)
    await control.receive('registered')
    ports.answer = () => Promise.resolve({ code: 'port-differs', message: 'no' })
    register(2, 'pg', 9902)
    expect((await control.receive('refused')).code).toBe('port-differs')
    expect([...ports.held].map(({ port }) => port)).toEqual([9901])
    expect(server.registry.count(at('pg'))).toBe(1)
  })
})
