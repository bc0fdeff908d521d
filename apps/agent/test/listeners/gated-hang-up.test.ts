// A visitor who hangs up must not leave a connection to the service behind, whatever carries it.
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'

import { Gate, PasswordChecks, SourceLimiter, VISITOR_FAILURES } from '@proj/auth'
import { dial, type DialOptions } from '@proj/dialer'
import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { GatedService } from '../../src/listeners/gated-service.ts'

const VISITORS = 40
const REQUEST = 'GET / HTTP/1.1\r\nHost: web\r\n\r\n'

interface Service {
  /** Requests that arrived. */
  readonly requests: () => number
  /** Connections that are open now, counted by the server itself. */
  readonly connections: () => Promise<number>
  readonly dial: (signal: AbortSignal) => Promise<Socket>
}

const authority = certificateAuthority()

const WIRES: Readonly<Record<string, () => Promise<Service>>> = {
  tcp: async () => await tcp(createServer({ allowHalfOpen: true }), {}),
  'a unix socket': async () => {
    const directory = temporaryDirectory()
    onTestFinished(() => directory[Symbol.dispose]())
    const path = join(directory.path, 'service.sock')
    const server = createServer({ allowHalfOpen: true })
    server.listen(path)
    return await serve(server, 'connection', (signal) => dial({ path }, { signal }))
  },
  TLS: async () =>
    await tcp(createTlsServer({ ...authority.issue({ name: 'server' }), allowHalfOpen: true }), {
      tls: { ca: authority.cert },
    }),
}

async function tcp(server: Server, options: DialOptions): Promise<Service> {
  server.listen(0, 'localhost')
  const event = options.tls === undefined ? 'connection' : 'secureConnection'
  return await serve(server, event, (signal) => {
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    return dial({ host: 'localhost', port }, { ...options, signal })
  })
}

async function serve(server: Server, event: string, connect: Service['dial']): Promise<Service> {
  let requests = 0
  const sockets = new Set<Socket>()
  server.on(event, (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      if (!chunk.includes('GET /')) return
      requests += 1
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
      // An answer without end: it stops when the connection is closed at the other end, and only then.
      const answer = setInterval(() => socket.write('.'), 5)
      socket.on('close', () => clearInterval(answer))
    })
  })
  await once(server, 'listening')
  onTestFinished(async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  })
  return {
    requests: () => requests,
    connections: async () =>
      await new Promise((resolve, reject) => {
        server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
      }),
    dial: async (signal) => {
      const socket = await connect(signal)
      socket.allowHalfOpen = true
      return socket
    },
  }
}

/** When a visitor hangs up; each is told when the request has been written. */
const MOMENTS: Readonly<Record<string, (stream: GatedService) => unknown>> = {
  'in the middle of an answer': () => {},
  'while the end of the request is being sent': (stream) => stream.end(),
  'when the end of the request has been sent': async (stream) => {
    stream.end()
    await once(stream, 'finish')
    await new Promise(setImmediate)
  },
}

for (const [wire, start] of Object.entries(WIRES)) {
  describe(`${VISITORS} visitors of a service over ${wire} who hang up leave no connection`, () => {
    for (const [moment, act] of Object.entries(MOMENTS)) {
      test(`they hang up ${moment}`, async () => {
        const service = await start()
        const gate = new Gate(
          {},
          { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) },
        )
        const visitors = Array.from({ length: VISITORS }, () => {
          const { dial: connect } = service
          const visitor = { address: '192.0.2.1' }
          const stream = new GatedService({
            gates: [gate],
            endpoint: 'web',
            visitor,
            dial: connect,
          })
          stream.on('error', () => {})
          stream.resume()
          stream.write(REQUEST)
          return stream
        })
        await until(() => service.requests() === VISITORS)
        await Promise.all(
          visitors.map(async (stream) => {
            await act(stream)
            const closed = once(stream, 'close')
            stream.destroy()
            await closed
          }),
        )
        await until(async () => (await service.connections()) === 0)
        expect(await service.connections()).toBe(0)
      })
    }
  })
}

test('a connection that is made after the visitor hung up is closed', async () => {
  const start = WIRES['tcp']
  if (start === undefined) throw new Error('no such wire')
  const service = await start()
  const gate = new Gate(
    {},
    { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) },
  )
  let release = (): void => {}
  const hungUp = new Promise<void>((resolve) => (release = resolve))
  const stream = new GatedService({
    gates: [gate],
    endpoint: 'web',
    visitor: { address: '192.0.2.1' },
    dial: async () => {
      const socket = await service.dial(new AbortController().signal)
      await hungUp
      return socket
    },
  })
  stream.on('error', () => {})
  stream.write(REQUEST)
  await until(async () => (await service.connections()) === 1)
  stream.destroy()
  release()
  await until(async () => (await service.connections()) === 0)
  expect(service.requests()).toBe(0)
})
