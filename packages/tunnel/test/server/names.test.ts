// Who gets a name, and what becomes of it when a peer comes back, hangs or is a stranger.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { connectRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Agent } from '../../src/client/agent.ts'
import type { AuthorizationRequest } from '../../src/server/authorization.ts'
import type { NameReservations } from '../../src/server/claim-name.ts'
import type { TunnelError } from '../../src/errors.ts'
import type { Grant } from '../../src/server/authorization.ts'
import type { RejectedName } from '../../src/server/claim-name.ts'
import { at, connectPeer, openTo, openWebSocket, startServer, type TestServer } from '../peers.ts'

const RECORD = { kind: 'http', endpoint: 'web' } as const
/** Short, so that a peer that hangs is given up soon; nothing here depends on how short. */
const SOON = { probeTimeoutMs: 150, nameRetryAfterMs: 100 }
const SINCE = Date.UTC(2026, 0, 2)

/** Everyone is who the token says, in the tenant the handshake names. */
function byToken({ headers }: AuthorizationRequest): Grant {
  const tenant = headers['x-piko-tenant-id']
  return {
    identity: headers.authorization?.replace('Bearer ', '') ?? 'anonymous',
    tenant: typeof tenant === 'string' ? tenant : '',
    permits: () => true,
  }
}

function reservedFor(identity: string): NameReservations {
  return {
    find: ({ tenant, name }) =>
      tenant === '' && name === 'web' ? { identity, reservedAt: SINCE } : undefined,
  }
}

const as = (identity: string) => ({ authorization: `Bearer ${identity}` })
const route = ({ url }: TestServer) => `${url}/piko/v1/upstream/web`

/** An agent of Piko's that hangs: its connection is open, and nothing is read from it any more. */
async function hanging(server: TestServer, identity = 'alice') {
  const peer = await connectPeer(route(server), {}, as(identity))
  await until(() => server.registry.count(at('web')) > 0)
  peer.socket.pause()
  return peer
}

/** Status, headers and body of a refused WebSocket handshake. */
async function handshakeRefusal(server: TestServer, identity: string) {
  using connection = await connectRaw(Number(new URL(server.url).port))
  const lines = [
    'GET /piko/v1/upstream/web HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    `Authorization: Bearer ${identity}`,
  ]
  await connection.send(`${lines.join('\r\n')}\r\n\r\n`)
  const { status, headers, body } = await connection.readResponse()
  return { status, headers, body: JSON.parse(body.toString()) as unknown }
}

describe('a name that is served', () => {
  test('is shared by the sessions of one identity', async () => {
    const server = await startServer({ authorize: byToken, ...SOON })
    const peers = [await connectPeer(route(server), {}, as('alice'))]
    peers.push(await connectPeer(route(server), {}, as('alice')))
    await until(() => server.registry.count(at('web')) === 2)
    await until(() => !server.registry.sessions(at('web')).some(({ suspect }) => suspect))
    openTo(server.registry, RECORD)
    openTo(server.registry, RECORD)
    const streams = await Promise.all(peers.map((peer) => peer.stream()))
    expect(streams).toHaveLength(2)
  })

  test('is refused to a stranger of the baseline wire, who may come back', async () => {
    const refused: RejectedName[] = []
    const onNameRejected = (one: RejectedName) => refused.push(one)
    const server = await startServer({ authorize: byToken, onNameRejected, ...SOON })
    await connectPeer(route(server), {}, as('alice'))
    const takenAt = server.registry.takenAt(at('web')) ?? 0
    const since = new Date(takenAt).toISOString()
    const { status, headers, body } = await handshakeRefusal(server, 'bob')
    expect([status, headers['retry-after']]).toEqual([503, '1'])
    expect(body).toEqual({
      error: `"web" is served by alice since ${since}`,
      code: 'name-taken',
      holder: 'session',
      since,
      retryAfterMs: 100,
    })
    expect(refused).toEqual([
      {
        endpoint: at('web'),
        identity: 'bob',
        remoteAddress: '127.0.0.1',
        conflict: { holder: 'session', identity: 'alice', since: takenAt, retryAfterMs: 100 },
      },
    ])
    expect(server.registry.count(at('web'))).toBe(1)
  })

  test('is refused to a stranger of ours, who waits for it and gets it', async () => {
    const server = await startServer({ authorize: byToken, ...SOON })
    const holder = await connectPeer(route(server), {}, as('alice'))
    const logger = new RecordingLogger()
    await using agent = new Agent({ url: server.url, token: 'bob', connections: 1, logger })
    const listener = agent.listen('web')
    const [, error] = (await once(agent, 'refused')) as [unknown, TunnelError]
    expect(error).toMatchObject({ code: 'TUNNEL_NAME_TAKEN', holder: 'session', retryAfterMs: 100 })
    expect(error.message).toMatch(
      /^endpoint "web" refused \(name-taken\): "web" is served by alice since 20/,
    )
    expect(Date.parse(error.since ?? '')).toBe(server.registry.takenAt(at('web')))
    expect(listener.online).toBe(false)
    // It asks on, and says so once.
    await once(agent, 'refused')
    const levels = logger.find(error.message).map(({ level }) => level)
    expect(levels).toEqual(['warn', 'debug'])
    holder.session.destroy()
    await listener.ready()
    expect(server.registry.sessions(at('web'))).toMatchObject([{ identity: 'bob' }])
  })

  test('is no matter to another tenant', async () => {
    const server = await startServer({ authorize: byToken, ...SOON })
    await connectPeer(route(server), {}, as('alice'))
    await connectPeer(route(server), {}, { ...as('bob'), 'x-piko-tenant-id': 'acme' })
    expect([server.registry.count(at('web')), server.registry.count(at('web', 'acme'))]).toEqual([
      1, 1,
    ])
  })
})

