// Spans of requests through a whole path, as an OTLP receiver gets them.
import { createServer } from 'node:net'

import { Secret } from '@proj/config'
import { type SpanExportLimits } from '@proj/program-kit'
import { attributesOf, startReceiver } from '@proj/testkit/otlp-receiver'
import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { Agent, forward } from '@proj/tunnel'
import { expect, onTestFinished, test } from 'vitest'

import { openTracer } from '../../src/tracing/open-tracer.ts'
import type { Tracer } from '../../src/tracing/tracer.ts'
import { type FixtureOptions, request, startServer, tunnel } from '../tunnel-fixture.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const SECRET = 'Bearer very-secret'

const QUICK: Partial<SpanExportLimits> = { batchDelayMs: 1, retryDelayMs: 1 }

async function traced(
  url: string,
  { sample = 100, headers, limits }: Wanted = {},
): Promise<{ readonly tracer: Tracer; readonly lines: unknown[] }> {
  const lines: unknown[] = []
  const log = (...line: unknown[]): void => void lines.push(line)
  const logger = { debug: log, info: log, warn: log, error: log }
  const secret = headers === undefined ? undefined : new Secret(headers)
  const settings = { url, sample, headers: secret }
  const tracer = openTracer(settings, logger, { ...QUICK, ...limits })
  if (tracer === undefined) throw new Error('there is no tracer')
  onTestFinished(async () => await tracer[Symbol.asyncDispose]())
  return { tracer, lines }
}

interface Wanted {
  readonly sample?: number
  readonly headers?: string
  readonly limits?: Partial<SpanExportLimits>
}

/** A path whose service answers with the headers it got. */
async function echo(tracer: Tracer, options: FixtureOptions = {}) {
  return await tunnel({
    http: (req, res) => res.end(JSON.stringify(req.headers)),
    ...options,
    server: { tracer },
  })
}

async function seen(port: number, ...headers: string[]): Promise<Record<string, string>> {
  const { body } = await exchangeRaw(port, request('GET /a/b?token=secret', ...headers))
  return JSON.parse(body.toString())
}

test('a request is a span, and that of the service is its child', async () => {
  await using receiver = await startReceiver()
  const { tracer } = await traced(receiver.url, { headers: `Authorization: ${SECRET}\n` })
  await using path = await echo(tracer)
  const headers = await seen(path.port, 'User-Agent: test', 'tracestate: a=b')
  const span = await until(() => receiver.spans[0])
  expect(headers['traceparent']).toBe(`00-${span.traceId}-${span.spanId}-01`)
  // It is of a trace that the server knows nothing of.
  expect(headers).not.toHaveProperty('tracestate')
  expect(span).toMatchObject({ name: 'GET web', kind: 2, status: {} })
  expect(span).not.toHaveProperty('parentSpanId')
  const [session] = path.server.registry.sessions({ tenant: '', name: 'web' })
  expect(attributesOf(span)).toMatchObject({
    'http.request.method': 'GET',
    'http.response.status_code': '200',
    'url.scheme': 'http',
    'url.path': '/a/b',
    'server.address': 'web.localhost',
    'client.address': '127.0.0.1',
    'network.protocol.version': '1.1',
    'user_agent.original': 'test',
    'adit.endpoint': 'web',
    'adit.outcome': 'ok',
    'adit.request_id': headers['x-request-id'],
    'adit.agent': session?.agentId,
  })
  expect(JSON.stringify(receiver.spans)).not.toContain('secret')
  expect(span.events.map(({ name }) => name)).toEqual(['routed', 'sent', 'answered'])
  const times = [
    span.startTimeUnixNano,
    ...span.events.map(({ timeUnixNano }) => timeUnixNano),
    span.endTimeUnixNano,
  ].map(BigInt)
  expect(times).toEqual(times.toSorted((a, b) => Number(a - b)))
  expect(receiver.resources[0]).toMatchObject({ 'service.name': 'adit-server' })
  expect(receiver.requests[0]).toMatchObject({
    path: '/v1/traces',
    headers: { authorization: SECRET, 'content-type': 'application/json' },
  })
})

