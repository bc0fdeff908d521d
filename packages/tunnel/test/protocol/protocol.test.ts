// Our own protocol, each side against a hand-written other one, and both against each other.
import { once } from 'node:events'

import type { MuxStream, Session } from '@proj/mux'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Agent, type AgentOptions } from '../../src/client/agent.ts'
import { encodeControlMessage } from '../../src/protocol/control-codec.ts'
import type { Listener } from '../../src/client/listener.ts'
import { RESET_REASONS } from '../../src/protocol/reset-reason.ts'
import { encodeStreamRecord, StreamRecordReader } from '../../src/protocol/stream-record.ts'
import { CONTROL, Control, controlOf } from './control-peer.ts'
import {
  at,
  connectPeer,
  ending,
  openTo,
  startPikoServer,
  startServer,
  type TestServer,
  tryOpen,
} from '../peers.ts'

const SOON = { minMs: 1, baseMs: 1, maxMs: 2 }
const OURS = { 'adit-protocol': '1' }

/** A session with our server, greeted, as an agent's. */
async function agentPeer(
  server: TestServer,
  peer = 'a1',
): Promise<{ session: Session; control: Control; end: ReturnType<Session['close']> }> {
  const { session } = await connectPeer(`${server.url}/piko/v1/upstream/web`, {}, OURS)
  const control = new Control(await session.open())
  control.send(
    Buffer.concat([CONTROL, encodeControlMessage({ type: 'hello', software: 't', peer })]),
  )
  await control.receive('hello')
  return { session, control, end: session.closed.then(() => {}) }
}

function agentOf(url: string, options: Partial<AgentOptions> = {}): Agent {
  const agent = new Agent({ url, backoff: SOON, ...options })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  return agent
}

/** JSON the encoder would refuse, framed. */
function framed(body: string): Buffer {
  return Buffer.concat([Buffer.of(body.length >> 8, body.length & 0xff), Buffer.from(body)])
}