describe('a holder that hangs', () => {
  test('gets no visitor from the moment it comes back, and is ended', async () => {
    const server = await startServer({ authorize: byToken, ...SOON })
    const old = await hanging(server)
    const back = await connectPeer(route(server), {}, as('alice'))
    await until(() => server.registry.count(at('web')) === 2)
    for (let visitor = 0; visitor < 4; visitor++) openTo(server.registry, RECORD)
    await back.stream(3)
    await until(() => server.registry.count(at('web')) === 1)
    expect(server.logger.find('agent session ended by the server')).toMatchObject([
      { fields: { identity: 'alice', why: 'no answer to a ping within 150 ms' } },
    ])
    old.socket.resume()
    await old.session.closed
    expect(server.registry.count(at('web'))).toBe(1)
  })

  test('is all there is while no other session serves the name', async () => {
    const server = await startServer({ authorize: byToken, probeTimeoutMs: 60_000 })
    const { socket } = await hanging(server)
    // A second connection that is gone again before the first has answered.
    const back = await connectPeer(route(server), {}, as('alice'))
    await until(() => server.registry.count(at('web')) === 2)
    back.session.destroy()
    await until(() => server.registry.count(at('web')) === 1)
    expect(server.registry.sessions(at('web'))).toMatchObject([{ suspect: true }])
    expect(server.registry.pick(at('web'))).toMatchObject({ identity: 'alice' })
    socket.resume()
  })

  test('is not pinged when another identity asks for the name', async () => {
    const server = await startServer({ authorize: byToken, ...SOON })
    const holder = await connectPeer(route(server), {}, as('alice'))
    const before = holder.session.stats().framesReceived
    await using agent = new Agent({ url: server.url, token: 'bob', connections: 1 })
    agent.listen('web')
    for (let request = 0; request < 3; request++) await once(agent, 'refused')
    expect(await refusedStatus(server, 'bob')).toBe(503)
    expect(server.registry.sessions(at('web'))).toMatchObject([{ suspect: false }])
    // The answer to a ping of the peer comes behind any ping of the server.
    await holder.session.ping()
    expect(holder.session.stats().framesReceived - before).toBe(1)
  })

  test('that answers in time keeps everything, however often its identity comes back', async () => {
    const server = await startServer({ authorize: byToken, ...SOON })
    const holder = await connectPeer(route(server), {}, as('alice'))
    openTo(server.registry, RECORD)
    const stream = await holder.stream()
    for (let returns = 0; returns < 5; returns++) {
      const other = await connectPeer(route(server), {}, as('alice'))
      await until(() => server.registry.count(at('web')) === 2)
      other.session.destroy()
      await until(() => server.registry.count(at('web')) === 1)
      await until(() => server.registry.sessions(at('web')).every(({ suspect }) => !suspect))
    }
    expect(stream.destroyed).toBe(false)
    expect(server.logger.find('agent session ended by the server')).toEqual([])
  })
})

test('a second connection of an agent does not end the first, which is silent behind its bulk', async () => {
  const server = await startServer({ authorize: byToken, ...SOON })
  const relay = await slowLink(server.listening.port)
  const agent = new Agent({ url: `http://${relay.authority}`, connections: 2, token: 'alice' })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  await agent.listen('web').ready()
  await until(() => server.registry.count(at('web')) === 2)
  const [first] = server.registry.sessions(at('web'))
  // A session of another agent, which is ended for the silence that the first one is forgiven.
  await hanging(server)
  await until(() => first?.suspect === false)
  const before = server.registry.sessions(at('web'))
  relay.stop(0)
  const again = once(agent, 'retry')
  relay.cut(1)
  await again
  await until(() => server.registry.sessions(at('web')).some((one) => !before.includes(one)))
  // At once: the address of the first may be gone.
  expect(first?.suspect).toBe(true)
  await until(() => server.logger.find('agent session ended by the server').length === 1)
  expect(first?.suspect).toBe(true)
  expect(server.registry.sessions(at('web'))).toContain(first)
  relay.resume(0)
  openTo(server.registry, RECORD)
  await until(() => first?.suspect === false)
  expect(first?.leaving.aborted).toBe(false)
})

