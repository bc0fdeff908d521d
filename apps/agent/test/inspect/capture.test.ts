// What the capture sees of streams to real services; the test opens the streams, as a server would.
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import type { SpliceTap } from '@proj/tunnel/io'
import { expect, onTestFinished, test } from 'vitest'

import { Capture, type CaptureLimits } from '../../src/inspect/capture.ts'
import type { Exchange } from '../../src/inspect/exchange.ts'
import { detailOf, rowOf } from '../../src/inspect/exchange-rows.ts'
import { Secrets } from '../../src/inspect/secrets.ts'
import { request, served, type Served } from '../listeners/served.ts'

const LIMITS: CaptureLimits = {
  keep: 10,
  bodyBytes: 1000,
  maxBytes: 1024 * 1024,
  maxPerSecond: 1_000_000,
}
const SECRETS = new Secrets()
const folder = temporaryDirectory()

/** Stored, not compressed: the lines are there as they are. */
const CODED = gzipSync('data: a\n\n'.repeat(1000), { level: 0 })

interface Inspected extends Served {
  readonly capture: Capture
  /** The exchange with this number, once it has ended. */
  readonly ended: (at: number) => Promise<Exchange>
}

async function inspected(
  service: Server,
  { protocol = 'http', limits = {} }: { protocol?: string; limits?: Partial<CaptureLimits> } = {},
): Promise<Inspected> {
  service.on('connection', (socket: Socket) => socket.on('error', () => {})) // the end of the test
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  onTestFinished(() => void service.close())
  const { port } = service.address() as AddressInfo
  const capture = new Capture({ ...LIMITS, ...limits })
  const run = await served(folder, `addr: "127.0.0.1:${port}", protocol: ${protocol}`, capture)
  const ended = async (at: number): Promise<Exchange> =>
    await until(() => {
      const exchange = capture.store.all()[at]
      return exchange === undefined || exchange.state === 'open' ? undefined : exchange
    })
  return { ...run, capture, ended }
}

const http = (handler: RequestListener): Server => createHttpServer(handler)

test('an exchange has its heads, bodies, times and names', async () => {
  const { ask, ended } = await inspected(
    http((incoming, response) => {
      incoming.resume().on('end', () => {
        response.writeHead(201, { 'content-type': 'Application/JSON; charset=utf-8' })
        response.end('{"id":1}')
      })
    }),
  )
  const head = request(
    'POST /orders?token=abc&a=1',
    'Content-Length: 5',
    'X-Forwarded-For: 203.0.113.9',
    'X-Request-Id: r1',
  )
  await ask(`${head}hello`, '{"id":1}')
  const exchange = await ended(0)
  const row = rowOf(exchange, SECRETS)
  expect(row).toMatchObject({
    kind: 'http',
    state: 'done',
    method: 'POST',
    target: '/orders?token=hidden&a=1',
    host: 'web.tunnel.example',
    status: 201,
    type: 'application/json',
    visitor: '203.0.113.9',
    requestId: 'r1',
    endpoint: 'web',
    bytesIn: head.length + 5,
  })
  expect(row.waitMs).toBeGreaterThanOrEqual(0)
  expect(row.totalMs).toBeGreaterThanOrEqual(row.waitMs ?? Infinity)
  expect(exchange.requestBody.content.toString()).toBe('hello')
  expect(exchange.responseBody.content.toString()).toBe('{"id":1}')
})

test('bodies are kept up to the limit, counted whole, and chunks are not part of them', async () => {
  const { ask, ended } = await inspected(
    http((_, response) => {
      for (let part = 0; part < 20; part++) response.write(String(part % 10).repeat(100))
      response.end('END')
    }),
  )
  await ask(request('GET /'), 'END')
  const { responseBody } = await ended(0)
  expect(responseBody.bytes).toBe(2003)
  expect(responseBody.content.length).toBe(1000)
  expect(responseBody.content.subarray(0, 101).toString()).toBe(`${'0'.repeat(100)}1`)
})

test('one stream carries several exchanges in turn, byte by byte too', async () => {
  const { open, ended } = await inspected(http((incoming, response) => response.end(incoming.url)))
  const stream = open()
  for (const [at, path] of ['/a', '/b', '/c'].entries()) {
    for (const byte of request(`GET ${path}`)) stream.write(byte)
    const exchange = await ended(at)
    expect(exchange.responseBody.content.toString()).toBe(path)
  }
})

