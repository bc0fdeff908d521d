// Length: the nodes that the tests start, and each way across them.
// Two or three nodes in one process, joined by a database in memory: what a server does as a node.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'

import {
  ClusterError,
  type Engine,
  type HeldName,
  MemoryDatabase,
  MemoryEngine,
  Membership,
} from '@proj/cluster'
import { Agent, forward } from '@proj/tunnel'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw, exchangeRaw, type RawHttp } from '@proj/testkit/raw-http'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { announce, lookAt } from '../../src/announce.ts'
import { Cluster } from '../../src/cluster/cluster.ts'
import type { ClusterSettings } from '../../src/cluster/cluster-settings.ts'
import type { RebalanceOptions } from '../../src/cluster/rebalance.ts'
import type { PublicPortOptions } from '../../src/public-ports/public-port-options.ts'
import { Server } from '../../src/server.ts'
import { handedState } from '../../src/upgrade.ts'
import { memoryStore } from '../../src/store/store.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const SETTINGS: ClusterSettings = {
  databaseUrl: undefined,
  bindAddr: [{ kind: 'tcp', host: '127.0.0.1', hostKind: 'ipv4', families: 'ipv4', port: 0 }],
  advertiseAddr: undefined,
  nodeId: undefined,
  nodeIdPrefix: undefined,
  tls: { cert: undefined, key: undefined, ca: undefined },
  leaseMs: 10_000,
  staleAfterMs: 900_000,
} as unknown as ClusterSettings

interface Node extends AsyncDisposable {
  readonly server: Server
  readonly cluster: Cluster
  readonly logger: RecordingLogger
  readonly upstreamUrl: string
  readonly proxyPort: number
}

test('a file of authorities without a certificate is an error, not the authorities of the system', async () => {
  using folder = temporaryDirectory()
  const ca = folder.write('ca.pem', '')
  const opened = Cluster.open({
    settings: { ...SETTINGS, tls: { ...SETTINGS.tls, ca } },
    rebalance: { threshold: 0, shedRate: 0.005, minConns: 50 },
    identity: { id: 'a', boot: 'boot-a' },
    version: '1.2.3',
    reservations: memoryStore(silent).reservations,
    nameRetryAfterMs: 100,
    logger: silent,
  })
  await expect(opened).rejects.toMatchObject({ code: 'CONFIG_CERTIFICATE_INVALID', exitCode: 2 })
})

async function startNode(
  database: MemoryDatabase,
  id: string,
  more: {
    readonly publicPorts?: PublicPortOptions
    readonly rebalance?: RebalanceOptions
    readonly engine?: Engine
    readonly boot?: string
    readonly heldNames?: readonly HeldName[] | undefined
  } = {},
): Promise<Node> {
  const logger = new RecordingLogger()
  const store = memoryStore(silent)
  const cluster = await Cluster.open({
    settings: SETTINGS,
    rebalance: more.rebalance ?? { threshold: 0, shedRate: 0.005, minConns: 50 },
    identity: { id, boot: more.boot ?? `boot-${id}` },
    version: '1.2.3',
    reservations: store.reservations,
    nameRetryAfterMs: 100,
    logger,
    heldNames: more.heldNames,
    engine: more.engine ?? new MemoryEngine(database),
  })
  const at = { at: '127.0.0.1:0' }
  const server = await Server.start({
    proxy: at,
    upstream: at,
    admin: at,
    cluster,
    store,
    software: 'adit-server/1.2.3',
    waits: { startWaitMs: 0, absentWaitMs: 60_000 },
    publicPorts: more.publicPorts ?? {},
    logger,
  })
  await cluster.start(new AbortController().signal)
  const end = async (): Promise<void> => {
    await cluster[Symbol.asyncDispose]()
    server.destroy()
  }
  onTestFinished(end)
  return {
    server,
    cluster,
    logger,
    upstreamUrl: `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`,
    proxyPort: server.listeners.proxy.bound[0]?.port ?? 0,
    [Symbol.asyncDispose]: end,
  }
}

async function service(accept: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const listen = await listening(createServer({ allowHalfOpen: true, noDelay: true }, accept))
  onTestFinished(() => listen.close())
  return listen
}