describe('a server', () => {
  test('echoes the header, greets, and registers by message, not by route', async () => {
    const server = await startServer({
      node: 'n1',
      software: 'adit-server/1',
      urls: ({ name }) => [`u:${name}`],
    })
    const { session } = await connectPeer(`${server.url}/piko/v1/upstream/web`, {}, OURS)
    const control = new Control(await session.open())
    control.send(CONTROL)
    expect(await control.receive('hello')).toEqual({
      type: 'hello',
      software: 'adit-server/1',
      peer: 'n1',
    })
    control.send({ type: 'hello', software: 't', peer: 'a1' })
    control.send({ type: 'register', id: 7, endpoint: 'web', kind: 'http' })
    expect(await control.receive('registered')).toEqual({
      type: 'registered',
      id: 7,
      urls: ['u:web'],
    })
    expect(server.registry.pick(at('web'))).toMatchObject({ peer: 'a1', protocol: 'adit' })
    control.send({ type: 'release', id: 8, endpoint: 'web' })
    expect(await control.receive('released')).toEqual({ type: 'released', id: 8 })
    expect(server.registry.count(at('web'))).toBe(0)
  })

  test('opens every stream with a record', async () => {
    const server = await startServer()
    const { session, control } = await agentPeer(server)
    control.send({ type: 'register', id: 1, endpoint: 'pg', kind: 'tcp' })
    await control.receive('registered')
    const record = {
      kind: 'tcp',
      endpoint: 'pg',
      visitorAddress: '10.0.0.1',
      visitorPort: 5,
    } as const
    openTo(server.registry, record)?.write(Buffer.from('hello'))
    const [stream] = (await once(session, 'stream')) as [MuxStream]
    const [chunk] = (await once(stream, 'data')) as [Buffer]
    expect(new StreamRecordReader().push(chunk)).toEqual({ record, rest: Buffer.from('hello') })
  })

  test.each([
    ['endpoint-invalid', { endpoint: 'a/b', kind: 'http' }],
    ['endpoint-invalid', { endpoint: '', kind: 'http' }],
    ['kind-unknown', { endpoint: 'dns', kind: 'udp' }],
    ['not-permitted', { endpoint: 'secret', kind: 'http' }],
    ['limit-reached', { endpoint: 'third', kind: 'http' }],
  ])('refuses with %s', async (code, wanted) => {
    const permits = (_: string, endpoint: string): boolean => endpoint !== 'secret'
    const server = await startServer({
      authorize: () => ({ identity: 'a', tenant: '', permits }),
      maxEndpointsPerSession: 2,
    })
    const { control } = await agentPeer(server)
    for (const [id, endpoint] of ['first', 'second', 'second'].entries()) {
      control.send({ type: 'register', id, endpoint, kind: 'http' })
      await control.receive('registered')
    }
    control.send({ type: 'register', id: 9, ...wanted })
    expect(await control.receive('refused')).toMatchObject({ id: 9, code })
    expect(server.registry.count(at(wanted.endpoint))).toBe(0)
    control.send({ type: 'release', id: 10, endpoint: 'first' })
    control.send({ type: 'register', id: 11, endpoint: 'third', kind: 'tcp' })
    expect(await control.receive('registered')).toMatchObject({ id: 11 })
  })

  test('refuses with draining and a delay once it asks to move, and routes on', async () => {
    const server = await startServer({ drainRetryAfterMs: 250 })
    const { control } = await agentPeer(server)
    control.send({ type: 'register', id: 1, endpoint: 'web', kind: 'http' })
    await control.receive('registered')
    server.upstream.askToMove()
    server.upstream.askToMove()
    expect(await control.receive('drain')).toEqual({ type: 'drain', retryAfterMs: 250 })
    control.send({ type: 'register', id: 2, endpoint: 'late', kind: 'http' })
    expect(await control.receive('refused')).toMatchObject({ code: 'draining', retryAfterMs: 250 })
    expect(control.received).toEqual([])
    expect(openTo(server.registry, { kind: 'http', endpoint: 'web' })).toBeDefined()
    control.send({ type: 'drain', retryAfterMs: 0 })
    await until(() => server.registry.count(at('web')) === 0)
  })

  test('unregisters everything when the control stream ends', async () => {
    const server = await startServer()
    const { control } = await agentPeer(server)
    for (const [id, endpoint] of ['a', 'b'].entries()) {
      control.send({ type: 'register', id, endpoint, kind: 'http' })
      await control.receive('registered')
    }
    expect(server.registry.snapshot().size).toBe(2)
    control.stream.end()
    await until(() => server.registry.snapshot().size === 0)
  })

  test('passes over messages and fields of a later version', async () => {
    const server = await startServer()
    const { control } = await agentPeer(server)
    control.send(framed('{"type":"telemetry","id":{}}'))
    control.send(framed('{"type":"register","id":1,"endpoint":"web","kind":"http","weight":9}'))
    expect(await control.receive('registered')).toMatchObject({ id: 1 })
  })

  const GREETED = [CONTROL, encodeControlMessage({ type: 'hello', software: 't', peer: 'a1' })]
  test.each([
    ['what is no JSON', [...GREETED, framed('nonsense')]],
    ['a length over the limit', [...GREETED, Buffer.from('4001', 'hex')]],
    [
      'a message before hello',
      [CONTROL, encodeControlMessage({ type: 'query', id: 1, endpoint: 'x' })],
    ],
    ['a second hello', [...GREETED, GREETED[1] ?? CONTROL]],
  ])('ends a session that sends %s with GoAway 1, and leaves nothing', async (_, pieces) => {
    const server = await startServer()
    const { session } = await connectPeer(`${server.url}/piko/v1/upstream/web`, {}, OURS)
    const stream = await session.open()
    stream.on('error', () => {})
    stream.write(Buffer.concat(pieces))
    const { error } = await session.closed
    expect(error?.goAwayCode).toBe(1)
    await until(() => server.upstream.sessions.size === 0 && server.listening.sockets.size === 0)
    expect(server.registry.snapshot().size).toBe(0)
    expect(server.logger.records.at(-1)?.message).toBe('agent session ended')
  })

  test('logs the end of a session without an endpoint at debug, of others at info', async () => {
    const server = await startServer()
    const levels = (): string[] =>
      server.logger.find('agent session ended').map(({ level }) => level)
    const look = await connectPeer(`${server.url}/piko/v1/upstream/web`, {}, OURS)
    look.socket.destroy()
    await until(() => levels().length === 1)
    const serving = await connectPeer(`${server.url}/piko/v1/upstream/web`)
    serving.socket.destroy()
    await until(() => levels().length === 2)
    expect(levels()).toEqual(['debug', 'info'])
  })

  test.each(['upstream/web', 'connect'])(
    'ends a session on %s that does not greet in time',
    async (where) => {
      const server = await startServer({ helloTimeoutMs: 30 })
      const path = where === 'connect' ? '/_piko/v1/tcp/x' : '/piko/v1/upstream/web'
      const { session } = await connectPeer(`${server.url}${path}`, {}, OURS)
      const control = await session.open()
      control.on('error', () => {})
      control.write(CONTROL)
      const { error } = await session.closed
      expect(error?.goAwayCode).toBe(1)
      const warning = server.logger.records.find(({ level }) => level === 'warn')
      expect(warning?.fields['code']).toBe('TUNNEL_HELLO_TIMEOUT')
      await until(() => server.listening.sockets.size === 0)
    },
  )

  test('ends a session that leaves its messages unread', async () => {
    const server = await startServer()
    const { session } = await connectPeer(`${server.url}/piko/v1/upstream/web`, {}, OURS)
    // Nothing is consumed, so no credit goes back.
    const channel = session.openChannel({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} })
    channel.write(Buffer.concat(GREETED))
    const register = encodeControlMessage({
      type: 'register',
      id: 1,
      endpoint: 'e'.repeat(1000),
      kind: 'http',
    })
    const sent = Buffer.concat(Array.from({ length: 100 }, () => register))
    for (let times = 0; times < 12; times++) channel.write(sent)
    const { error } = await session.closed
    expect(error?.goAwayCode).toBe(1)
    expect(
      server.logger.records.find(
        ({ level, fields }) => level === 'warn' && fields['code'] === 'TUNNEL_CONTROL_INVALID',
      ),
    ).toBeDefined()
  })

  test.each([
    ['a second control stream', CONTROL],
    ['a data stream', encodeStreamRecord({ kind: 'tcp', endpoint: 'web' })],
    ['a malformed record', Buffer.from('ffff', 'hex')],
  ])('resets %s of an agent with protocolError', async (_, bytes) => {
    const server = await startServer()
    const { session } = await agentPeer(server)
    const stream = await session.open()
    stream.write(bytes)
    expect(await ending(stream)).toMatchObject({ reason: RESET_REASONS.protocolError })
    await session.ping()
  })
})

