import { once } from 'node:events'
import { createServer, type Server, type Socket, connect } from 'node:net'
import type { Duplex } from 'node:stream'

import {
  Gate,
  hashPassword,
  PasswordChecks,
  SourceLimiter,
  VISITOR_FAILURES,
  type VisitorPolicy,
} from '@proj/auth'
import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { GatedService, type GatedServiceOptions } from '../../src/listeners/gated-service.ts'

const verifier = await hashPassword('secret')
const ANN = { basicAuth: [{ user: 'ann', verifier }] }
const auth = (pair: string): string =>
  `Authorization: Basic ${Buffer.from(pair).toString('base64')}`
const get = (path: string, ...lines: string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: web', ...lines, '', ''].join('\r\n')

interface Gated {
  readonly stream: GatedService
  /** What came out so far. */
  readonly out: () => string
  /** What reached the service so far. */
  readonly seen: () => string
  readonly dials: () => number
}

/** A gated service, and a real one behind it under the test's hand. */
async function gated(
  policy: VisitorPolicy,
  serve: (socket: Socket) => void,
  visitor: GatedServiceOptions['visitor'] = 'forwarded',
): Promise<Gated> {
  let seen = ''
  let dials = 0
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => (seen += chunk.toString('latin1')))
    serve(socket)
  })
  const listen = await listening(server)
  onTestFinished(() => listen.close())
  const parts = { checks: new PasswordChecks(), failures: new SourceLimiter(VISITOR_FAILURES) }
  const stream = new GatedService({
    gates: [new Gate(policy, parts)],
    endpoint: 'web',
    visitor,
    dial: async (): Promise<Duplex> => {
      dials += 1
      const socket = connect({ host: listen.host, port: listen.port, allowHalfOpen: true })
      await once(socket, 'connect')
      return socket
    },
  })
  let out = ''
  stream.on('data', (chunk: Buffer) => (out += chunk.toString('latin1')))
  stream.on('error', () => {})
  onTestFinished(() => void stream.destroy())
  return { stream, out: () => out, seen: () => seen, dials: () => dials }
}

