// Public TCP ports with real sockets and agents in one process: who gets which, who comes through, and
// for how long a port is kept.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

import { Gate, PasswordChecks, SourceLimiter, VISITOR_FAILURES } from '@proj/auth'
import { Agent, forward, type Listener } from '@proj/tunnel'
import { type AuthorizationRequest, type Grant } from '@proj/tunnel/server'
import { foreignSocket, hasForeignSockets } from '@proj/testkit/foreign-socket'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw } from '@proj/testkit/raw-http'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { PublicPortOptions } from '../../src/public-ports/public-port-options.ts'
import { describePorts } from '../../src/public-ports/describe-ports.ts'
import { Server } from '../../src/server.ts'

const PG = { tenant: '', name: 'pg' }

/** Everyone is who the token says, in the tenant the handshake names. */
function byToken({ headers }: AuthorizationRequest): Grant {
  const tenant = headers['x-piko-tenant-id']
  return {
    identity: headers.authorization?.replace('Bearer ', '') ?? 'anonymous',
    tenant: typeof tenant === 'string' ? tenant : '',
    permits: () => true,
  }
}

async function started(options: PublicPortOptions) {
  const logger = new RecordingLogger()
  const at = { at: '127.0.0.1:0' }
  const server = await Server.start({
    proxy: at,
    upstream: at,
    admin: at,
    publicPorts: options,
    authorize: byToken,
    software: 'adit-server/test',
    logger,
  })
  onTestFinished(() => server.destroy())
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const agent = (token = 'alice', tenantId?: string): Agent => {
    const made = new Agent({
      url,
      token,
      connections: 1,
      backoff: { minMs: 1, baseMs: 1, maxMs: 2 },
      ...(tenantId !== undefined && { tenantId }),
    })
    onTestFinished(() => made[Symbol.asyncDispose]())
    return made
  }
  const status = () => describePorts(server.publicPorts)
  return { server, logger, agent, status }
}

/** A server with a range of its own, in which every port is free. */
async function ranged(size: number, options: PublicPortOptions = {}) {
  const range = await freePorts(size)
  return { ...(await started({ ranges: [range], ...options })), ...range }
}

/** An endpoint whose visitors are told its name, or handled by the test. */
async function offer(
  agent: Agent,
  endpoint: string,
  publicPort: number,
  accept: (socket: Socket) => void = (socket) => socket.end(endpoint),
): Promise<Listener> {
  const service = await listening(createServer({ allowHalfOpen: true, noDelay: true }, accept))
  onTestFinished(() => service.close())
  const { host, port } = service
  return forward(agent, endpoint, { kind: 'tcp', publicPort, service: { host, port } })
}

async function heard(port: number, host = '127.0.0.1'): Promise<string> {
  using visitor = await connectRaw({ host, port })
  return (await visitor.readToEnd()).toString()
}

/** How a connection ended; a reset may come before the client knows that it is connected. */
async function ended(port: number): Promise<string> {
  try {
    using visitor = await connectRaw(port)
    return await visitor.ended
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return 'reset'
    throw error
  }
}

const refusals = (agent: Agent): string[] => {
  const texts: string[] = []
  agent.on('refused', (_, { message }) => texts.push(message))
  return texts
}