describe('an agent', () => {
  const headers = ['adit-protocol: 1']

  test('greets, registers everything on every connection, and serves by record', async () => {
    const server = await startPikoServer({ headers })
    const agent = agentOf(server.url, { connections: 2, software: 'sdk/1' })
    const listeners = { web: agent.listen('web'), pg: agent.listen('pg', { kind: 'tcp' }) }
    const peers = new Set<string>()
    for (const index of [0, 1]) {
      const control = await controlOf(await (await server.session(index)).stream())
      const hello = await control.receive('hello')
      expect(hello.software).toBe('sdk/1')
      peers.add(hello.peer)
      control.send({ type: 'hello', software: 's', peer: 'n' })
      for (const [endpoint, kind] of [
        ['web', 'http'],
        ['pg', 'tcp'],
      ] as const) {
        const { id, ...rest } = await control.receive('register')
        expect(rest).toEqual({ type: 'register', endpoint, kind })
        control.send({ type: 'registered', id, urls: [`u:${endpoint}`] })
      }
    }
    expect(peers.size).toBe(1)
    await Promise.all(Object.values(listeners).map((listener) => listener.ready()))
    expect(listeners.web.urls).toEqual(['u:web'])
    expect([agent.protocol, agent.sessions]).toEqual(['adit', 2])

    const connection = once(listeners.pg, 'connection') as Promise<[MuxStream, unknown]>
    const record = { kind: 'tcp', endpoint: 'pg', visitorAddress: '10.0.0.1' } as const
    const stream = await (await server.session(1)).session.open()
    stream.on('error', () => {})
    stream.write(Buffer.concat([encodeStreamRecord(record), Buffer.from('first')]))
    const [accepted, seen] = await connection
    accepted.on('error', () => {})
    expect(seen).toEqual(record)
    const [chunk] = (await once(accepted, 'data')) as [Buffer]
    expect(chunk.toString()).toBe('first')
  })

  test('resets streams for what it does not serve, and malformed records', async () => {
    const { server, control } = await greeted()
    control.send({ type: 'registered', id: (await control.receive('register')).id, urls: [] })
    const { session } = await server.session(0)
    for (const [bytes, reason] of [
      [encodeStreamRecord({ kind: 'http', endpoint: 'other' }), RESET_REASONS.endpointUnknown],
      [Buffer.from('0000', 'hex'), RESET_REASONS.protocolError],
    ] as const) {
      const stream = await session.open()
      stream.write(bytes)
      expect(await ending(stream)).toMatchObject({ reason })
    }
    const cut = await session.open()
    cut.end(Buffer.from('00', 'hex'))
    expect(await ending(cut)).toMatchObject({ reason: RESET_REASONS.protocolError })
  })

  test('refuses connections nobody listens for', async () => {
    const { server, control } = await greeted()
    control.send({ type: 'registered', id: (await control.receive('register')).id, urls: [] })
    const stream = await (await server.session(0)).session.open()
    stream.write(encodeStreamRecord({ kind: 'http', endpoint: 'web' }))
    expect(await ending(stream)).toMatchObject({ reason: RESET_REASONS.serviceRefused })
  })

  test('ends a listener that is refused for good, and asks again where a delay is given', async () => {
    const { agent, control, listener } = await greeted()
    const refusals: unknown[] = []
    agent.on('refused', (_, error) => refusals.push(error.retryAfterMs))
    const first = await control.receive('register')
    control.send({
      type: 'refused',
      id: first.id,
      code: 'draining',
      message: 'later',
      retryAfterMs: 1,
    })
    const second = await control.receive('register')
    expect(second.id).not.toBe(first.id)
    control.send({
      type: 'refused',
      id: second.id,
      code: 'not-permitted',
      message: 'endpoint not permitted',
    })
    const { error } = await listener.closed
    expect(error).toMatchObject({
      code: 'TUNNEL_ENDPOINT_REFUSED',
      message: 'endpoint "web" refused (not-permitted): endpoint not permitted',
    })
    await until(() => refusals.length === 2)
    expect(refusals).toEqual([1, undefined])
    expect(agent.endpoints).toEqual([])
  })

  test('takes an absurd delay for five minutes', async () => {
    const { control } = await greeted()
    const { id } = await control.receive('register')
    control.send({
      type: 'refused',
      id,
      code: 'x',
      message: 'x',
      retryAfterMs: Number.MAX_SAFE_INTEGER,
    })
    control.send({ type: 'drain', retryAfterMs: 0 })
    await until(() => control.stream.destroyed || control.received.length === 0)
    expect(control.received).toEqual([])
  })

  // Closing a listener before the answer came left the endpoint registered at the server.
  test('takes back a registration that was not answered yet', async () => {
    const { agent, control, listener } = await greeted()
    agent.listen('other')
    const { id } = await control.receive('register')
    const closed = listener.close()
    const release = await control.receive('release')
    expect(release.endpoint).toBe('web')
    control.send({ type: 'registered', id, urls: [] })
    control.send({ type: 'released', id: release.id })
    await closed
    expect(listener.online).toBe(false)
    expect(agent.endpoints.map(({ endpoint }) => endpoint)).toEqual(['other'])
  })

  test('starts anew when the server does not greet in time, and says so', async () => {
    const server = await startPikoServer({ headers })
    const agent = agentOf(server.url, { connections: 1, helloTimeoutMs: 20 })
    agent.listen('web')
    const [{ error }] = (await once(agent, 'retry')) as [{ error: unknown }]
    expect(error).toMatchObject({ code: 'TUNNEL_HELLO_TIMEOUT', retryable: true })
    const { session } = await server.session(0)
    expect((await session.closed).error?.goAwayCode).toBe(1)
    await server.session(1)
  })

  test('ends a session whose server breaks the protocol, and starts anew', async () => {
    const { agent, server, control } = await greeted()
    const retried = once(agent, 'retry') as Promise<[{ error: unknown }]>
    control.send(framed('[]'))
    expect((await retried)[0].error).toMatchObject({ code: 'TUNNEL_CONTROL_INVALID' })
    const { session } = await server.session(0)
    expect((await session.closed).error?.goAwayCode).toBe(1)
    await server.session(1)
  })

  test('of a listener that throws goes on', async () => {
    const { agent, control, listener } = await greeted()
    const thrown: unknown[] = []
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => thrown.push(error))
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException')
      for (const one of others) process.on('uncaughtException', one)
    })
    listener.on('online', () => {
      throw new Error('mistake of the user')
    })
    control.send({ type: 'registered', id: (await control.receive('register')).id, urls: [] })
    await until(() => thrown.length === 1)
    expect(thrown).toMatchObject([{ message: 'mistake of the user' }])
    expect([listener.online, agent.sessions]).toEqual([true, 1])
  })

  async function greeted(): Promise<{
    agent: Agent
    server: Awaited<ReturnType<typeof startPikoServer>>
    control: Control
    listener: Listener
  }> {
    const server = await startPikoServer({ headers })
    const agent = agentOf(server.url, { connections: 1 })
    const listener = agent.listen('web')
    const control = await controlOf(await (await server.session(0)).stream())
    await control.receive('hello')
    control.send({ type: 'hello', software: 's', peer: 'n' })
    return { agent, server, control, listener }
  }
})

