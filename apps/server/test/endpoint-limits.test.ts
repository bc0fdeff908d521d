// Limits of endpoints: what the visitor gets, when it may come again, and that others are not held up.
import { connect, createServer, type Socket } from 'node:net'

import { parseAddressBlock } from '@proj/config/address'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw, exchangeRaw, type RawResponse } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { Agent, type EndpointLimits, forward } from '@proj/tunnel'
import { strictestLimits } from '@proj/tunnel/server'
import { expect, onTestFinished, test } from 'vitest'

import { EndpointLimiter, LimitLease } from '../src/endpoint-limits/endpoint-limiter.ts'
import { Deadlines } from '../src/proxy/deadlines.ts'
import { type FixtureOptions, request, startServer, tunnel } from './tunnel-fixture.ts'

const HOUR_MS = 3_600_000
const web = { tenant: '', name: 'web' }

const limited = async (limits: EndpointLimits, options: FixtureOptions = {}) =>
  await tunnel({
    ...(options.tcp === undefined && {
      http: (req, res) => req.resume().on('end', () => res.end('in')),
    }),
    ...options,
    server: { limits: [{ name: 'web', limits }], ...options.server },
  })

const outcome = ({ status, headers }: RawResponse) => [status, headers['adit-error']]

test('requests above the rate of an endpoint get 429 and are told when to come again', async () => {
  await using path = await limited({ rate: { amount: 2, periodMs: 2 * HOUR_MS } })
  const answers: RawResponse[] = []
  for (let count = 0; count < 3; count += 1) {
    const from = { host: '127.0.0.1', port: path.port, localAddress: `127.77.0.${count + 1}` }
    answers.push(await exchangeRaw(from, request('GET /')))
  }
  expect(answers.map(outcome)).toEqual([
    [200, undefined],
    [200, undefined],
    [429, 'endpoint_rate'],
  ])
  const seconds = Number(answers[2]?.headers['retry-after'])
  expect(seconds).toBeGreaterThan(3_000)
  expect(seconds).toBeLessThanOrEqual(3_600)
})

test('a visitor above its rate gets 429, another one does not', async () => {
  await using path = await limited(
    { ratePerVisitor: { amount: 1, periodMs: HOUR_MS } },
    { edge: { trustedProxies: [parseAddressBlock('127.0.0.9')] } },
  )
  const of = async (localAddress: string, ...lines: string[]): Promise<RawResponse> =>
    await exchangeRaw(
      { host: '127.0.0.1', port: path.port, localAddress },
      request('GET /', ...lines),
    )
  expect(outcome(await of('127.0.0.1'))).toEqual([200, undefined])
  expect(outcome(await of('127.0.0.1', 'X-Forwarded-For: 9.9.9.9'))).toEqual([429, 'visitor_rate'])
  expect(outcome(await of('127.0.0.2'))).toEqual([200, undefined])
  // Behind a trusted proxy the visitor is the one that it names.
  expect(outcome(await of('127.0.0.9', 'X-Forwarded-For: 9.9.9.9'))).toEqual([200, undefined])
  expect(outcome(await of('127.0.0.9', 'X-Forwarded-For: 9.9.9.9'))).toEqual([429, 'visitor_rate'])
  expect(outcome(await of('127.0.0.9', 'X-Forwarded-For: 8.8.8.8'))).toEqual([200, undefined])
})

test('a request that is rejected keeps its connection, and another endpoint is not concerned', async () => {
  await using path = await limited({ rate: { amount: 1, periodMs: HOUR_MS } })
  forward(path.agent, 'other', { kind: 'http', service: path.service })
  await until(() => path.server.registry.count({ tenant: '', name: 'other' }) > 0)
  using visitor = await path.visit()
  const statuses: number[] = []
  for (const host of ['web', 'web', 'other', 'other']) {
    await visitor.send(`GET / HTTP/1.1\r\nHost: ${host}.localhost\r\n\r\n`)
    statuses.push((await visitor.readResponse()).status)
  }
  expect(statuses).toEqual([200, 429, 200, 200])
})