function agentOf(node: Node): Agent {
  const agent = new Agent({
    url: node.upstreamUrl,
    connections: 1,
    backoff: { minMs: 1, baseMs: 1, maxMs: 5 },
  })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  return agent
}

async function admin(node: Node, path: string): Promise<string> {
  const port = node.server.listeners.admin.bound[0]?.port ?? 0
  const head = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`
  return (await exchangeRaw(port, head)).body.toString()
}

const served = (body: string) => (socket: Socket) => {
  socket.once('data', () => {
    socket.end(
      `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    )
  })
}

async function visit(node: Node): Promise<string> {
  const head = 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n'
  const { status, body } = await exchangeRaw(node.proxyPort, head)
  return `${status} ${body.toString()}`
}

test('a visitor of any node reaches the agent, and the pages of any node show it', async () => {
  const database = new MemoryDatabase()
  const [a, b] = [await startNode(database, 'a'), await startNode(database, 'b')]
  const listener = forward(agentOf(a), 'web', {
    kind: 'http',
    service: await service(served('hello')),
  })
  await listener.ready()
  await until(async () => (await visit(b)) === '200 hello')
  expect(await visit(a)).toBe('200 hello')
  expect(JSON.parse(await admin(b, '/status/cluster/nodes'))).toMatchObject([
    { id: 'a', status: 'active', endpoints: 1, local: false, version: '1.2.3' },
    { id: 'b', status: 'active', endpoints: 0, local: true },
  ])
  const metrics = await admin(b, '/metrics')
  expect(metrics).toMatch(/^piko_upstreams_remote_requests_total\{node_id="a"\} [1-9]/m)
  expect(metrics).toMatch(/^adit_cluster_database_up 1$/m)
  expect(metrics).toMatch(/^adit_cluster_table_endpoints 1$/m)
  expect(metrics).toMatch(/^piko_upstreams_upstream_requests_total 0$/m)
  expect(await admin(a, '/metrics')).toMatch(/^adit_cluster_hops_in_total [1-9]/m)
})

test('a node is active for another one when there is a link to it', async () => {
  const database = new MemoryDatabase()
  const a = await startNode(database, 'a')
  await using waiting = await listening(createServer()) // says nothing: the link is being made
  const { authority } = waiting
  const load = { sessions: 0, streams: 0 }
  const facts = { version: '1.2.3', fingerprint: 'ab'.repeat(32), isLeaving: false, load }
  const row = { id: 'mute', boot: 'boot', address: authority, ...facts }
  await using mute = new Membership(new MemoryEngine(database), row)
  await mute.start(new AbortController().signal)
  const nodes = await until(async () => {
    const all = JSON.parse(await admin(a, '/status/cluster/nodes')) as readonly unknown[]
    return all.length === 2 ? all : undefined
  })
  expect(nodes).toMatchObject([
    { id: 'a', status: 'active' },
    { id: 'mute', status: 'unreachable' },
  ])
})

test('a public port is open on every node, and has one owner', async () => {
  const range = await freePorts(1)
  const hosts = { a: '127.0.0.1', b: '127.0.0.2' }
  const database = new MemoryDatabase()
  const node = async (id: 'a' | 'b'): Promise<Node> =>
    await startNode(database, id, {
      publicPorts: { ranges: [range], hosts: [hosts[id]], holdMs: 0, maxPerIdentity: 2 },
    })
  const [a, b] = [await node('a'), await node('b')]
  const tcp = { kind: 'tcp', publicPort: range.first } as const
  const first = agentOf(a)
  const pg = forward(first, 'pg', { ...tcp, service: await service((one) => one.end('pg')) })
  await pg.ready()
  const read = async (host: string): Promise<string> => {
    const visitor = connect({ host, port: range.first })
    visitor.on('error', () => {}) // nothing was read then
    return await text(visitor).catch(() => '')
  }
  expect(await read(hosts.a)).toBe('pg')
  await until(async () => (await read(hosts.b)) === 'pg')
  expect(JSON.parse(await admin(b, '/status/ports'))).toMatchObject([
    { port: range.first, endpoint: 'pg', sessions: 0 },
  ])
  // The claim of the port is no endpoint.
  expect(await admin(b, '/metrics')).toMatch(/^adit_cluster_table_endpoints 1$/m)
  // Another endpoint does not get it on the other node.
  const second = agentOf(b)
  forward(second, 'other', { ...tcp, service: await service((one) => one.end()) })
  const [, refusal] = (await once(second, 'refused')) as [unknown, unknown]
  expect(refusal).toMatchObject({ code: 'TUNNEL_PORT_REFUSED', holder: 'session' })
  await second.close()
  // Without its owner it is closed on both.
  await first.close()
  await until(async () => (await admin(b, '/status/ports')).trim() === '[]')
})

