// Agents and consumers with several servers: real servers on loopback, behind fronts that go down, come
// back, or balance.
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { listening } from '@proj/testkit/listening'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { Agent, type AgentOptions } from '../../src/client/agent.ts'
import { Consumer, type ConsumerOptions } from '../../src/client/consumer.ts'
import { dial } from '../../src/client/sdk.ts'
import type { Authorize } from '../../src/server/authorization.ts'
import { deadAddress, readAll, startPikoServer, startServer, type TestServer } from '../peers.ts'

const SOON = { minMs: 1, baseMs: 1, maxMs: 20 }
const SPREAD = { spreadIntervalMs: 100 }

/** A TCP relay in front of servers, on a port that stays. */
interface Front {
  readonly url: string
  /** Connections so far. */
  readonly connections: number
  /** Ports behind it; the n-th connection goes to the n-th, and so on in turn. None: connections are closed. */
  targets: readonly number[]
  /** Ends its connections. */
  cut(): void
  /** From now on nothing is passed on, and nothing is closed. */
  freeze(): void
}

async function startFront(...servers: readonly TestServer[]): Promise<Front> {
  let connections = 0
  let isFrozen = false
  const sockets = new Set<Socket>()
  const relay = createTcpServer({ noDelay: true }, (socket) => {
    const port = front.targets[connections++ % front.targets.length]
    if (isFrozen) {
      socket.pause()
      return
    }
    if (port === undefined) {
      socket.resetAndDestroy()
      return
    }
    const far = connectTcp({ port, host: '127.0.0.1', noDelay: true })
    for (const [one, other] of [
      [socket, far],
      [far, socket],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.once('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  const listen = await listening(relay)
  onTestFinished(() => listen.close())
  const front = {
    url: `http://${listen.authority}`,
    get connections() {
      return connections
    },
    targets: servers.map((server) => server.listening.port),
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    freeze: () => {
      isFrozen = true
      for (const socket of sockets) {
        socket.unpipe()
        socket.pause()
      }
    },
  }
  return front
}

function startAgent(options: AgentOptions): Agent {
  const agent = new Agent({ backoff: SOON, ...SPREAD, ...options })
  onTestFinished(() => agent.destroy())
  return agent
}

function startConsumer(options: ConsumerOptions): Consumer {
  const consumer = new Consumer({ backoff: SOON, ...SPREAD, ...options })
  onTestFinished(() => consumer.destroy())
  return consumer
}

/** Sessions of a server that serve `web`. */
function serving(server: TestServer): number {
  return [...server.registry.snapshot().values()].reduce((sum, { length }) => sum + length, 0)
}

async function whenServing(...wanted: readonly (readonly [TestServer, number])[]): Promise<void> {
  await until(() => wanted.every(([server, count]) => serving(server) === count), {
    what: wanted.map(([, count]) => count).join(' and ') + ' sessions',
  })
}

/** Serves `web` with connections that are answered with a name. */
function serve(agent: Agent, name: string): ReturnType<Agent['listen']> {
  const listener = agent.listen('web', { kind: 'tcp' })
  listener.on('connection', (stream: Duplex) => {
    stream.on('error', () => {})
    stream.end(name)
  })
  return listener
}

async function ask(consumer: Consumer): Promise<string> {
  const way = await consumer.open('web')
  if (way.protocol !== 'adit') throw new Error('not a session')
  const stream = way.channel.toStream()
  stream.on('error', () => {})
  const text = await readAll(stream)
  stream.end()
  return text
}

describe('an agent', () => {
  test.each([
    [2, 2, [1, 1]],
    [6, 3, [2, 2, 2]],
    [2, 3, [1, 1, 0]],
    [3, 2, [2, 1]],
  ])('spreads %i connections over %i servers', async (connections, count, loads) => {
    const servers = await Promise.all(Array.from({ length: count }, () => startServer()))
    const agent = startAgent({ url: servers.map(({ url }) => url), connections })
    agent.listen('web')
    await until(() => agent.connections.length === connections)
    await until(() => servers.reduce((sum, server) => sum + serving(server), 0) === connections)
    expect(servers.map(serving).toSorted((a, b) => b - a)).toEqual(loads)
    await until(() => agent.connections.every(({ serverId }) => serverId !== undefined))
    const ids = new Set(agent.connections.map(({ serverId }) => serverId))
    expect(ids.size).toBe(Math.min(count, connections))
  })

  test('keeps its endpoints when a server is lost, and returns to it, served all the time', async () => {
    const first = await startServer({ urls: () => ['http://web.first'] })
    const second = await startServer({ urls: () => ['http://web.second'] })
    const fronts = [await startFront(first), await startFront(second)] as const
    const agent = startAgent({ url: fronts.map(({ url }) => url) })
    const listener = agent.listen('web')
    const offline: string[] = []
    listener.on('offline', () => offline.push('offline'))
    await until(() => listener.urls.length === 2)
    fronts[0].targets = []
    fronts[0].cut()
    await whenServing([first, 0], [second, 2])
    await until(() => listener.urls.join() === 'http://web.second')
    fronts[0].targets = [first.listening.port]
    // The connection that moves is served by the old server until the new one serves it.
    let least = 2
    await until(() => {
      least = Math.min(least, serving(first) + serving(second))
      return serving(first) === 1 && serving(second) === 1
    })
    expect(least).toBeGreaterThanOrEqual(2)
    expect(offline).toEqual([])
    await until(() => agent.sessions === 2 && listener.urls.length === 2)
  })

  test('asks again behind a balancer until its connections have two servers', async () => {
    const [first, second] = [await startServer(), await startServer()]
    const front = await startFront(first, first, first, first, second)
    const agent = startAgent({ url: front.url })
    agent.listen('web')
    await whenServing([first, 1], [second, 1])
    await until(() => agent.sessions === 2)
    expect(front.connections).toBe(5)
  })

  test('tries no other server with one session, or when that is switched off', async () => {
    const server = await startServer()
    const front = await startFront(server)
    const agents = [
      startAgent({ url: front.url, connections: 1 }),
      startAgent({ url: front.url, connections: 2, spreadIntervalMs: Infinity }),
    ]
    for (const agent of agents) agent.listen('web')
    await whenServing([server, 3])
    // An agent that does try shows that there was time to.
    startAgent({ url: front.url }).listen('web')
    await until(() => front.connections >= 3 + 2 + 2)
    expect(agents.map(({ sessions }) => sessions)).toEqual([1, 2])
    expect(serving(server)).toBe(5)
  })

  test('goes on with the others when one server rejects its credentials', async () => {
    const denies: Authorize = () => ({ status: 401, error: 'invalid token' })
    const [sound, denying] = [await startServer(), await startServer({ authorize: denies })]
    const logger = new RecordingLogger()
    const agent = startAgent({ url: [denying.url, sound.url], logger })
    await agent.listen('web').ready()
    await whenServing([sound, 2])
    expect([...agent.refusedServers]).toMatchObject([
      [denying.url, { code: 'TUNNEL_UNAUTHORIZED', message: '401: invalid token' }],
    ])
    const told = logger.records.filter(({ message }) => message.includes('is not tried again'))
    expect(told).toMatchObject([{ level: 'warn', fields: { server: denying.url } }])
  })

  test('ends when all servers reject its credentials', async () => {
    const denies: Authorize = () => ({ status: 401, error: 'invalid token' })
    const servers = await Promise.all([1, 2].map(() => startServer({ authorize: denies })))
    const agent = startAgent({ url: servers.map(({ url }) => url) })
    const listener = agent.listen('web')
    await expect(listener.ready()).rejects.toMatchObject({ code: 'TUNNEL_UNAUTHORIZED' })
  })

  test('goes on with the others when one server ends its right, and ends with the last one', async () => {
    const rights = [new AbortController(), new AbortController()]
    const grants = rights.map(({ signal }): Authorize => () => ({
      identity: 'a',
      tenant: '',
      ended: signal,
      permits: () => true,
    }))
    const servers = await Promise.all(grants.map((authorize) => startServer({ authorize })))
    const [first, second] = servers as [TestServer, TestServer]
    const agent = startAgent({ url: servers.map(({ url }) => url) })
    const listener = agent.listen('web')
    await whenServing([first, 1], [second, 1])
    rights[0]?.abort(new Error('revoked token'))
    await whenServing([first, 0], [second, 2])
    expect(listener.online).toBe(true)
    rights[1]?.abort(new Error('revoked token'))
    const { error } = await listener.closed
    expect(error).toMatchObject({ code: 'TUNNEL_UNAUTHORIZED' })
  })

  test('serves an endpoint at the server that grants it when another one does not', async () => {
    const limited: Authorize = () => ({
      identity: 'a',
      tenant: '',
      permits: (_, name) => name !== 'web',
    })
    const [sound, strict] = [await startServer(), await startServer({ authorize: limited })]
    const agent = startAgent({ url: [strict.url, sound.url] })
    agent.listen('other')
    const listener = agent.listen('web')
    await listener.ready()
    await until(() => strict.registry.snapshot().size === 1)
    expect(listener.online).toBe(true)
    const alone = startAgent({ url: [strict.url, strict.url.replace('127.0.0.1', 'localhost')] })
    alone.listen('other')
    await expect(alone.listen('web').ready()).rejects.toMatchObject({
      code: 'TUNNEL_ENDPOINT_REFUSED',
    })
  })

  test('waits while no server can be reached, with the reason of each', async () => {
    const dead = await deadAddress()
    const piko = await startPikoServer({
      refuse: () => 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy',
    })
    const agent = startAgent({ url: [`http://${dead.host}:${dead.port}`, piko.url] })
    const failed = new Promise<unknown>((resolve) => {
      agent.once('retry', ({ error }) => resolve(error))
    })
    agent.listen('web')
    const error = (await failed) as Error
    expect(error).toMatchObject({ code: 'TUNNEL_SERVERS_FAILED', retryable: true })
    expect(error.message).toContain(`http://${dead.host}:${dead.port}: `)
    expect(error.message).toContain(`${piko.url}: `)
    expect(error.message).toMatch(/ECONNREFUSED|refused/)
  })

  test('does not mix servers of Adit and Piko', async () => {
    const [sound, piko] = [await startServer(), await startPikoServer()]
    vi.spyOn(Math, 'random').mockReturnValue(0) // the first connection is one with the first server
    onTestFinished(() => void vi.restoreAllMocks())
    const agent = startAgent({ url: [sound.url, piko.url] })
    agent.listen('web')
    await whenServing([sound, 2])
    expect(piko.requests.length).toBeGreaterThan(0)
    expect(agent.protocol).toBe('adit')
  })
})

describe('a list of servers', () => {
  test.each([
    ['none', []],
    ['too many', Array.from({ length: 17 }, (_, at) => `http://127.0.0.1:${at + 1}`)],
    ['one that is no URL', ['http://127.0.0.1:1', 'ftp://127.0.0.1']],
    ['one with a password', ['http://127.0.0.1:1', 'http://me:s3cret@127.0.0.1']],
  ])('is rejected with %s', (_, url) => {
    for (const make of [() => new Agent({ url }), () => new Consumer({ url })]) {
      expect(make).toThrow(TypeError)
      expect(make).not.toThrow(/s3cret/)
    }
  })
})

describe('a consumer', () => {
  test('reaches the server where the endpoint is served', async () => {
    const [empty, served] = [await startServer(), await startServer()]
    const agent = startAgent({ url: served.url, connections: 1 })
    await serve(agent, 'there').ready()
    const consumer = startConsumer({ url: [empty.url, served.url] })
    await until(() => consumer.connections.length === 2 || consumer.ready().then(() => false))
    for (let round = 0; round < 5; round++) expect(await ask(consumer)).toBe('there')
    const signal = AbortSignal.timeout(20_000)
    expect(await consumer.query('web', { signal })).toMatchObject({ upstreams: 1 })
  })

  test.each(['is lost', 'says nothing'])(
    'uses the session that lives when the server of the other one %s',
    async (how) => {
      const servers = [await startServer(), await startServer()] as const
      const fronts = [await startFront(servers[0]), await startFront(servers[1])] as const
      const agent = startAgent({ url: servers.map(({ url }) => url) })
      serve(agent, 'there')
      await whenServing([servers[0], 1], [servers[1], 1])
      const consumer = startConsumer({ url: fronts.map(({ url }) => url), pingIntervalMs: 60_000 })
      await consumer.ready()
      await until(() => consumer.connections.length === 2)
      const first = fronts.findIndex(({ url }) => url === consumer.connections[0]?.url)
      const front = fronts[first as 0 | 1]
      if (how === 'is lost') {
        front.targets = []
        front.cut()
      } else front.freeze()
      expect(await ask(consumer)).toBe('there')
    },
  )

  test('has sessions with two servers again when one is back', async () => {
    const servers = [await startServer(), await startServer()] as const
    const front = await startFront(servers[0])
    const consumer = startConsumer({ url: [front.url, servers[1].url] })
    const apart = (): number => new Set(consumer.connections.map(({ url }) => url)).size
    await consumer.ready()
    await until(() => apart() === 2)
    front.targets = []
    front.cut()
    await until(() => consumer.connections.length === 2 && apart() === 1)
    front.targets = [servers[0].listening.port]
    await until(() => apart() === 2)
    expect(consumer.connections.every(({ serverId }) => serverId !== undefined)).toBe(true)
  })

  test('dial takes the server that is there', async () => {
    const dead = await deadAddress()
    const server = await startServer()
    await serve(startAgent({ url: server.url }), 'there').ready()
    const stream = await dial('web', { url: [`http://${dead.host}:${dead.port}`, server.url] })
    expect(await readAll(stream)).toBe('there')
    stream.end()
  })
})