describe('visitors', () => {
  test('reach the endpoint by IPv4 and by IPv6', async () => {
    const { agent, first } = await ranged(1)
    const listener = await offer(agent(), 'pg', first)
    await listener.ready()
    expect(listener.urls[0]).toBe(`tcp://127.0.0.1:${first}`)
    expect([await heard(first), await heard(first, '::1')]).toEqual(['pg', 'pg'])
  })

  test('are announced to the agent by address and port, in their address family', async () => {
    const { agent, first } = await ranged(1)
    const listener = agent().listen('pg', { kind: 'tcp', publicPort: first })
    listener.on('connection', (stream, record) => {
      stream.on('error', () => {})
      stream.end(`${record?.visitorAddress} ${record?.visitorPort}`)
    })
    await listener.ready()
    for (const host of ['127.0.0.1', '::1']) {
      using visitor = await connectRaw({ host, port: first })
      const said = (await visitor.readToEnd()).toString()
      expect(said).toBe(`${host} ${visitor.socket.localPort}`)
    }
  })

  test('that have ended their direction still get the whole response', async () => {
    const { agent, first } = await ranged(1)
    const listener = await offer(agent(), 'pg', first, (socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('end', () => socket.end(`you said ${Buffer.concat(chunks).toString()}`))
    })
    await listener.ready()
    using visitor = await connectRaw(first)
    await visitor.send('all I have')
    visitor.end()
    expect((await visitor.readToEnd()).toString()).toBe('you said all I have')
    expect(await visitor.ended).toBe('fin')
  })

  test('see a reset as a reset, and the service sees theirs', async () => {
    const { agent, first } = await ranged(1)
    const accepted: Socket[] = []
    const listener = await offer(agent(), 'pg', first, (socket) => {
      socket.on('error', () => {})
      accepted.push(socket)
      socket.write('x')
    })
    await listener.ready()
    using one = await connectRaw(first)
    await one.read(1)
    accepted[0]?.resetAndDestroy()
    expect(await one.ended).toBe('reset')
    using other = await connectRaw(first)
    await other.read(1)
    const service = accepted[1]
    if (service === undefined) throw new Error('nobody was accepted')
    const reset = once(service, 'error') as Promise<[NodeJS.ErrnoException]>
    other.reset()
    expect((await reset)[0].code).toBe('ECONNRESET')
  })

  test('are shared by the agents of an identity', async () => {
    const { agent, first, status } = await ranged(1)
    const answers = ['one', 'two'].map((name) => (socket: Socket) => void socket.end(name))
    const made = await Promise.all(answers.map((answer) => offer(agent(), 'pg', first, answer)))
    await Promise.all(made.map((listener) => listener.ready()))
    const said = [await heard(first), await heard(first), await heard(first), await heard(first)]
    expect(said.toSorted()).toEqual(['one', 'one', 'two', 'two'])
    expect(status()).toMatchObject([{ port: first, sessions: 2 }])
    await made[0]?.close()
    expect([await heard(first), await heard(first)]).toEqual(['two', 'two'])
  })

  test('that are not allowed are rejected, at once after the lists have changed', async () => {
    const { server, agent, first, last, status } = await ranged(1, { deny: ['127.0.0.1'] })
    const listener = await offer(agent(), 'pg', first)
    await listener.ready()
    expect(await heard(first, '::1')).toBe('pg')
    expect(await heard(first)).toBe('')
    expect(status()).toMatchObject([{ refused: 1 }])
    server.publicPorts.configure({ ranges: [{ first, last }], deny: ['::1'] })
    expect(await heard(first)).toBe('pg')
    expect(await heard(first, '::1')).toBe('')
  })

  test('are checked by the rules of the endpoint', async () => {
    const { server, agent, first } = await ranged(1)
    await (await offer(agent(), 'pg', first)).ready()
    const session = server.registry.pick(PG)
    if (session === undefined) throw new Error('nobody serves pg')
    const parts = { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) }
    server.registry.add(PG, session, new Gate({ allow: ['::1'] }, parts))
    expect(await heard(first, '::1')).toBe('pg')
    expect(await ended(first)).toBe('reset')
  })

  test('tell the server how the endpoint fares', async () => {
    const { server, agent, first } = await ranged(1)
    let answers = true
    const listener = await offer(agent(), 'pg', first, (socket) => {
      if (answers) socket.end('pg')
      else socket.resetAndDestroy()
    })
    await listener.ready()
    await heard(first)
    await until(() => server.registry.lastOutcome(PG)?.outcome === 'ok')
    answers = false
    expect(await ended(first)).toBe('reset')
    await until(() => server.registry.lastOutcome(PG)?.outcome === 'serviceReset')
  })

  test('beyond the limit are reset, and counted', async () => {
    const { server, agent, first } = await ranged(1, { maxConnections: 1 })
    const listener = await offer(agent(), 'pg', first, (socket) => {
      socket.on('end', () => socket.end()).resume()
      socket.write('x')
    })
    await listener.ready()
    using staying = await connectRaw(first)
    await staying.read(1)
    expect(await ended(first)).toBe('reset')
    expect([
      server.publicPorts.visitors.refused,
      server.publicPorts.visitors.counts().open,
    ]).toEqual([1, 1])
    staying.end()
    await staying.ended
    await until(() => server.publicPorts.visitors.counts().open === 0)
    using next = await connectRaw(first)
    expect((await next.read(1)).toString()).toBe('x')
  })

  test('that rest for too long are reset, where there is a limit', async () => {
    const { agent, first } = await ranged(1, { idleTimeoutMs: 500 })
    const listener = await offer(agent(), 'pg', first, (socket) => socket.write('x'))
    await listener.ready()
    using visitor = await connectRaw(first)
    await visitor.read(1)
    expect(await visitor.ended).toBe('reset')
  })

  test('are counted with their bytes, by port and in all, while they are there and after', async () => {
    const { server, agent, first, status } = await ranged(2)
    const listeners = [
      await offer(agent(), 'one', first, (socket) => socket.pipe(socket)),
      await offer(agent(), 'two', first + 1, (socket) => socket.pipe(socket)),
    ]
    await Promise.all(listeners.map((listener) => listener.ready()))
    using visitor = await connectRaw(first)
    await visitor.send('four')
    await visitor.read(4)
    const counts = { connections: 1, bytesIn: 4, bytesOut: 4 }
    const none = { visitors: 0, connections: 0, bytesIn: 0, bytesOut: 0 }
    expect(status()).toMatchObject([{ visitors: 1, ...counts }, none])
    visitor.end()
    await visitor.ended
    await until(() => status()[0]?.visitors === 0)
    expect(status()).toMatchObject([counts, none])
    expect(server.publicPorts.visitors.counts()).toEqual({ open: 0, ...counts })
  })
})