test('a node with many agents asks some to move to a node that has joined', async () => {
  const database = new MemoryDatabase()
  // A high rate: this test is about which are asked, not about how slowly.
  const rebalance = { threshold: 0.2, shedRate: 1, minConns: 1 }
  const a = await startNode(database, 'a', { rebalance })
  for (let index = 0; index < 4; index++) {
    const listener = forward(agentOf(a), `web${index}`, {
      kind: 'http',
      service: await service(served('hello')),
    })
    await listener.ready()
  }
  await startNode(database, 'b', { rebalance })
  // They come back to the same address, as no balancer is there to send them elsewhere.
  await until(() => a.logger.find('agents asked to move to other nodes').length > 0)
  // At most as many as it has above the average, and none before a second node is there.
  const [first] = a.logger.find('agents asked to move to other nodes')
  expect(first?.fields['agents']).toBeLessThanOrEqual(2)
})

test('a node that has stopped is forgotten at once, and says so before', async () => {
  const database = new MemoryDatabase()
  const [a, b] = [await startNode(database, 'a'), await startNode(database, 'b')]
  await until(async () => (await admin(b, '/status/cluster/nodes')).includes('"id":"a"'))
  a.cluster.leave()
  await until(async () => (await admin(b, '/status/cluster/nodes')).includes('"status":"left"'))
  await a[Symbol.asyncDispose]()
  await until(async () => !(await admin(b, '/status/cluster/nodes')).includes('"id":"a"'))
  expect(b.logger.find('node left')).toMatchObject([{ level: 'info' }])
})

/** The engine of a node that reads nothing while it is told so, as if hints were lost and polls slow. */
class PausedEngine extends MemoryEngine {
  #paused: Promise<void> | undefined
  resume = (): void => {}

  pause(): void {
    this.#paused = new Promise((resolve) => (this.resume = resolve))
  }

  override async nodes(...args: Parameters<Engine['nodes']>): ReturnType<Engine['nodes']> {
    await this.#paused
    return await super.nodes(...args)
  }

  override async changes(...args: Parameters<Engine['changes']>): ReturnType<Engine['changes']> {
    await this.#paused
    return await super.changes(...args)
  }
}

async function publish(node: Node, options: Parameters<typeof forward>[2]): Promise<Agent> {
  const agent = agentOf(node)
  await forward(agent, 'web', options).ready()
  return agent
}

test('visitors wait whose node does not know yet that the agents have left the other one', async () => {
  const database = new MemoryDatabase()
  const engine = new PausedEngine(database)
  const [a, b] = [await startNode(database, 'a'), await startNode(database, 'b', { engine })]
  const web = { kind: 'http', service: await service(served('hello')) } as const
  const agent = await publish(a, web)
  await until(async () => (await visit(b)) === '200 hello')
  engine.pause()
  await agent.close()
  const visitors = [visit(b), visit(b)]
  await until(async () => /^adit_cluster_hops_refused_total 2$/m.test(await admin(a, '/metrics')))
  await publish(a, web)
  engine.resume()
  expect(await Promise.all(visitors)).toEqual(['200 hello', '200 hello'])
})

test('so do connections to a public port', async () => {
  const range = await freePorts(1)
  const database = new MemoryDatabase()
  const engine = new PausedEngine(database)
  const ports = { ranges: [range], holdMs: 60_000 }
  const a = await startNode(database, 'a', { publicPorts: { ...ports, hosts: ['127.0.0.1'] } })
  const b = { publicPorts: { ...ports, hosts: ['127.0.0.2'] }, engine }
  await startNode(database, 'b', b)
  const target = await service((one) => one.end('bytes'))
  const tcp = { kind: 'tcp', publicPort: range.first, service: target } as const
  const agent = await publish(a, tcp)
  const read = async (): Promise<string> => {
    const visitor = connect({ host: '127.0.0.2', port: range.first })
    visitor.on('error', () => {}) // nothing was read then
    return await text(visitor).catch(() => '')
  }
  await until(async () => (await read()) === 'bytes')
  engine.pause()
  await agent.close()
  const reading = read()
  await until(async () => /^adit_cluster_hops_refused_total 1$/m.test(await admin(a, '/metrics')))
  await publish(a, tcp)
  engine.resume()
  expect(await reading).toBe('bytes')
})