/** Answers each head with 200 and its path. */
function answering(socket: Socket): void {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
      const path = text.slice(0, end).split(' ')[1] ?? ''
      text = text.slice(end + 4)
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`)
    }
  })
  socket.on('end', () => socket.end())
}

test('refuses without dialing, and dials once for all that may pass', async () => {
  const one = await gated(ANN, answering)
  one.stream.write(get('/1'))
  await until(() => one.out().includes('401'))
  expect(one.out()).toContain('Basic realm="web"')
  expect([one.dials(), one.seen()]).toEqual([0, ''])
  one.stream.write(get('/2', auth('ann:secret'), 'X-Own: 1'))
  await until(() => one.out().endsWith('/2'))
  one.stream.write(get('/3', auth('ann:wrong')))
  await until(() => one.out().includes('credentials_wrong'))
  one.stream.write(get('/4', auth('ann:secret')))
  await until(() => one.out().endsWith('/4'))
  expect(one.dials()).toBe(1)
  expect(one.seen()).toContain('X-Own: 1')
  expect(one.seen()).not.toMatch(/authorization|\/3/i)
})

test('refuses in the form that the visitor accepts', async () => {
  const one = await gated(ANN, answering)
  one.stream.write(get('/1', 'Accept: text/html', 'X-Request-Id: from-the-server'))
  await until(() => one.out().includes('</html>'))
  expect(one.out()).toMatch(/^HTTP\/1.1 401 [^]*\r\nwww-authenticate: Basic realm="web"/)
  expect(one.out()).toContain('<h1>Please sign in</h1>')
  expect(one.out()).toContain('<dd>from-the-server</dd>')
  one.stream.write(get('/2', 'Accept: text/plain'))
  await until(() => one.out().includes('401 Please sign in (credentials_missing)\n'))
})

test('judges heads that come byte by byte as those that come at once', async () => {
  const one = await gated(ANN, answering)
  for (const byte of Buffer.from(get('/1') + get('/2', auth('ann:secret')))) {
    one.stream.write(Buffer.of(byte))
  }
  await until(() => one.out().endsWith('/2'))
  expect(one.out()).toMatch(/^HTTP\/1.1 401 /)
})

test('drops the body of a refused request, which is no request of its own', async () => {
  const one = await gated(ANN, answering)
  const inner = get('/smuggled', auth('ann:secret'))
  const head = ['POST /1 HTTP/1.1', 'Host: web', `Content-Length: ${inner.length}`, '', ''].join(
    '\r\n',
  )
  one.stream.write(head + inner + get('/2', auth('ann:secret')))
  await until(() => one.out().endsWith('/2'))
  expect(one.seen()).not.toContain('smuggled')
})

test('passes a body as it is, chunked or not', async () => {
  const one = await gated(ANN, answering)
  const body = '5\r\nhello\r\n0\r\n\r\n'
  const head = ['POST /1 HTTP/1.1', 'Host: web', auth('ann:secret'), 'Transfer-Encoding: chunked']
  one.stream.write([...head, '', ''].join('\r\n') + body)
  await until(() => one.out().includes('/1'))
  await until(() => one.seen().endsWith('0\r\n\r\n'))
  expect(one.seen()).toContain(`\r\n\r\n${body}`)
})

test('takes who asks from the header of a server of ours, else from what is told', async () => {
  const policy = { allow: ['192.0.2.0/24'] }
  const edge = await gated(policy, answering)
  edge.stream.write(get('/far', 'X-Forwarded-For: 198.51.100.1, 192.0.2.1'))
  await until(() => edge.out().includes('403'))
  edge.stream.write(get('/near', 'X-Forwarded-For: 192.0.2.1, 198.51.100.1'))
  await until(() => edge.out().endsWith('/near'))
  const bare = await gated(policy, answering, { address: '198.51.100.1' })
  bare.stream.write(get('/forged', 'X-Forwarded-For: 192.0.2.1'))
  await until(() => bare.out().includes('403'))
  const unknown = await gated(policy, answering, { address: undefined })
  unknown.stream.write(get('/piko', 'X-Forwarded-For: 192.0.2.1'))
  await until(() => unknown.out().includes('403'))
  expect([edge.dials(), bare.dials(), unknown.dials()]).toEqual([1, 0, 0])
})

const UPGRADE = ['Connection: Upgrade', 'Upgrade: echo']

test('after a 101 passes everything, in both directions', async () => {
  const one = await gated(ANN, (socket) => {
    socket.once('data', () => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
      )
      socket.on('data', (chunk) => socket.write(chunk))
    })
  })
  one.stream.write(get('/', auth('ann:secret'), ...UPGRADE))
  await until(() => one.out().includes('101'))
  one.stream.write('GET / no http at all\r\n\r\n')
  await until(() => one.out().endsWith('no http at all\r\n\r\n'))
  expect(one.out()).not.toContain('401')
})

test('after an upgrade that was declined judges the next request', async () => {
  const one = await gated(ANN, answering)
  one.stream.write(get('/1', auth('ann:secret'), ...UPGRADE) + get('/2'))
  await until(() => one.out().includes('401'))
  expect(one.seen()).not.toContain('/2')
})

test('a service that hangs up ends the stream, one that breaks off breaks it off', async () => {
  const polite = await gated(ANN, (socket) => socket.once('data', () => socket.end('bye')))
  const ended = once(polite.stream, 'end')
  polite.stream.write(get('/1', auth('ann:secret')))
  await ended
  expect(polite.out()).toBe('bye')
  const rude = await gated(ANN, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  const broken = once(rude.stream, 'error').catch(() => {})
  rude.stream.write(get('/1', auth('ann:secret')))
  await broken
  expect(rude.stream.destroyed).toBe(true)
})

test('a stream that ends unasked ends, and one that is destroyed takes the service along', async () => {
  const idle = await gated(ANN, answering)
  const ended = once(idle.stream, 'end')
  idle.stream.end()
  await ended
  let closed = false
  const busy = await gated(ANN, (socket) => socket.on('close', () => (closed = true)))
  busy.stream.write(get('/1', auth('ann:secret')))
  await until(() => busy.seen().includes('/1'))
  busy.stream.destroy()
  await until(() => closed)
  expect(idle.dials()).toBe(0)
})

test('what is no HTTP breaks the stream off', async () => {
  const one = await gated(ANN, answering)
  const broken = once(one.stream, 'error').catch((error: unknown) => [error])
  one.stream.write('\x16\x03\x01')
  await broken
  expect([one.stream.destroyed, one.dials()]).toEqual([true, 0])
})