test('an agent that registers more names than it may be pinged a second keeps its sessions', async () => {
  const server = await startServer({ authorize: byToken })
  await using agent = new Agent({ url: server.url, token: 'alice', connections: 2 })
  const names = Array.from({ length: 300 }, (_, index) => `name-${index}`)
  await Promise.all(names.map((name) => agent.listen(name).ready()))
  await until(() => names.every((name) => server.registry.count(at(name)) === 2))
  const sessions = [...server.upstream.sessions]
  // One by one, each of them a reason to ask.
  for (const name of names) await agent.listen(`${name}-more`).ready()
  expect([...server.upstream.sessions]).toEqual(sessions)
  expect(server.logger.find('agent session ended by the server')).toEqual([])
})

describe('a name that is reserved', () => {
  test('is registered by whom it is reserved for, on either wire', async () => {
    const server = await startServer({
      authorize: byToken,
      reservations: reservedFor('alice'),
      ...SOON,
    })
    await connectPeer(route(server), {}, as('alice'))
    await using agent = new Agent({ url: server.url, token: 'alice', connections: 1 })
    await agent.listen('web').ready()
    expect(server.registry.count(at('web'))).toBe(2)
  })

  test('is refused to everybody else for good, also while nobody serves it', async () => {
    const refused: RejectedName[] = []
    const server = await startServer({
      authorize: byToken,
      reservations: reservedFor('alice'),
      onNameRejected: (one) => refused.push(one),
      ...SOON,
    })
    const { status, headers, body } = await handshakeRefusal(server, 'bob')
    expect([status, headers['retry-after']]).toEqual([409, undefined])
    expect(body).toEqual({
      error: '"web" is reserved for alice since 2026-01-02T00:00:00.000Z',
      code: 'name-taken',
      holder: 'reservation',
      since: '2026-01-02T00:00:00.000Z',
    })
    await using agent = new Agent({ url: server.url, token: 'bob', connections: 1 })
    const listener = agent.listen('web')
    await expect(listener.ready()).rejects.toMatchObject({
      code: 'TUNNEL_NAME_TAKEN',
      holder: 'reservation',
      since: '2026-01-02T00:00:00.000Z',
      retryAfterMs: undefined,
      retryable: false,
    })
    await agent.listen('other').ready()
    expect(refused.map(({ identity, conflict }) => [identity, conflict.holder])).toEqual([
      ['bob', 'reservation'],
      ['bob', 'reservation'],
    ])
  })

  test('in one tenant is free in another', async () => {
    const reservations = reservedFor('alice')
    const server = await startServer({ authorize: byToken, reservations, ...SOON })
    await connectPeer(route(server), {}, { ...as('bob'), 'x-piko-tenant-id': 'acme' })
    expect(server.registry.count(at('web', 'acme'))).toBe(1)
  })

  test('while a stranger served it goes to its owner when they come', async () => {
    let owner: string | undefined
    const server = await startServer({
      authorize: byToken,
      reservations: {
        find: () => (owner === undefined ? undefined : { identity: owner, reservedAt: SINCE }),
      },
      ...SOON,
    })
    const squatter = await connectPeer(route(server), {}, as('bob'))
    owner = 'alice'
    await connectPeer(route(server), {}, as('alice'))
    await squatter.session.closed
    expect(server.registry.sessions(at('web'))).toMatchObject([{ identity: 'alice' }])
  })
})

test('while it cannot be read whose a name is, nobody gets it, and it is asked for again', async () => {
  let isReadable = false
  const server = await startServer({
    authorize: byToken,
    reservations: {
      find: () => {
        if (!isReadable) throw new Error('disk is gone')
        return undefined
      },
    },
    ...SOON,
  })
  expect(await refusedStatus(server, 'bob')).toBe(500)
  await using agent = new Agent({ url: server.url, token: 'alice', connections: 1 })
  const listener = agent.listen('web')
  const [, error] = (await once(agent, 'refused')) as [unknown, TunnelError]
  expect(error.message).toContain('(unavailable)')
  expect(server.logger.find('the holder of a name cannot be read')).not.toEqual([])
  isReadable = true
  await listener.ready()
})

/** Status with which a handshake is refused. */
async function refusedStatus(server: TestServer, identity: string): Promise<number> {
  return await openWebSocket(route(server), as(identity)).then(
    () => 101,
    (error: Error) => Number(/^status (\d+)$/.exec(error.message)?.[1]),
  )
}

/** A relay to a port whose connections, in order of their arrival, can stop and be cut. */
async function slowLink(port: number) {
  const links: { readonly near: Socket; readonly far: Socket }[] = []
  const relay = await listening(
    createServer((near) => {
      const far = connect(port, '127.0.0.1')
      for (const socket of [near, far]) socket.on('error', () => {})
      near.pipe(far).pipe(near)
      links.push({ near, far })
    }),
  )
  onTestFinished(() => relay.close())
  return {
    authority: relay.authority,
    stop: (index: number) => {
      links[index]?.near.unpipe().pause()
      links[index]?.far.unpipe().pause()
    },
    resume: (index: number) => {
      const link = links[index]
      if (link !== undefined) link.near.pipe(link.far).pipe(link.near)
    },
    cut: (index: number) => {
      links[index]?.near.destroy()
      links[index]?.far.destroy()
    },
  }
}