test('the trace of a request goes on, with the span of the server between', async () => {
  await using receiver = await startReceiver()
  const { tracer } = await traced(`${receiver.url}/v1/traces/`)
  await using path = await echo(tracer)
  const headers = await seen(path.port, `traceparent: 00-${TRACE}-${SPAN}-00`, 'tracestate: a=b')
  const span = await until(() => receiver.spans[0])
  expect(span).toMatchObject({ traceId: TRACE, parentSpanId: SPAN })
  expect(headers).toMatchObject({
    traceparent: `00-${TRACE}-${span.spanId}-01`,
    tracestate: 'a=b',
  })
  expect(receiver.requests[0]?.path).toBe('/v1/traces')
})

test('the flag of a visitor records nothing beyond the share, and the service is told', async () => {
  await using receiver = await startReceiver()
  const { tracer } = await traced(receiver.url, { sample: 0 })
  await using path = await echo(tracer)
  const headers = await seen(path.port, `traceparent: 00-${TRACE}-${SPAN}-01`)
  expect(headers['traceparent']).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
  expect(headers['traceparent']).not.toContain(SPAN)
  await tracer[Symbol.asyncDispose]()
  expect(receiver.requests).toEqual([])
})

test('a trusted proxy decides, both ways', async () => {
  await using receiver = await startReceiver()
  const edge = { trustedHops: 1 }
  const none = await traced(receiver.url, { sample: 0 })
  await using first = await echo(none.tracer, { edge })
  await seen(first.port, `traceparent: 00-${TRACE}-${SPAN}-01`)
  expect(await until(() => receiver.spans[0])).toMatchObject({ traceId: TRACE })
  const all = await traced(receiver.url, { sample: 100 })
  await using second = await echo(all.tracer, { edge })
  const headers = await seen(second.port, `traceparent: 00-${TRACE}-${SPAN}-00`)
  expect(headers['traceparent']).toMatch(/-00$/)
  await all.tracer[Symbol.asyncDispose]()
  expect(receiver.spans).toHaveLength(1)
})

test('a request that fails is an error, and has no endpoint in its name', async () => {
  await using receiver = await startReceiver()
  const { tracer } = await traced(receiver.url)
  await using path = await echo(tracer)
  await exchangeRaw(path.port, 'BREW / HTTP/1.1\r\nHost: other.localhost\r\n\r\n')
  const span = await until(() => receiver.spans[0])
  expect(span).toMatchObject({ name: 'HTTP', status: { code: 2 } })
  expect(attributesOf(span)).toMatchObject({
    'http.request.method': '_OTHER',
    'http.request.method_original': 'BREW',
    'http.response.status_code': '503',
    'error.type': 'no_upstream',
    'adit.endpoint': 'other',
  })
})

test('an upgraded connection that its visitor ends is no error', async () => {
  await using receiver = await startReceiver()
  const { tracer } = await traced(receiver.url)
  await using path = await tunnel({
    tcp: (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      })
    },
    server: { tracer },
  })
  const visitor = await path.visit()
  await visitor.send(request('GET /', 'Connection: Upgrade', 'Upgrade: echo'))
  expect(await visitor.readResponse()).toMatchObject({ status: 101 })
  visitor.socket.resetAndDestroy()
  const span = await until(() => receiver.spans[0])
  expect(span).toMatchObject({ name: 'GET web', status: {} })
  expect(attributesOf(span)).toMatchObject({
    'adit.kind': 'upgrade',
    'adit.outcome': 'consumer_gone',
    'http.response.status_code': '101',
  })
})

test('a receiver that is busy gets the spans again', async () => {
  await using receiver = await startReceiver([503, 429])
  const { tracer } = await traced(receiver.url)
  await using path = await echo(tracer)
  await seen(path.port)
  await until(() => tracer.counts.sent === 1)
  expect([receiver.requests.length, receiver.spans.length]).toEqual([3, 1])
  expect(tracer.counts.dropped).toBe(0)
})