test('a WebSocket has its messages of both directions, unmasked', async () => {
  const service = http(() => {})
  service.on('upgrade', (_: unknown, socket: Socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    socket.once('data', () => socket.end(Buffer.from([0x81, 0x02, 0x68, 0x69])))
  })
  const { open, ended, capture } = await inspected(service)
  const stream = open()
  stream.write(request('GET /socket', 'Connection: Upgrade', 'Upgrade: websocket'))
  await until(() => stream.text().includes('101'))
  // "ok" with the mask 01 02 03 04, in two parts
  for (const part of ['\u0081\u0082\u0001\u0002\u0003', '\u0004\u006e\u0069']) stream.write(part)
  await until(() => capture.store.all()[0]?.messageCount === 2)
  stream.end()
  const { row, messages } = detailOf(await ended(0), SECRETS)
  expect(row).toMatchObject({ kind: 'websocket', status: 101, messages: 2, state: 'done' })
  expect(messages?.map(({ from, type, data }) => [from, type, data])).toEqual([
    ['visitor', 'text', 'ok'],
    ['service', 'text', 'hi'],
  ])
})

test('an event stream has its events', async () => {
  const { open, ended, capture } = await inspected(
    http((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: a\n\nevent: x\r\nda')
      setImmediate(() => response.end('ta: b\r\n\r\n'))
    }),
  )
  const stream = open()
  stream.write(request('GET /events'))
  await until(() => capture.store.all()[0]?.messageCount === 2)
  const { row, messages } = detailOf(await ended(0), SECRETS)
  expect(row.kind).toBe('sse')
  expect(messages?.map(({ data }) => data)).toEqual(['data: a', 'event: x\ndata: b'])
})

test('an answer whose end is that of the connection is whole', async () => {
  const service = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'))
  })
  const { open, ended } = await inspected(service)
  const stream = open()
  stream.write(request('GET /'))
  await until(() => stream.hasEnded())
  stream.end()
  const row = rowOf(await ended(0), SECRETS)
  expect(row).toMatchObject({ state: 'done', status: 200 })
})

test('a compressed event stream is kept as a body: its events cannot be told apart', async () => {
  const { ask, ended } = await inspected(
    http((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' })
      response.end(CODED)
    }),
    { limits: { bodyBytes: 10_000 } },
  )
  await ask(request('GET /events'), '\r\n0\r\n\r\n')
  const exchange = await ended(0)
  expect(rowOf(exchange, SECRETS)).toMatchObject({ kind: 'sse', messages: 0, state: 'done' })
  expect(exchange.responseBody.content).toEqual(CODED)
})

test('a long event stream is charged for the messages that are kept, not for those that were dropped', async () => {
  const event = (at: number): string => `data: ${'x'.repeat(at % 3 === 0 ? 10 : 900)}\n\n`
  const { open, ended, capture } = await inspected(
    http((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(Array.from({ length: 4000 }, (__, at) => event(at)).join(''))
    }),
  )
  open().write(request('GET /events'))
  const exchange = await ended(0)
  expect(exchange).toMatchObject({ messageCount: 4000, givenUp: undefined })
  expect(exchange.messages).toHaveLength(1000)
  expect(capture.store.bytes).toBeLessThan(exchange.messageBytes + 10_000)
})