describe('a port that is asked for', () => {
  test('outside of the ranges is refused for good', async () => {
    const { agent, first, last } = await ranged(2)
    await expect((await offer(agent(), 'pg', last + 1)).ready()).rejects.toThrow(
      `refused (port-not-allowed): port ${last + 1} is not one this server gives`,
    )
    await expect((await offer(agent(), 'pg', first - 1)).ready()).rejects.toThrow('not-allowed')
  })

  test('is refused by a server that gives none', async () => {
    const { agent } = await started({})
    await expect((await offer(agent(), 'pg', 0)).ready()).rejects.toThrow('(port-off)')
  })

  test('and belongs to another program is refused until it is free; the log names the holder, the agent does not', async ({
    skip,
  }) => {
    skip(!hasForeignSockets, 'no python3 on this machine')
    await using python = await foreignSocket({ host: '127.0.0.1' })
    const { port } = python
    const { agent, logger, status } = await started({
      ranges: [{ first: port, last: port }],
      onConflict: 'fail',
    })
    const listener = await offer(agent(), 'pg', port)
    const { message } = await listener.ready().then(
      () => new Error('served'),
      (error: Error) => error,
    )
    expect(message).toBe(
      `endpoint "pg" refused (port-taken): port ${port} is taken by another program`,
    )
    expect(status()).toEqual([])
    const [line] = logger.find('public port cannot be opened')
    expect(line?.level).toBe('warn')
    expect(line?.fields).toMatchObject({ port, endpoint: 'pg' })
    expect(String(line?.fields['why'])).toContain(`pid ${python.pid}`)
  })

  test('and belongs to another endpoint is refused with what has it and since when', async () => {
    const { agent, first, status } = await ranged(1)
    await (await offer(agent('alice'), 'pg', first)).ready()
    const since = status()[0]?.since
    const bob = agent('bob')
    const refused = once(bob, 'refused')
    await offer(bob, 'other', first)
    const [, error] = await refused
    expect(error).toMatchObject({
      code: 'TUNNEL_PORT_REFUSED',
      message: `endpoint "other" refused (port-taken): another endpoint serves port ${first} since ${since}`,
      holder: 'session',
      since,
      retryAfterMs: 3000,
    })
    expect(String(error)).not.toContain('alice')
    expect(await heard(first)).toBe('pg')
  })

  test('is the next free one with onConflict next, and the agent knows', async () => {
    const { agent, first, last } = await ranged(3, { onConflict: 'next' })
    const listeners = ['a', 'b', 'c'].map(async (name) => await offer(agent(name), name, last))
    const ports: number[] = []
    for (const listener of await Promise.all(listeners)) {
      await listener.ready()
      ports.push(listener.port ?? 0)
      expect(await heard(listener.port ?? 0)).toBe(listener.endpoint)
    }
    expect(ports.toSorted((one, other) => one - other)).toEqual([first, first + 1, last])
  })

  test('twice for one endpoint is one port: another is refused while it is served', async () => {
    const { agent, first } = await ranged(2)
    await (await offer(agent(), 'pg', first)).ready()
    const other = agent()
    const said = refusals(other)
    await offer(other, 'pg', first + 1)
    await until(() => said.length > 0)
    expect(said[0]).toContain(`(port-differs): other agents serve this endpoint on port ${first}`)
    const third = await offer(agent(), 'pg', 0)
    await third.ready()
    expect(third.port).toBe(first)
  })

  test('moves with its only agent, and the old one is free at once', async () => {
    const { agent, first, status } = await ranged(2)
    const one = agent()
    const before = await offer(one, 'pg', first)
    await before.ready()
    await before.close()
    await (await offer(one, 'pg', first + 1)).ready()
    expect(status().map(({ port }) => port)).toEqual([first + 1])
    await (await offer(agent('bob'), 'other', first)).ready()
    expect(await heard(first)).toBe('other')
  })

  test('beyond the limit of an identity is refused, unless one is only kept for it', async () => {
    const { agent, first, status } = await ranged(3, { maxPerIdentity: 1 })
    const alice = agent('alice')
    const one = await offer(alice, 'one', first)
    await one.ready()
    await expect((await offer(alice, 'two', first + 1)).ready()).rejects.toThrow(
      '(port-limit): an identity may have 1 public ports',
    )
    await (await offer(agent('bob'), 'bobs', first + 2)).ready()
    await (await offer(agent('alice', 'other'), 'tenants', first + 1)).ready()
    await one.close()
    await (await offer(alice, 'three', 0)).ready()
    expect(
      status()
        .map(({ endpoint }) => endpoint)
        .toSorted(),
    ).toEqual(['bobs', 'tenants', 'three'])
  })
})

