// What the access log has of requests, upgrades and TCP connections that come through a whole path.
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'

import { parseAddressBlock } from '@proj/config/address'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { Agent, Consumer, forward } from '@proj/tunnel'
import { expect, onTestFinished, test } from 'vitest'

import { AccessLog, type AccessLogOptions } from '../../src/access-log/access-log.ts'
import { deferred, type FixtureOptions, request, startServer, tunnel } from '../tunnel-fixture.ts'

type Line = Record<string, unknown> & { readonly ms: Record<string, number | undefined> }

async function logged(options: Partial<AccessLogOptions> = {}) {
  const folder = temporaryDirectory()
  const path = join(folder.path, 'access.log')
  const accessLog = await AccessLog.open({
    format: 'json',
    path,
    onProblem: (error) => {
      throw error
    },
    ...options,
  })
  onTestFinished(async () => {
    await accessLog[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })
  const text = (): string => readFileSync(path, 'utf8')
  /** The lines, when there are as many. */
  const lines = async (count: number): Promise<Line[]> => {
    await until(() => accessLog.counts.written >= count)
    return text()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Line)
  }
  return { accessLog, lines, text }
}

async function pathWith(accessLog: AccessLog, options: FixtureOptions) {
  return await tunnel({ ...options, server: { accessLog, ...options.server } })
}

test('a request has its outcome, both ends, the bytes and the times at each hop', async () => {
  const { accessLog, lines } = await logged({ maskQuery: ['token'] })
  await using path = await pathWith(accessLog, { http: (_, res) => res.end('hello') })
  const bytes = request(
    'GET /x?token=secret',
    'User-Agent: test',
    'Referer: http://a/?token=secret',
  )
  const answer = await exchangeRaw(path.port, bytes)
  expect(answer.status).toBe(200)
  const [line, ...more] = await lines(1)
  expect(more).toEqual([])
  expect(line).toMatchObject({
    kind: 'request',
    outcome: 'ok',
    client: '127.0.0.1',
    endpoint: 'web',
    method: 'GET',
    target: '/x?token=***',
    host: 'web.localhost',
    version: '1.1',
    status: 200,
    referer: 'http://a/?token=***',
    user_agent: 'test',
    bytes_in: bytes.length,
  })
  expect(line?.['bytes_out']).toBeGreaterThan('hello'.length)
  const [session] = path.server.registry.sessions({ tenant: '', name: 'web' })
  expect(line?.['agent']).toBe(session?.agentId)
  const { routed = NaN, sent = NaN, answered = NaN, total = NaN } = line?.ms ?? {}
  const times = [0, routed, sent, answered, total]
  expect(times).toEqual(times.toSorted((a, b) => a - b))
})

test('each request of a connection has its own line and bytes', async () => {
  const { accessLog, lines } = await logged()
  await using path = await pathWith(accessLog, {
    http: (req, res) => req.resume().on('end', () => res.end(req.url)),
  })
  using visitor = await path.visit()
  await visitor.send(`${request('POST /1', 'Content-Length: 1000')}${'x'.repeat(1000)}`)
  await visitor.readResponse()
  await visitor.send(request('GET /2'))
  await visitor.readResponse()
  const [first, second] = await lines(2)
  expect([first?.['target'], second?.['target']]).toEqual(['/1', '/2'])
  expect(first?.['bytes_in']).toBe(1000 + request('POST /1', 'Content-Length: 1000').length)
  expect(second?.['bytes_in']).toBe(request('GET /2').length)
})

test('a request that fails has the code of its answer', async () => {
  const { accessLog, lines } = await logged()
  await using path = await pathWith(accessLog, { tcp: (socket) => socket.destroy() })
  const other = 'GET / HTTP/1.1\r\nHost: other.localhost\r\n\r\n'
  const codes: unknown[] = []
  for (const bytes of [request('POST /'), other, 'GET / HTTP/1.1\r\n\r\n', 'NOT HTTP\r\n\r\n']) {
    const answer = await exchangeRaw(path.port, bytes)
    codes.push([answer.status, answer.headers['adit-error']])
  }
  const found = await lines(4)
  expect(found.map((line) => [line['status'], line['outcome']])).toEqual(codes)
  expect(found.map((line) => line['endpoint'])).toEqual(['web', 'other', '', ''])
})

test('a visitor that goes away before its answer is seen as that', async () => {
  const { accessLog, lines } = await logged()
  let asked = (): void => {}
  const isAsked = new Promise<void>((resolve) => (asked = resolve))
  await using path = await pathWith(accessLog, { http: () => asked() })
  const visitor = await path.visit()
  await visitor.send(request('GET /'))
  await isAsked
  visitor.socket.resetAndDestroy()
  const [line] = await lines(1)
  expect(line).toMatchObject({ outcome: 'visitor_gone', endpoint: 'web' })
  expect(line).not.toHaveProperty('status')
  expect(line?.ms).not.toHaveProperty('answered')
})

test('an answer that breaks off is no success', async () => {
  const { accessLog, lines } = await logged()
  await using path = await pathWith(accessLog, {
    http: (_, res) => {
      res.writeHead(200, { 'content-length': '10' })
      res.write('hello', () => res.destroy())
    },
  })
  using visitor = await path.visit()
  await visitor.send(request('GET /'))
  await visitor.readToEnd().catch(() => {})
  expect(await lines(1)).toMatchObject([{ outcome: 'broken_off', status: 200 }])
})