test.each([
  ['fewer bytes than its length', 'Content-Length: 10\r\n\r\nhalf'],
  ['no last chunk', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
])('an answer with %s has failed', async (_, rest) => {
  const service = createServer((socket) => {
    socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`))
  })
  const { open, ended } = await inspected(service)
  const stream = open()
  stream.write(request('GET /'))
  await until(() => stream.hasEnded())
  stream.end()
  const row = rowOf(await ended(0), SECRETS)
  expect(row).toMatchObject({ state: 'failed', code: 'service_closed', status: 200 })
})

test('a TCP connection has its first bytes, its bytes over time and its ends', async () => {
  const service = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (chunk: Buffer) => socket.write(`<${chunk.toString()}>`))
    socket.on('end', () => socket.end())
  })
  const { open, ended } = await inspected(service, { protocol: 'tcp' })
  const stream = open({ visitorAddress: '198.51.100.7', requestId: 'c1' })
  stream.write('ping')
  await until(() => stream.text() === '<ping>')
  stream.end()
  const exchange = await ended(0)
  const { row, rates, ends } = detailOf(exchange, SECRETS)
  expect(row).toMatchObject({ kind: 'tcp', visitor: '198.51.100.7', bytesIn: 4, bytesOut: 6 })
  expect(exchange.requestBody.content.toString()).toBe('ping')
  expect(rates?.in.reduce((sum, bytes) => sum + bytes, 0)).toBe(4)
  expect(ends.map(({ who }) => who)).toEqual(['visitor', 'service'])
})

test('a service that refuses is an outage until it answers', async () => {
  const path = join(folder.path, 'service.sock')
  const capture = new Capture(LIMITS)
  const { open } = await served(folder, `addr: "unix:${path}"`, capture)
  for (let at = 0; at < 2; at++) open().write(request('GET /'))
  await until(() => capture.outages.get('web')?.refused === 2)
  const row = rowOf(capture.store.all()[0] as Exchange, SECRETS)
  expect(row).toMatchObject({ state: 'failed', code: 'service_unreachable', method: 'GET' })
  const back = http((_, response) => response.end('back'))
  back.listen(path)
  await once(back, 'listening')
  onTestFinished(() => void back.close())
  const stream = open()
  stream.write(request('GET /'))
  await until(() => stream.text().includes('back'))
  expect(capture.outages.size).toBe(0)
  const marked = capture.store.all().filter(({ afterDown }) => afterDown)
  expect(marked.map(({ id }) => id)).toEqual([3])
})

test('what is no HTTP is given up, the bytes cross, and the next request is read again', async () => {
  const service = createServer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 2x0 odd\r\n\r\n')
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    socket.on('end', () => socket.end())
  })
  const { open, ended } = await inspected(service)
  const stream = open()
  stream.write(request('GET /odd'))
  await until(() => stream.text().includes('odd'))
  expect((await ended(0)).givenUp).toMatch(/^HTTP_RESPONSE_/)
  stream.write(request('GET /next'))
  await until(() => stream.text().endsWith('ok'))
  expect(rowOf(await ended(1), SECRETS)).toMatchObject({ target: '/next', status: 200 })
})

test('above the rate exchanges are counted and not kept', async () => {
  const { open, capture } = await inspected(
    http((_, response) => response.end('ok')),
    { limits: { maxPerSecond: 1 } },
  )
  const stream = open()
  const answers = (): number => stream.text().split('ok').length - 1
  // All of them within one second, or some more are kept: never as many as came.
  for (let at = 1; at <= 50; at++) {
    stream.write(request(`GET /${at}`))
    await until(() => answers() === at)
  }
  expect(capture.skipped).toBeGreaterThan(0)
  expect(capture.store.all().length + capture.skipped).toBe(50)
})

test('nothing is captured while nothing is kept and no page is open', async () => {
  const { ask, capture, ended } = await inspected(
    http((_, response) => response.end('ok')),
    { limits: { keep: 0 } },
  )
  await ask(request('GET /unseen'), 'ok')
  expect(capture.store.size).toBe(0)
  onTestFinished(capture.store.watch(() => {}))
  await ask(request('GET /seen'), 'ok')
  expect(rowOf(await ended(0), SECRETS).target).toBe('/seen')
})

/** The tap of a stream, without a service. */
function tapOf(limits: Partial<CaptureLimits>): { capture: Capture; tap: SpliceTap } {
  const capture = new Capture({ ...LIMITS, ...limits })
  const tap = capture.tapOf('web', 'http')(undefined, () => undefined)
  if (tap === undefined) throw new Error('a stream with HTTP has a tap')
  tap.onConnected()
  return { capture, tap }
}

const ANSWER = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')

test('with nothing kept, requests are read while a page is open, also on streams from before', () => {
  const { capture, tap } = tapOf({ keep: 0 })
  const ask = (path: string): void => {
    tap.toSocket(Buffer.from(request(`GET ${path}`)))
    tap.fromSocket(ANSWER)
  }
  tap.toSocket(Buffer.from('GET / no HTTP at all\r\n\r\n'))
  tap.fromSocket(ANSWER)
  ask('/before')
  expect(capture.store.seq).toBe(0) // nothing was begun, and so nothing given up
  expect(capture.skipped).toBe(0)
  const close = capture.store.watch(() => {})
  ask('/a')
  tap.toSocket(Buffer.from(request('GET /open').slice(0, 20)))
  close()
  capture.store.clear()
  tap.toSocket(Buffer.from(request('GET /open').slice(20)))
  tap.fromSocket(ANSWER)
  const { seq } = capture.store
  ask('/between')
  expect(capture.store.seq).toBe(seq)
  capture.store.watch(() => {})
  ask('/b')
  expect(capture.store.all().map((one) => one.request?.target)).toEqual(['/b'])
})

test('memory of a body that is used again shows nothing of the one before', () => {
  const { capture, tap } = tapOf({ keep: 1 })
  const ask = (body: string): void => {
    tap.toSocket(Buffer.from(`${request('POST /', `Content-Length: ${body.length}`)}${body}`))
    tap.fromSocket(ANSWER)
  }
  ask('a'.repeat(900))
  const [first] = capture.store.all()
  const memory = first?.requestBody.content
  ask('b')
  ask('c'.repeat(3))
  const [last] = capture.store.all()
  expect(last?.requestBody.content.toString()).toBe('ccc')
  expect(memory?.includes('a')).toBe(false)
})