describe('any port', () => {
  test('is one of the ranges that is free, and none is left after the last', async () => {
    const { agent, first, last } = await ranged(3)
    const ports: number[] = []
    for (const name of ['a', 'b', 'c']) {
      const listener = await offer(agent(), name, 0)
      await listener.ready()
      ports.push(listener.port ?? 0)
    }
    expect(ports.toSorted((one, other) => one - other)).toEqual([first, first + 1, last])
    const late = agent()
    const said = refusals(late)
    await offer(late, 'd', 0)
    await until(() => said.length > 0)
    expect(said[0]).toContain('(port-none-left): every port this server gives is taken')
  })

  test('is none that another program has on one of the addresses', async ({ skip }) => {
    skip(!hasForeignSockets, 'no python3 on this machine')
    await using python = await foreignSocket({ host: '127.0.0.1' })
    const { first, last } = await freePorts(1)
    const { agent } = await started({
      ranges: [
        { first: python.port, last: python.port },
        { first, last },
      ],
    })
    const listener = await offer(agent(), 'pg', 0)
    await listener.ready()
    expect(listener.port).toBe(first)
  })

  test('is the one it had before, also on a server that was started anew', async () => {
    const { agent, first, last, server } = await ranged(50, { holdMs: 0 })
    const before = await offer(agent(), 'pg', 0)
    await before.ready()
    await before.close()
    expect(server.publicPorts.ports).toEqual([])
    const again = await offer(agent(), 'pg', 0)
    await again.ready()
    expect(again.port).toBe(before.port)
    server.destroy()
    const next = await started({ ranges: [{ first, last }] })
    const later = await offer(next.agent(), 'pg', 0)
    await later.ready()
    expect(later.port).toBe(before.port)
  })

  test('is the one it asked for by number before', async () => {
    const { agent, last } = await ranged(50, { holdMs: 0 })
    const before = await offer(agent(), 'pg', last)
    await before.ready()
    await before.close()
    const again = await offer(agent(), 'pg', 0)
    await again.ready()
    expect(again.port).toBe(last)
  })
})