test('connections to a public port of another node end as either side ends them', async () => {
  const range = await freePorts(1)
  const database = new MemoryDatabase()
  const node = async (id: string, host: string): Promise<Node> =>
    await startNode(database, id, { publicPorts: { ranges: [range], hosts: [host], holdMs: 0 } })
  const a = await node('a', '127.0.0.1')
  const b = await node('b', '127.0.0.2')
  const accepted: Socket[] = []
  const target = await service((socket) => {
    accepted.push(socket)
    const chunks: Buffer[] = []
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => socket.end(`you said ${Buffer.concat(chunks).toString()}`))
    socket.write('ready, ')
  })
  await publish(a, { kind: 'tcp', publicPort: range.first, service: target })
  await until(async () => (await admin(b, '/status/ports')).includes('web'))
  const visit = async (): Promise<RawHttp> => {
    const visitor = await connectRaw({ host: '127.0.0.2', port: range.first })
    await visitor.read('ready, '.length)
    return visitor
  }
  // The visitor has ended its direction, and still gets the whole answer.
  using half = await visit()
  await half.send('all I have')
  half.end()
  expect((await half.readToEnd()).toString()).toBe('you said all I have')
  expect(await half.ended).toBe('fin')
  using cut = await visit()
  accepted[1]?.resetAndDestroy()
  expect(await cut.ended).toBe('reset')
  using gone = await visit()
  const reset = once(accepted[2] as Socket, 'error') as Promise<[NodeJS.ErrnoException]>
  gone.reset()
  expect((await reset)[0].code).toBe('ECONNRESET')
  expect(await admin(a, '/metrics')).toMatch(/^adit_cluster_hops_in_total 3$/m)
})

/** A binary frame of a client, of less than 126 bytes, with a mask of zeros. */
const masked = (text: string): Buffer =>
  Buffer.from([0x82, 0x80 | text.length, 0, 0, 0, 0, ...Buffer.from(text)])
/** The same of a server. */
const plain = (text: string): Buffer => Buffer.from([0x82, text.length, ...Buffer.from(text)])