describe('an agent and a server of ours', () => {
  test('hold two connections; one that dies costs only its streams', async () => {
    const server = await startServer()
    const agent = agentOf(server.url)
    const listener = agent.listen('pg', { kind: 'tcp' })
    const streams: MuxStream[] = []
    listener.on('connection', (stream) => {
      stream.on('error', () => {})
      streams.push(stream as MuxStream)
    })
    // The second one's registration asked the first for a sign of life, until which it is not picked.
    const ready = (): boolean => server.registry.sessions(at('pg')).every(({ suspect }) => !suspect)
    await until(() => server.registry.count(at('pg')) === 2 && ready())
    const opened = [0, 1].map(() => openTo(server.registry, { kind: 'tcp', endpoint: 'pg' }))
    await until(() => streams.length === 2)
    const [first] = server.upstream.sessions
    const offline: unknown[] = []
    listener.on('offline', () => offline.push(1))
    // The first connection of the server is that of the session that came first.
    first?.abort()
    await until(() => streams.filter((stream) => stream.destroyed).length === 1)
    const survivor = opened.find((channel) => !channel.closed)
    survivor?.write(Buffer.from('alive'))
    const data = streams.filter((stream) => !stream.destroyed).map((stream) => once(stream, 'data'))
    expect(String(((await Promise.race(data)) as [Buffer])[0])).toBe('alive')
    await until(() => server.registry.count(at('pg')) === 2)
    expect(offline).toEqual([])
    expect(agent.sessions).toBe(2)
  })

  test('end a listener at once on both sides; the agent leaves when it has none', async () => {
    const server = await startServer()
    const agent = agentOf(server.url)
    const [a, b] = [agent.listen('a'), agent.listen('b')]
    await until(() => server.registry.count(at('a')) === 2 && server.registry.count(at('b')) === 2)
    await a.close()
    expect(server.registry.count(at('a'))).toBe(0)
    expect(server.registry.count(at('b'))).toBe(2)
    await b.close()
    await until(() => agent.sessions === 0 && server.upstream.sessions.size === 0)
    await until(() => server.listening.sockets.size === 0)
    const again = agent.listen('a')
    await again.ready()
  })

  test('move an endpoint that is added while both run', async () => {
    const server = await startServer()
    const agent = agentOf(server.url)
    await agent.listen('a').ready()
    await until(() => server.registry.count(at('a')) === 2)
    const late = agent.listen('late')
    await until(() => server.registry.count(at('late')) === 2)
    await late.ready()
    expect(late.online).toBe(true)
  })

  test('agree on a stop: nothing is routed any more, what runs finishes', async () => {
    const server = await startServer()
    const agent = agentOf(server.url, { connections: 1 })
    const listener = agent.listen('pg', { kind: 'tcp' })
    const accepted = once(listener, 'connection') as Promise<[MuxStream]>
    await listener.ready()
    const received: string[] = []
    const channel = openTo(server.registry, { kind: 'tcp', endpoint: 'pg' })
    channel?.attach({
      onData: (chunk) => void received.push(chunk.toString()),
      onEnd: () => channel.end(),
      onDrain() {},
      onClose: (error) => void received.push(error?.code ?? 'closed'),
    })
    const [stream] = await accepted
    const closed = agent.close()
    await until(() => server.registry.count(at('pg')) === 0)
    expect(tryOpen(server.registry, { kind: 'tcp', endpoint: 'pg' })).toBeUndefined()
    stream.end('last words')
    stream.resume()
    await closed
    expect(received).toEqual(['last words', 'closed'])
    await until(() => server.upstream.sessions.size === 0)
  })
})

test('a server that asks to move before it was greeted says so behind its greeting', async () => {
  const server = await startServer()
  const { session } = await connectPeer(`${server.url}/piko/v1/upstream/web`, {}, OURS)
  await until(() => server.upstream.sessions.size === 1)
  server.upstream.askToMove()
  const control = new Control(await session.open())
  control.send(CONTROL)
  await control.receive('drain')
  expect(control.received).toMatchObject([{ type: 'hello' }])
})