test('an upgraded connection has its line at its end', async () => {
  const { accessLog, lines } = await logged()
  await using path = await pathWith(accessLog, {
    tcp: (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
        socket.pipe(socket)
      })
    },
  })
  using visitor = await path.visit()
  await visitor.send(request('GET /', 'Connection: Upgrade', 'Upgrade: echo'))
  await visitor.readTo('\r\n\r\n')
  await visitor.send('12345')
  expect((await visitor.read(5)).toString()).toBe('12345')
  expect(accessLog.counts.written).toBe(0)
  visitor.socket.end()
  expect(await lines(1)).toMatchObject([
    { kind: 'upgrade', outcome: 'ok', status: 101, bytes_in: 5, bytes_out: 5 },
  ])
})

test('a connection of a public port has one, and so has one that is rejected', async () => {
  const { accessLog, lines } = await logged()
  const range = await freePorts(1)
  const server = await startServer({}, [], undefined, undefined, {
    accessLog,
    publicPorts: { ranges: [range], deny: [] },
  })
  onTestFinished(() => server.destroy())
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  await using agent = new Agent({ url, connections: 1 })
  const service = await listening(
    createServer((socket) => socket.once('data', () => socket.end('hello'))),
  )
  onTestFinished(() => service.close())
  const { host, port } = service
  const listener = forward(agent, 'pg', {
    kind: 'tcp',
    publicPort: range.first,
    service: { host, port },
    visitors: { allow: ['127.0.0.1'] },
  })
  await listener.ready()
  using visitor = await connectRaw(range.first)
  await visitor.send('abc')
  expect((await visitor.readToEnd()).toString()).toBe('hello')
  visitor.socket.end()
  const [line] = await lines(1)
  expect(line).toMatchObject({
    kind: 'tcp',
    outcome: 'ok',
    client: '127.0.0.1',
    endpoint: 'pg',
    bytes_in: 3,
    bytes_out: 5,
  })
  const denied = connect({ host: '127.0.0.1', port: range.first, localAddress: '127.77.0.9' })
  denied.on('error', () => {}) // it is reset, perhaps before it is connected
  const found = await lines(2)
  expect(found[1]).toMatchObject({ kind: 'tcp', outcome: 'not_permitted', client: '127.77.0.9' })
})

test('a connection of an access has one, and so has one that its token does not allow', async () => {
  const { accessLog, lines } = await logged()
  const permits = (_: string, endpoint: string): boolean => endpoint !== 'secret'
  await using path = await pathWith(accessLog, {
    http: (_, res) => res.end('hello'),
    server: { authorize: async () => ({ identity: 'a', tenant: '', permits }) },
  })
  await using consumer = new Consumer({ url: path.proxyUrl })
  const open = async (endpoint: string): Promise<void> => {
    const way = await consumer.open(endpoint)
    if (way.protocol !== 'adit') throw new Error(way.protocol)
    const over = deferred()
    way.channel.attach({
      onData() {},
      onEnd: () => way.channel.end(),
      onDrain() {},
      onClose: () => over.resolve(),
    })
    if (endpoint === 'web') {
      way.channel.write(Buffer.from('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'))
    }
    await over.promise
  }
  await open('secret')
  await open('web')
  const known = { kind: 'tcp', client: '127.0.0.1' }
  expect(await lines(2)).toMatchObject([
    { ...known, outcome: 'not_permitted', endpoint: 'secret', bytes_in: 0 },
    { ...known, outcome: 'ok', endpoint: 'web' },
  ])
})

test('a connection of a forwarder of Piko that is rejected has one', async () => {
  const { accessLog, lines } = await logged()
  const permits = (_: string, endpoint: string): boolean => endpoint !== 'secret'
  const server = await startServer({}, [], undefined, undefined, {
    accessLog,
    authorize: async () => ({ identity: 'a', tenant: '', permits }),
  })
  onTestFinished(() => server.destroy())
  const port = server.listeners.proxy.bound[0]?.port ?? 0
  for (const endpoint of ['secret', 'none']) {
    const head = [
      `GET /_piko/v1/tcp/${endpoint} HTTP/1.1`,
      'host: localhost',
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
    ]
    await exchangeRaw(port, `${head.join('\r\n')}\r\n\r\n`)
  }
  const found = await lines(2)
  expect(found).toMatchObject([
    { outcome: 'not_permitted', endpoint: 'secret', client: '127.0.0.1' },
    { outcome: 'no_upstream', endpoint: 'none', client: '127.0.0.1' },
  ])
})

test('of the lines with the outcome ok a share is written, of the others all', async () => {
  const { accessLog, lines } = await logged({ samplePercent: 25 })
  await using path = await pathWith(accessLog, { http: (_, res) => res.end() })
  using visitor = await path.visit()
  for (let count = 0; count < 8; count += 1) {
    await visitor.send(request('GET /'))
    await visitor.readResponse()
  }
  const other = 'GET / HTTP/1.1\r\nHost: other.localhost\r\n\r\n'
  for (let count = 0; count < 3; count += 1) await exchangeRaw(path.port, other)
  const found = await lines(5)
  expect(found.map((line) => line['outcome'])).toEqual([
    ...Array<string>(2).fill('ok'),
    ...Array<unknown>(3).fill(found.at(-1)?.['outcome']),
  ])
})

test('behind a trusted proxy the client is the one that it names', async () => {
  const { accessLog, lines } = await logged()
  await using path = await pathWith(accessLog, {
    http: (_, res) => res.end(),
    edge: { trustedProxies: [parseAddressBlock('127.0.0.1')] },
  })
  await exchangeRaw(path.port, request('GET /', 'X-Forwarded-For: 9.9.9.9'))
  expect(await lines(1)).toMatchObject([{ client: '9.9.9.9' }])
})
