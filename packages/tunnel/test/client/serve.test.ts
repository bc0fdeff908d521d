// What `listener.serve` takes, with requests that the test sends as a server would.
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer } from 'node:net'
import { PassThrough } from 'node:stream'

// @ts-expect-error -- it brings no types
import express from 'express'
import fastify from 'fastify'
import { expect, onTestFinished, test } from 'vitest'

import { dialSocket } from '../../src/client/dial-socket.ts'
import { listen } from '../../src/client/sdk.ts'
import { connectionsOf, type Service } from '../../src/client/service.ts'
import { deadAddress, openTo, readAll, startServer, type TestServer } from '../peers.ts'

interface ExpressApp extends RequestListener {
  all(
    path: string,
    handler: (
      request: IncomingMessage & { readonly ip: string; readonly protocol: string },
      response: { send(text: string): void },
    ) => void,
  ): void
}

const VISITOR = '203.0.113.9'
const RECORD = { kind: 'http', endpoint: 'web', visitorAddress: '198.51.100.1' } as const

const asText = (request: IncomingMessage): string =>
  `${request.method} ${request.url} ${request.socket.remoteAddress}`

function expressApp(): Service {
  const app = express() as ExpressApp
  app.all('/{*path}', (request, response) => {
    response.send(`${request.method} ${request.url} ${request.ip} ${request.protocol}`)
  })
  return app
}

function fastifyApp(): Service {
  const app = fastify()
  app.all('/*', (request) => `${request.method} ${request.url} ${request.ip}`)
  onTestFinished(() => app.close())
  return app
}

const SERVICES: readonly [string, () => Service, string][] = [
  ['a node:http server', () => createHttpServer((one, to) => to.end(asText(one))), VISITOR],
  [
    'a request listener',
    () => (one: IncomingMessage, to: ServerResponse) => void to.end(asText(one)),
    VISITOR,
  ],
  ['an express app', expressApp, `${VISITOR} https`],
  ['a fastify app', fastifyApp, VISITOR],
  [
    'a fetch handler',
    () => (request: Request) => {
      const { pathname, protocol, host } = new URL(request.url)
      return new Response(`${request.method} ${pathname} ${protocol}//${host}`)
    },
    'https://web.example',
  ],
  [
    'an object with fetch, as Hono has',
    () => ({
      fetch: (request, { incoming }) => new Response(`${request.method} ${asText(incoming)}`),
    }),
    VISITOR,
  ],
]

/** Serves an endpoint until the test ends. */
async function served(service: Service, kind: 'http' | 'tcp' = 'http'): Promise<TestServer> {
  const server = await startServer({ waits: { absentWaitMs: 0, startWaitMs: 0 } })
  const listener = await listen('web', { url: server.url, kind, connections: 1 })
  onTestFinished(() => listener.close())
  listener.serve(service)
  return server
}

/** Sends a request on a stream of its own, and reads the answer to its end. */
async function ask(server: TestServer, method: string, more = '', body = ''): Promise<string> {
  const stream = openTo(server.registry, RECORD).toStream()
  stream.write(
    `${method} /a HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n` +
      `X-Forwarded-For: ${VISITOR}, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n${more}\r\n${body}`,
  )
  const answer = await readAll(stream)
  stream.end()
  return answer
}

test.each(SERVICES)('%s answers, and knows the visitor', async (_, make, known) => {
  const server = await served(make())
  const answer = await ask(server, 'GET')
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(answer).toContain(`GET /a `)
  expect(answer).toContain(` ${known}`)
})

test('a fetch handler gets the body and gives headers, a stream and a status', async () => {
  const server = await served(async (request: Request) => {
    const headers = new Headers({ 'x-a': request.headers.get('x-b') ?? '' })
    headers.append('set-cookie', 'a=1')
    headers.append('set-cookie', 'b=2')
    return new Response((await request.text()).toUpperCase(), { status: 201, headers })
  })
  const more = 'Content-Length: 5\r\nX-B: yes\r\n'
  const answer = await ask(server, 'POST', more, 'hello')
  expect(answer).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
  expect(answer).toMatch(/x-a: yes\r\n/i)
  expect(answer).toMatch(/set-cookie: a=1\r\nset-cookie: b=2\r\n/i)
  expect(answer).toContain('HELLO')
  expect(await ask(server, 'TRACE')).toMatch(/^HTTP\/1\.1 400 /)
  expect(await ask(server, 'HEAD')).not.toContain('HELLO')
})

test('a body that a fetch handler does not read does not hold up the next request', async () => {
  const server = await served((request: Request) => new Response(request.method))
  const stream = openTo(server.registry, RECORD).toStream()
  const body = Buffer.alloc(1 << 20)
  stream.write(`POST /a HTTP/1.1\r\nHost: web.example\r\nContent-Length: ${body.length}\r\n\r\n`)
  stream.write(body)
  stream.write('GET /a HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n')
  expect(await readAll(stream)).toMatch(/POST[^]*GET/)
  stream.end()
})