test('a forwarder of Piko reaches the agent of another node, and the ends of both cross', async () => {
  const database = new MemoryDatabase()
  const [a, b] = [await startNode(database, 'a'), await startNode(database, 'b')]
  const accepted: Socket[] = []
  const target = await service((socket) => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket, { end: false })
  })
  await publish(a, { kind: 'tcp', service: target })
  await until(async () => (await admin(b, '/status/cluster/nodes')).includes('"endpoints":1'))
  const forwarder = async (): Promise<RawHttp> => {
    const raw = await connectRaw(b.proxyPort)
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13'
    const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`
    await raw.send(
      `GET /_piko/v1/tcp/web HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n${key}\r\n\r\n`,
    )
    expect(await raw.readTo('\r\n\r\n')).toMatch(/^HTTP\/1.1 101 /)
    for (const text of ['ping', 'pong']) {
      await raw.send(masked(text))
      expect(await raw.read(text.length + 2)).toEqual(plain(text))
    }
    return raw
  }
  using first = await forwarder()
  accepted[0]?.end('last')
  expect(await first.read(6)).toEqual(plain('last'))
  expect((await first.readToEnd()).toString('hex')).toBe('')
  using second = await forwarder()
  const reset = once(accepted[1] as Socket, 'error') as Promise<[NodeJS.ErrnoException]>
  second.reset()
  expect((await reset)[0].code).toBe('ECONNRESET')
  expect(await admin(a, '/metrics')).toMatch(/^adit_cluster_hops_in_total 2$/m)
})

test('a process that is replaced has left when its successor joins', async () => {
  const database = new MemoryDatabase()
  const [a, b] = [await startNode(database, 'a'), await startNode(database, 'b')]
  await until(async () => (await admin(b, '/status/cluster/nodes')).includes('"boot":"boot-a"'))
  await a.cluster.handOver()
  expect(database.nodes.get('a')).toMatchObject({ hasLeft: true })
  await startNode(database, 'a', { boot: 'successor' })
  await until(async () => (await admin(b, '/status/cluster/nodes')).includes('"boot":"successor"'))
  expect(a.logger.find(REPLACED)).toEqual([])
})

test('the page of a node says since when its database is away', async () => {
  const database = new MemoryDatabase()
  const engine = new MemoryEngine(database)
  const a = await startNode(database, 'a', { engine })
  const local = async (): Promise<{ readonly databaseAwaySince?: string }> =>
    JSON.parse(await admin(a, '/status/cluster/nodes/local')) as { databaseAwaySince?: string }
  expect(await local()).not.toHaveProperty('databaseAwaySince')
  const write = engine.write.bind(engine)
  const before = Date.now()
  engine.write = async () => await Promise.reject(new ClusterError('CLUSTER_DATABASE_UNREACHABLE'))
  const listener = forward(agentOf(a), 'web', { kind: 'http', service: { host: 'h', port: 1 } })
  const since = await until(async () => (await local()).databaseAwaySince)
  expect(Date.parse(since)).toBeGreaterThanOrEqual(before)
  engine.write = write
  await until(async () => (await local()).databaseAwaySince === undefined)
  await listener.ready()
})

test.each([true, false])('a start says which node it is, and where: JSON %s', async (json) => {
  const { server, cluster } = await startNode(new MemoryDatabase(), 'a')
  const told = async (more: { readonly cluster?: Cluster }): Promise<string> => {
    const stdout = new PassThrough()
    announce(await lookAt(server.listeners), { stdout, json, ...more })
    stdout.end()
    return await text(stdout)
  }
  const out = await told({ cluster })
  const address = cluster.view.local.address ?? ''
  const wanted = json
    ? `"node":${JSON.stringify({ id: 'a', boot: 'boot-a', address })}`
    : `nodes      ${address}  IPv4  node a, the others connect to ${address}`
  expect(out).toContain(wanted)
  expect(await told({})).not.toContain('node')
})

test('the names of a process go on to its successor', async () => {
  const database = new MemoryDatabase()
  const a = await startNode(database, 'a')
  const agent = agentOf(a)
  await forward(agent, 'web', { kind: 'http', service: await service(served('hello')) }).ready()
  const names = a.cluster.heldNames
  expect(names).toMatchObject([{ endpoint: { tenant: '', name: 'web' }, identity: 'anonymous' }])
  const sent: unknown = JSON.parse(
    JSON.stringify({ expected: a.server.expected, ticketKeys: {}, heldNames: names }),
  )
  await a.cluster.handOver()
  const { heldNames } = handedState({ state: sent })
  const successor = await startNode(database, 'a', { boot: 'successor', heldNames })
  expect(successor.cluster.heldNames).toEqual(names)
})

const REPLACED = 'another process has joined as this node: the others do not see this one any more'

test('the pages of a node are those of another one where that is asked for', async () => {
  const database = new MemoryDatabase()
  const [a, b] = [await startNode(database, 'a'), await startNode(database, 'b')]
  await publish(a, { kind: 'http', service: await service(served('hello')) })
  await until(async () => (await visit(b)) === '200 hello')
  expect(JSON.parse(await admin(b, '/status/upstream/sessions'))).toEqual([])
  const far = await admin(b, '/status/upstream/sessions?forward=a')
  expect(JSON.parse(far)).toMatchObject([{ endpoint: 'web' }])
  expect(JSON.parse(await admin(b, '/status/cluster/nodes/local?forward=a'))).toMatchObject({
    id: 'a',
    local: true,
  })
  // Its status comes along, and one that has gone does not answer.
  expect(await adminStatus(b, '/status/none?forward=a')).toBe(404)
  expect(await adminStatus(b, '/status/edge?forward=a')).toBe(200)
  a.server.destroy()
  await a.cluster[Symbol.asyncDispose]()
  await until(async () => (await adminStatus(b, '/status/edge?forward=a')) !== 200)
})

async function adminStatus(node: Node, path: string): Promise<number> {
  const port = node.server.listeners.admin.bound[0]?.port ?? 0
  const head = `GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`
  return (await exchangeRaw(port, head)).status
}