test('no more requests than allowed run at once; one that ends makes room, however it ends', async () => {
  const waiting: Socket[] = []
  await using path = await limited({ concurrent: 1 }, { tcp: (socket) => waiting.push(socket) })
  const again = async (): Promise<RawResponse> => await exchangeRaw(path.port, request('GET /'))
  const first = await path.visit()
  await first.send(request('GET /'))
  await until(() => waiting.length === 1)
  const rejected = await again()
  expect([outcome(rejected), rejected.headers['retry-after']]).toEqual([
    [429, 'endpoint_concurrent'],
    '1',
  ])
  // The visitor goes away.
  first.socket.resetAndDestroy()
  await until(() => path.server.edge.stats.inFlight === 0)
  // The service closes without an answer.
  const second = again()
  await until(() => waiting.length === 2)
  waiting[1]?.destroy()
  expect((await second).status).toBe(502)
  // An upgraded connection counts until its end.
  using third = await path.visit()
  await third.send(request('GET /', 'Connection: Upgrade', 'Upgrade: echo'))
  await until(() => waiting.length === 3)
  waiting[2]?.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  await third.readTo('\r\n\r\n')
  expect(outcome(await again())).toEqual([429, 'endpoint_concurrent'])
  third.socket.resetAndDestroy()
  await until(() => path.server.edge.stats.upgraded === 0)
  const fourth = again()
  await until(() => waiting.length === 4)
  waiting[3]?.end('HTTP/1.1 204 No Content\r\n\r\n')
  expect((await fourth).status).toBe(204)
})