test('a visitor that goes before an app is ready does it no harm', async () => {
  const app = createHttpServer()
  const taken: unknown[] = []
  app.on('connection', (stream) => taken.push(stream))
  let load: () => void = () => {}
  const ready = new Promise<void>((resolve) => (load = resolve))
  const take = connectionsOf({ server: app, ready: () => ready })
  const [gone, there] = [new PassThrough(), new PassThrough()]
  take(gone)
  take(there)
  gone.destroy(new Error('reset by the visitor'))
  await new Promise((resolve) => gone.once('close', resolve))
  load()
  await ready
  expect(taken).toEqual([there])
  there.destroy()
})

test('a fetch handler that throws is 500, and a warning of the process', async () => {
  // Others may come as well, of Node itself.
  const warned = new Promise<void>((resolve) => {
    const look = ({ message }: Error): void => {
      if (message === 'a fault of the handler') resolve()
    }
    process.on('warning', look)
    onTestFinished(() => void process.off('warning', look))
  })
  const server = await served(() => {
    throw new Error('a fault of the handler')
  })
  expect(await ask(server, 'GET')).toMatch(/^HTTP\/1\.1 500 /)
  await warned
})

test('a body that fails before its first byte is 500, without the headers of the response', async () => {
  const failing = new ReadableStream({ start: (body) => body.error(new Error('no file')) })
  const server = await served(() => new Response(failing, { headers: { 'content-length': '9' } }))
  const answer = await ask(server, 'GET')
  expect(answer).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/)
  expect(answer).not.toMatch(/content-length: 9/i)
})

test('the head of an event stream comes before its first event', async () => {
  let send: (text: string) => void = () => {}
  const events = new ReadableStream({
    start: (body) => {
      send = (text) => {
        body.enqueue(Buffer.from(text))
        body.close()
      }
    },
  })
  const server = await served(() => new Response(events))
  const stream = openTo(server.registry, RECORD).toStream()
  stream.write('GET /a HTTP/1.1\r\nHost: web.example\r\nConnection: close\r\n\r\n')
  const [head] = (await once(stream, 'data')) as [Buffer]
  expect(String(head)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  send('data: first\n\n')
  expect(await readAll(stream)).toContain('data: first')
  stream.end()
})

test('a node:net server gets TCP connections with the address of the visitor', async () => {
  const server = await served(
    createServer((socket) => {
      socket.end(`${socket.remoteAddress} ${socket.remotePort} ${socket.remoteFamily}`)
    }),
    'tcp',
  )
  const record = { kind: 'tcp', endpoint: 'web', visitorAddress: '::1', visitorPort: 7 } as const
  const stream = openTo(server.registry, record).toStream()
  expect(await readAll(stream)).toBe('::1 7 IPv6')
  stream.end()
})

test('what cannot be served is a TypeError', async () => {
  const server = await startServer()
  const listener = await listen('web', { url: server.url, connections: 1 })
  onTestFinished(() => listener.close())
  expect(() => listener.serve({} as Service)).toThrow(TypeError)
})

test('listen tells each failure, and a timeout has the last one as its cause', async () => {
  const { host, port } = await deadAddress()
  const timeout = new AbortController()
  const reason = new DOMException('late', 'TimeoutError') // as AbortSignal.timeout has it
  const seen: unknown[] = []
  const pending = listen('web', {
    url: `http://${host}:${port}`,
    signal: timeout.signal,
    onRetry: ({ error }) => {
      seen.push(error)
      timeout.abort(reason)
    },
  })
  await expect(pending).rejects.toBe(reason)
  expect(seen[0]).toMatchObject({ code: 'DIAL_CONNECT_REFUSED' })
  expect(reason.cause).toBe(seen[0])
})

test('a dialed socket connects as those of node:net do, for clients that make theirs', async () => {
  const server = await served(
    createServer((socket) => socket.pipe(socket)),
    'tcp',
  )
  const socket = dialSocket('web', { url: server.url })
  expect(socket.connecting).toBe(true)
  socket.setNoDelay().setKeepAlive().ref().unref().setTimeout(60_000)
  socket.connect(5432, 'ignored.example').write('early ') // waits until it is connected
  await once(socket, 'connect')
  expect(socket.connecting).toBe(false)
  socket.end('late')
  expect(await readAll(socket)).toBe('early late')
  const lost = dialSocket('other', { url: server.url })
  const [error] = (await once(lost, 'error')) as [Error]
  expect(error).toMatchObject({ code: 'TUNNEL_NO_UPSTREAM' })
  const given = dialSocket('web', { url: server.url })
  given.destroy()
  await once(given, 'close')
})