describe('a port whose agents have gone', () => {
  test('stays bound: visitors are reset, another identity is refused, its owner gets it back at once', async () => {
    const { agent, first, status } = await ranged(1, { holdMs: 600_000 })
    const alice = agent('alice')
    await (await offer(alice, 'pg', first)).ready()
    alice.destroy()
    const held = await until(() => status().find(({ heldUntil }) => heldUntil !== undefined))
    expect(held).toMatchObject({ port: first, endpoint: 'pg', identity: 'alice', sessions: 0 })
    expect(await ended(first)).toBe('reset')

    const bob = agent('bob')
    const refused = once(bob, 'refused')
    const waiting = await offer(bob, 'pg', first)
    const [, error] = await refused
    expect(error).toMatchObject({ holder: 'hold', since: held.since })
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(500_000)
    await waiting.close()

    await (await offer(agent('alice'), 'pg', first)).ready()
    expect(await heard(first)).toBe('pg')
    expect(status()).toMatchObject([{ since: held.since, sessions: 1 }])
    expect(status()[0]).not.toHaveProperty('heldUntil')
  })

  test('is free once it was kept long enough', async () => {
    const { agent, first, status } = await ranged(1, { holdMs: 20 })
    const alice = agent('alice')
    await (await offer(alice, 'pg', first)).ready()
    alice.destroy()
    await until(() => status().length === 0)
    await expect(connectRaw(first)).rejects.toThrow('ECONNREFUSED')
    await (await offer(agent('bob'), 'pg', first)).ready()
    expect(await heard(first)).toBe('pg')
  })

  test('goes to another endpoint of its identity that asks for it by number', async () => {
    const { agent, first, status } = await ranged(1, { holdMs: 600_000 })
    const alice = agent('alice')
    const old = await offer(alice, 'old', first)
    await old.ready()
    await old.close()
    const renamed = await offer(alice, 'new', first)
    await renamed.ready()
    expect(await heard(first)).toBe('new')
    expect(status().map(({ endpoint }) => endpoint)).toEqual(['new'])
  })

  test('lets connections finish that agents still carry', async () => {
    const { agent, first, status } = await ranged(1, { holdMs: 0 })
    const listener = await offer(agent(), 'pg', first, (socket) => socket.pipe(socket))
    await listener.ready()
    using visitor = await connectRaw(first)
    await visitor.send('ping')
    await visitor.read(4)
    await listener.close()
    expect(status()).toEqual([])
    await visitor.send('pong')
    expect((await visitor.read(4)).toString()).toBe('pong')
  })

  test('does not lead to the new owner of the name', async () => {
    const { agent, first, status } = await ranged(2, { holdMs: 600_000 })
    const alice = agent('alice')
    await (await offer(alice, 'pg', first)).ready()
    alice.destroy()
    await until(() => status()[0]?.heldUntil !== undefined)
    const bob = await offer(agent('bob'), 'pg', first + 1, (socket) => socket.end('of bob'))
    await bob.ready()
    expect(await heard(first + 1)).toBe('of bob')
    expect(await ended(first)).toBe('reset')
  })
})

describe('a server that stops', () => {
  test('takes no visitor any more, lets those that are there finish, and cuts the rest', async () => {
    const { server, agent, first } = await ranged(1)
    const listener = await offer(agent(), 'pg', first, (socket) => {
      socket.on('error', () => {})
      socket.on('end', () => socket.end('bye')).resume()
      socket.write('x')
    })
    await listener.ready()
    using finishing = await connectRaw(first)
    using staying = await connectRaw(first)
    await Promise.all([finishing.read(1), staying.read(1)])
    const patience = new AbortController()
    const closed = server.close({ signal: patience.signal })
    await until(
      async () =>
        await connectRaw(first).then(
          () => false,
          () => true,
        ),
    )
    finishing.end()
    expect((await finishing.readToEnd()).toString()).toBe('bye')
    patience.abort(new Error('enough'))
    expect(await staying.ended).toBe('reset')
    await closed
  })
})

test('a server whose proxy port is on loopback opens its ports there', async () => {
  const { agent, first, status } = await ranged(1)
  await (await offer(agent(), 'pg', first)).ready()
  expect(status()[0]?.addresses).toEqual([`127.0.0.1:${first}`, `[::1]:${first}`])
})

test('hosts that are named are the ones that are opened', async () => {
  const { agent, first, status } = await ranged(1, { hosts: ['127.0.0.1', '127.0.0.2'] })
  await (await offer(agent(), 'pg', first)).ready()
  expect(status()[0]?.addresses).toEqual([`127.0.0.1:${first}`, `127.0.0.2:${first}`])
  expect(await heard(first, '127.0.0.2')).toBe('pg')
})