test('a body that is too large gets 413, whether its length is announced or not', async () => {
  await using path = await limited({ maxBodyBytes: 1000 })
  const send = async (header: string, body: string): Promise<unknown[]> =>
    outcome(await exchangeRaw(path.port, `${request('POST /', header)}${body}`))
  const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`
  const chunked = 'Transfer-Encoding: chunked'
  expect(await send('Content-Length: 1000', 'x'.repeat(1000))).toEqual([200, undefined])
  expect(await send('Content-Length: 1001', '')).toEqual([413, 'body_too_large'])
  expect(await send(chunked, `${chunk(500)}0\r\n\r\n`)).toEqual([200, undefined])
  expect(await send(chunked, `${chunk(500)}${chunk(600)}`)).toEqual([413, 'body_too_large'])
})

test('a request that takes too long gets 504, or breaks off when its answer has begun', async () => {
  await using path = await limited(
    { maxTimeMs: 50 },
    {
      http: (req, res) => {
        if (req.url === '/begun') res.writeHead(200, { 'content-length': '10' }).write('hello')
      },
    },
  )
  expect(outcome(await exchangeRaw(path.port, request('GET /')))).toEqual([504, 'time_limit'])
  // On a busy machine the answer may begin late: then it gets more time.
  for (let maxTimeMs = 50; ; maxTimeMs *= 2) {
    path.server.setLimits([{ name: 'web', limits: { maxTimeMs } }])
    using visitor = await path.visit()
    await visitor.send(request('GET /begun'))
    // A reset right behind the answer may overtake it in the kernel.
    const head = await visitor.readTo('\r\n\r\n').catch(() => '')
    if (head === '' || head.startsWith('HTTP/1.1 504')) continue // and that connection stays open
    const rest = await visitor.readToEnd().catch(() => Buffer.alloc(0))
    expect(head).toContain('HTTP/1.1 200')
    expect(rest.length).toBeLessThan(10)
    break
  }
  expect(path.server.edge.stats.inFlight).toBe(0)
})

test('connections of a public port are counted too', async () => {
  const range = await freePorts(1)
  const server = await startServer({}, [], undefined, undefined, {
    limits: [{ name: 'p*', limits: { concurrent: 1 } }],
    publicPorts: { ranges: [range] },
  })
  onTestFinished(() => server.destroy())
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  await using agent = new Agent({ url, connections: 1 })
  const service = await listening(
    createServer((socket) => {
      socket.on('error', () => {})
      socket.write('hello')
    }),
  )
  onTestFinished(() => service.close())
  const { host, port } = service
  const listener = forward(agent, 'pg', {
    kind: 'tcp',
    publicPort: range.first,
    service: { host, port },
  })
  await listener.ready()
  using first = await connectRaw(range.first)
  expect((await first.read(5)).toString()).toBe('hello')
  const second = connect({ host: '127.0.0.1', port: range.first })
  second.on('error', () => {}) // it is reset, perhaps before it is connected
  await new Promise((resolve) => second.once('close', resolve))
  expect(server.edge.limiter.rejected).toBe(1)
  first.socket.resetAndDestroy()
  await until(() => server.publicPorts.visitors.counts().open === 0)
  using third = await connectRaw(range.first)
  expect((await third.read(5)).toString()).toBe('hello')
})

test('of several rules the strictest holds for each limit', () => {
  const perSecond = { amount: 10, periodMs: 1000 }
  const perMinute = { amount: 100, periodMs: 60_000 }
  const rules = [
    { rate: perSecond, maxBodyBytes: 10 },
    { rate: perMinute, ratePerVisitor: perSecond, maxBodyBytes: 20, concurrent: 5 },
    { upload: perSecond, download: perMinute },
    { upload: perMinute },
  ]
  expect(strictestLimits(rules)).toEqual({
    rate: perMinute,
    ratePerVisitor: perSecond,
    concurrent: 5,
    maxBodyBytes: 10,
    maxTimeMs: undefined,
    upload: perMinute,
    download: perMinute,
  })
  expect(strictestLimits([])).toBeUndefined()
})

test('limits are replaced while requests run, which stay counted', () => {
  const limiter = new EndpointLimiter()
  expect([limiter.isEmpty, limiter.take(web, '1.1.1.1')]).toEqual([true, undefined])
  limiter.configure([{ name: 'w*', limits: { concurrent: 2 } }])
  const leases = [limiter.take(web, '1.1.1.1'), limiter.take(web, '1.1.1.1')]
  expect(leases.every((one) => one instanceof LimitLease)).toBe(true)
  limiter.configure([{ name: 'web', limits: { concurrent: 1 } }])
  expect(limiter.take(web, '1.1.1.1')).toMatchObject({ code: 'endpoint_concurrent' })
  for (const one of leases) if (one instanceof LimitLease) one.release()
  expect(limiter.take(web, '1.1.1.1')).toBeInstanceOf(LimitLease)
  expect(limiter.take({ tenant: '', name: 'other' }, '1.1.1.1')).toBeUndefined()
})

test('the time of a request is counted on the clock of its deadlines', () => {
  const limiter = new EndpointLimiter()
  limiter.configure([{ name: 'web', limits: { maxTimeMs: 1_000 } }])
  const lease = limiter.take(web, '1.1.1.1')
  if (!(lease instanceof LimitLease)) throw new Error('no limits')
  const deadlines = new Deadlines(10)
  onTestFinished(() => deadlines.close())
  lease.watch(deadlines, () => {})
  const leftMs = lease.deadline - deadlines.now
  expect(leftMs).toBeGreaterThanOrEqual(1_000)
  expect(leftMs).toBeLessThanOrEqual(1_010)
  lease.release()
})

test('limits that are read again do not begin a rate anew that stays', () => {
  const limiter = new EndpointLimiter()
  const rate = { amount: 1, periodMs: HOUR_MS }
  const take = (): unknown => limiter.take(web, '1.1.1.1')
  limiter.configure([{ name: 'web', limits: { rate } }])
  const lease = take()
  if (lease instanceof LimitLease) lease.release()
  limiter.configure([{ name: 'web', limits: { rate: { ...rate }, concurrent: 5 } }])
  expect(take()).toMatchObject({ code: 'endpoint_rate' })
  limiter.configure([{ name: 'web', limits: { rate: { amount: 2, periodMs: HOUR_MS } } }])
  expect(take()).toBeInstanceOf(LimitLease)
})

test('limits of agents hold with those of the operator, until their sessions are gone', () => {
  const limiter = new EndpointLimiter()
  limiter.configure([{ name: 'other', limits: { concurrent: 1 } }])
  const rate = { amount: 1, periodMs: HOUR_MS }
  // Looked up before: no rule is for it.
  expect(limiter.take(web, '1.1.1.1')).toBeUndefined()
  limiter.setWishes(web, [{ concurrent: 3 }, { rate, concurrent: 2 }])
  const lease = limiter.take(web, '1.1.1.1')
  expect(lease).toBeInstanceOf(LimitLease)
  expect(limiter.take(web, '2.2.2.2')).toMatchObject({ code: 'endpoint_rate' })
  // Another session with the same limits does not begin the rate anew.
  limiter.setWishes(web, [{ rate }, { concurrent: 2 }])
  expect(limiter.take(web, '2.2.2.2')).toMatchObject({ code: 'endpoint_rate' })
  limiter.setWishes(web, [{ concurrent: 1 }])
  expect(limiter.take(web, '2.2.2.2')).toMatchObject({ code: 'endpoint_concurrent' })
  // Those of the same name in another tenant are not concerned.
  expect(limiter.take({ tenant: 't', name: 'web' }, '2.2.2.2')).toBeUndefined()
  // The operator's are stricter, or the agent's are: the stricter one holds.
  limiter.configure([{ name: 'web', limits: { rate, concurrent: 5 } }])
  expect(limiter.take(web, '2.2.2.2')).toMatchObject({ code: 'endpoint_concurrent' })
  if (lease instanceof LimitLease) lease.release()
  expect(limiter.take(web, '2.2.2.2')).toBeInstanceOf(LimitLease)
  limiter.setWishes(web, [])
  expect(limiter.take(web, '2.2.2.2')).toMatchObject({ code: 'endpoint_rate' })
  limiter.configure([])
  expect(limiter.isEmpty).toBe(true)
})

test.for([
  ['a server', false],
  ['another node than its own', true],
] as const)(
  'an agent limits its visitors on %s without limits, over HTTP and TCP',
  async ([, hop]) => {
    await using path = await tunnel({ http: (_req, res) => void res.end('in'), hop })
    const rate = { amount: 1, periodMs: HOUR_MS }
    const limits = { rate, upload: { amount: Infinity, periodMs: 1000 } }
    const ignored: unknown[] = []
    const listeners = [
      forward(path.agent, 'few', { kind: 'http', service: path.service, limits }),
      forward(path.agent, 'raw', { kind: 'tcp', service: path.service, limits }),
    ]
    for (const listener of listeners) {
      listener.on('limitsIgnored', (names) => ignored.push(names))
      await listener.ready()
    }
    const { registry } = path.server
    await until(() => ['few', 'raw'].every((name) => registry.count({ tenant: '', name }) > 0))
    const statuses: number[] = []
    for (const host of ['few', 'few', 'web', 'web']) {
      const answer = await exchangeRaw(
        path.port,
        `GET / HTTP/1.1\r\nHost: ${host}.localhost\r\nConnection: close\r\n\r\n`,
      )
      statuses.push(answer.status)
    }
    expect(statuses).toEqual([200, 429, 200, 200])
    const raw = { tenant: '', name: 'raw' }
    expect(registry.admitConnection?.(raw, '1.1.1.1')).toBeInstanceOf(LimitLease)
    expect(registry.admitConnection?.(raw, '1.1.1.1')).toBe('limitReached')
    // The limits end with the last session of the endpoint.
    for (const listener of listeners) await listener.close()
    await until(() => path.server.edge.limiter.isEmpty)
    expect(ignored).toEqual([])
  },
)

test('a bandwidth is shared by all of an endpoint, and changed for those that have it', () => {
  const limiter = new EndpointLimiter()
  const download = { amount: 64 * 1024, periodMs: 1000 }
  limiter.configure([{ name: 'w*', limits: { download } }])
  const take = (name: string): LimitLease => {
    const lease = limiter.take({ tenant: '', name }, '1.1.1.1')
    if (!(lease instanceof LimitLease)) throw new Error('no lease')
    return lease
  }
  const [one, other] = [take('web'), take('web')]
  expect(one.download).toBeDefined()
  expect(one.upload).toBeUndefined()
  const { download: shared } = one
  shared?.take(1 << 20)
  expect([shared, other.download, take('wiki').download].map((it) => it?.isFree)).toEqual([
    false,
    false,
    true,
  ])
  limiter.configure([{ name: 'w*', limits: { concurrent: 9 } }])
  // Those that have it are not held back any more, and others have none.
  expect([shared?.isFree, take('web').download]).toEqual([true, undefined])
})

test('a bandwidth gives turns to addresses, whatever their connections', () => {
  const limiter = new EndpointLimiter()
  limiter.configure([{ name: 'web', limits: { upload: { amount: 64 * 1024, periodMs: 1000 } } }])
  const turns: string[] = []
  const wait = (client: string): void => {
    const lease = limiter.take(web, client)
    if (!(lease instanceof LimitLease)) throw new Error('no lease')
    if (turns.length === 0) lease.upload?.take(1 << 20)
    lease.upload?.wait(() => turns.push(client))
  }
  const clients = ['192.0.2.1', '192.0.2.1', '2001:db8::1', '2001:db8::2', '192.0.2.2']
  for (const client of clients) wait(client)
  limiter.configure([])
  // The two of IPv6 are in one /64.
  expect(turns).toEqual(['192.0.2.1', '2001:db8::1', '192.0.2.2', '192.0.2.1', '2001:db8::2'])
})

test('names that visitors make up do not make a limit forget what it counted', () => {
  const limiter = new EndpointLimiter()
  const limits = { rate: { amount: 1, periodMs: HOUR_MS } }
  limiter.configure([
    { name: 'web', limits },
    { name: 'pc*', limits },
  ])
  const take = (name: string): string | undefined => {
    const lease = limiter.take({ tenant: '', name }, '192.0.2.1')
    if (!(lease instanceof LimitLease)) return lease?.code
    lease.release()
    return 'taken'
  }
  expect(take('web')).toBe('taken')
  const answers = new Set<string | undefined>()
  for (let round = 0; round < 12; round += 1) {
    for (let count = 0; count < 1_000; count += 1) {
      take(`none-${round}-${count}`)
      take(`pc-${round}-${count}`)
    }
    answers.add(take('web')) // others use it in the meantime
  }
  expect([...answers]).toEqual(['endpoint_rate'])
})
