// Spans of the agent, as an OTLP receiver gets them; the test opens the streams, as a server would.
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

import { attributesOf, startReceiver } from '@proj/testkit/otlp-receiver'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Capture } from '../../src/inspect/capture.ts'
import { openAgentTracer } from '../../src/tracing/agent-tracer.ts'
import { request, served } from '../listeners/served.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const folder = temporaryDirectory()

async function traced(
  handler: RequestListener,
  { sample = 100, rules = '' }: { sample?: number; rules?: string } = {},
) {
  const receiver = await startReceiver()
  onTestFinished(async () => await receiver[Symbol.asyncDispose]())
  const service = createServer(handler)
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  onTestFinished(() => {
    service.closeAllConnections()
    service.close()
  })
  const { port } = service.address() as AddressInfo
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const settings = { url: receiver.url, sample, headers: undefined }
  const tracer = openAgentTracer(settings, silent, { batchDelayMs: 1 })
  if (tracer === undefined) throw new Error('there is no tracer')
  onTestFinished(async () => await tracer[Symbol.asyncDispose]())
  const limits = { keep: 10, bodyBytes: 1000, maxBytes: 1_000_000, maxPerSecond: 1_000 }
  const capture = new Capture(limits)
  const listener = `addr: "127.0.0.1:${port}"${rules}`
  const run = await served(folder, listener, capture, tracer)
  return { ...run, receiver, tracer, capture, port }
}

test('a request of a sampled trace is a span with its times, and the context reaches the service', async () => {
  const { ask, receiver, capture, port } = await traced((incoming, response) => {
    incoming.resume().on('end', () => response.end(incoming.headers['traceparent']))
  })
  const traceparent = `00-${TRACE}-${SPAN}-01`
  const head = request(
    'POST /orders?token=secret',
    'Content-Length: 5',
    'X-Request-Id: abc',
    `traceparent: ${traceparent}`,
  )
  expect(await ask(`${head}hello`, traceparent)).toContain('200 OK')
  const span = await until(() => receiver.spans[0])
  expect(span).toMatchObject({
    traceId: TRACE,
    parentSpanId: SPAN,
    name: 'POST web',
    kind: 3,
    status: {},
  })
  const attributes = attributesOf(span)
  expect(attributes).toMatchObject({
    'http.request.method': 'POST',
    'http.response.status_code': '200',
    'url.path': '/orders',
    'adit.endpoint': 'web',
    'adit.service': expect.stringContaining(`:${port}`),
    'adit.request_id': 'abc',
    'adit.outcome': 'ok',
  })
  for (const name of ['waiting', 'service', 'body']) {
    expect(attributes[`adit.${name}_ms`]).toMatch(/^\d+$/)
  }
  expect(span.events.map(({ name }) => name).toSorted()).toEqual(['answered', 'connected', 'sent'])
  expect(JSON.stringify(receiver.spans)).not.toContain('secret')
  expect(receiver.resources[0]).toMatchObject({ 'service.name': 'adit' })
  // The inspector sees the same stream.
  expect(capture.store.all()).toHaveLength(1)
})

test('a request that the server has not sampled has no span, one without a context begins a trace', async () => {
  const { ask, receiver } = await traced((_, response) => response.end('done'))
  await ask(request('GET /unsampled', `traceparent: 00-${TRACE}-${SPAN}-00`), 'done')
  await ask(request('GET /new'), 'done')
  const span = await until(() => receiver.spans[0])
  expect(span).not.toHaveProperty('parentSpanId')
  expect(attributesOf(span)['url.path']).toBe('/new')
  expect(receiver.spans).toHaveLength(1)
})

test('a share of 0 sends none, and the bytes of a stream are the same', async () => {
  const { ask, receiver, tracer } = await traced((_, response) => response.end('done'), {
    sample: 0,
  })
  expect(await ask(request('GET /'), 'done')).toContain('200 OK')
  await tracer[Symbol.asyncDispose]()
  expect(receiver.requests).toEqual([])
})

test('a service that breaks off or cannot be reached is an error', async () => {
  const { ask, receiver, open } = await traced((incoming, response) => {
    if (incoming.url === '/bad') response.writeHead(503).end('bad')
    else incoming.socket.destroy()
  })
  await ask(request('GET /bad'), 'bad')
  const [bad] = await until(() => (receiver.spans.length > 0 ? receiver.spans : undefined))
  expect(bad).toMatchObject({ status: { code: 2 } })
  expect(attributesOf(bad as NonNullable<typeof bad>)['error.type']).toBe('503')
  open().write(request('GET /broken'))
  const broken = await until(() => receiver.spans[1])
  expect(broken).toMatchObject({ status: { code: 2 } })
  expect(attributesOf(broken)['error.type']).toMatch(/^service_/)
})