test.each([302, 400, 401])(
  'after %i spans are dropped, and no secret is logged',
  async (status) => {
    await using receiver = await startReceiver([status])
    const { tracer, lines } = await traced(receiver.url, { headers: `Authorization: ${SECRET}` })
    await using path = await echo(tracer)
    await seen(path.port)
    await until(() => tracer.counts.dropped === 1)
    expect(receiver.requests).toHaveLength(1)
    expect(lines).toEqual([[{ status, receiver: receiver.url }, 'spans are not sent']])
  },
)

test('a receiver that is away loses nothing but spans', async () => {
  const receiver = await startReceiver()
  await receiver[Symbol.asyncDispose]()
  const { tracer, lines } = await traced(receiver.url, { limits: { maxRetries: 1 } })
  await using path = await echo(tracer)
  expect(await seen(path.port)).toHaveProperty('traceparent')
  await until(() => tracer.counts.dropped === 1)
  expect(lines).toMatchObject([[{ code: 'ECONNREFUSED' }, 'spans are not sent']])
  const port = path.server.listeners.admin.bound[0]?.port ?? 0
  const page = await exchangeRaw(port, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
  expect(page.body.toString()).toContain('adit_trace_spans_total{outcome="dropped"} 1')
})

test('a connection of a public port is a span of its own', async () => {
  await using receiver = await startReceiver()
  const { tracer } = await traced(receiver.url)
  const range = await freePorts(1)
  const publicPorts = { ranges: [range], deny: [] }
  const server = await startServer({}, [], undefined, undefined, { tracer, publicPorts })
  onTestFinished(() => server.destroy())
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  await using agent = new Agent({ url, connections: 1 })
  await using service = await listening(
    createServer((socket) => socket.once('data', () => socket.end('hello'))),
  )
  const { host, port } = service
  const options = { kind: 'tcp', publicPort: range.first, service: { host, port } } as const
  await forward(agent, 'pg', options).ready()
  using visitor = await connectRaw(range.first)
  await visitor.send('abc')
  expect((await visitor.readToEnd()).toString()).toBe('hello')
  visitor.socket.end()
  const span = await until(() => receiver.spans[0])
  expect(span).toMatchObject({ name: 'TCP pg', kind: 2, status: {} })
  expect(span).not.toHaveProperty('parentSpanId')
  expect(attributesOf(span)).toMatchObject({
    'network.transport': 'tcp',
    'client.address': '127.0.0.1',
    'adit.kind': 'tcp',
    'adit.outcome': 'ok',
    'adit.endpoint': 'pg',
    'adit.bytes_in': '3',
    'adit.bytes_out': '5',
  })
  expect(span.events.map(({ name }) => name)).toEqual(['routed', 'answered'])
})

test('spans that too many wait before are dropped', async () => {
  await using receiver = await startReceiver()
  const limits = { maxQueuedChars: 100, batchDelayMs: 60_000 }
  const { tracer } = await traced(receiver.url, { limits })
  await using path = await echo(tracer)
  await seen(path.port)
  await until(() => tracer.counts.dropped === 1)
  expect([tracer.counts.sent, receiver.requests.length]).toEqual([0, 0])
})

test('what waits is sent when the server stops', async () => {
  await using receiver = await startReceiver()
  const { tracer } = await traced(receiver.url, { limits: { batchDelayMs: 600_000 } })
  await using path = await echo(tracer)
  await seen(path.port)
  await tracer[Symbol.asyncDispose]()
  expect(receiver.spans).toHaveLength(1)
})

test('headers that cannot be read are an error without their text', async () => {
  const settings = {
    url: 'http://localhost',
    sample: 100,
    headers: new Secret('A: b\nsecret text'),
  }
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  let error: unknown
  try {
    openTracer(settings, logger)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toMatchObject({ message: 'tracing.headers: line 2 is not a header' })
  expect(error).not.toHaveProperty('cause')
})
