// Bandwidths of endpoints, on each way that visitors come. Times are judged from below alone: a busy machine is slower.
import { createServer } from 'node:net'
import type { Duplex } from 'node:stream'

import { freePorts } from '@proj/testkit/free-ports'
import { listening } from '@proj/testkit/listening'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { Agent, dial, forward } from '@proj/tunnel'
import { expect, onTestFinished, test } from 'vitest'

import { request, startServer, tunnel } from './tunnel-fixture.ts'

const BYTES = 192 * 1024
const PER_SECOND = { amount: 384 * 1024, periodMs: 1000 }
/** A tenth of a second passes at once, and the last chunk of 64 KiB does not wait for its own end. */
const LEAST_MS = 150

type Limited = 'upload' | 'download'

const limitsOf = (name: string, limited: Limited) => ({
  limits: [{ name, limits: { [limited]: PER_SECOND } }],
})

/** A service that sends as many bytes as it is asked for, or answers when it has as many. */
async function counting() {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let wanted: number | undefined
    let got = 0
    let isUpgraded = false
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      let bytes = chunk
      if (!isUpgraded && chunk.toString('latin1', 0, 4) === 'GET ') {
        isUpgraded = true
        socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: count\r\n\r\n')
        return
      }
      if (wanted === undefined) {
        const end = chunk.indexOf('\n')
        const [what, count] = chunk.toString('latin1', 0, end).split(' ')
        wanted = Number(count)
        bytes = chunk.subarray(end + 1)
        if (what === 'download') socket.write(Buffer.alloc(wanted))
      }
      got += bytes.length
      if (got >= wanted) socket.write('done')
    })
  })
  const service = await listening(server)
  onTestFinished(() => service.close())
  return service
}

/** Moves the bytes one way and returns how long it took, ms. */
async function move(socket: Duplex, limited: Limited): Promise<number> {
  const isUpload = limited === 'upload'
  const wanted = isUpload ? 'done'.length : BYTES
  const startedMs = performance.now()
  socket.write(`${limited} ${BYTES}\n`)
  if (isUpload) socket.write(Buffer.alloc(BYTES))
  await new Promise<void>((resolve, reject) => {
    let got = 0
    socket.on('error', reject).on('end', () => reject(new Error(`ended after ${got}`)))
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length
      if (got >= wanted) resolve()
    })
  })
  return performance.now() - startedMs
}

test.for(['upload', 'download'] as const)('of requests: %s', async (limited) => {
  await using path = await tunnel({
    http: (req, res) => {
      if (req.method === 'GET') res.end(Buffer.alloc(BYTES))
      else {
        let bytes = 0
        req.on('data', (chunk: Buffer) => (bytes += chunk.length))
        req.on('end', () => res.end(String(bytes)))
      }
    },
    server: limitsOf('web', limited),
  })
  const bytes =
    limited === 'download'
      ? Buffer.from(request('GET /'))
      : Buffer.concat([
          Buffer.from(request('POST /', `Content-Length: ${BYTES}`)),
          Buffer.alloc(BYTES),
        ])
  const startedMs = performance.now()
  const answer = await exchangeRaw(path.port, bytes)
  expect(performance.now() - startedMs).toBeGreaterThan(LEAST_MS)
  const { body } = answer
  expect(limited === 'download' ? body.length : Number(body.toString())).toBe(BYTES)
  // The connection, and the stream to the agent, carry another request.
  using visitor = await path.visit()
  for (let count = 0; count < 2; count += 1) {
    await visitor.send(request('POST /', 'Content-Length: 3') + 'abc')
    expect((await visitor.readResponse()).body.toString()).toBe('3')
  }
})

/** Requests of one piece each: what is above a tenth of a second of the rate waits, but for the last one. */
const SMALL = { requests: 8, bytes: 16 * 1024, perSecond: 128 * 1024, leastMs: 700 }

test.for([
  ['one connection', true],
  ['a connection each', false],
] as const)('of many small requests, %s', async ([, isKept]) => {
  await using path = await tunnel({
    http: (req, res) => void req.resume().on('end', () => res.end('in')),
    server: {
      limits: [{ name: 'web', limits: { upload: { amount: SMALL.perSecond, periodMs: 1000 } } }],
    },
  })
  const body = 'x'.repeat(SMALL.bytes)
  const small = request('POST /', `Content-Length: ${body.length}`) + body
  const startedMs = performance.now()
  using kept = await path.visit()
  for (let count = 0; count < SMALL.requests; count += 1) {
    using own = isKept ? undefined : await path.visit()
    const visitor = own ?? kept
    await visitor.send(small)
    expect((await visitor.readResponse()).body.toString()).toBe('in')
  }
  expect(performance.now() - startedMs).toBeGreaterThan(SMALL.leastMs)
})

test.for(['upload', 'download'] as const)('of an upgraded connection: %s', async (limited) => {
  const service = await counting()
  await using path = await tunnel({ server: limitsOf('up', limited), hop: false })
  await forward(path.agent, 'up', { kind: 'http', service }).ready()
  using visitor = await connectRaw(path.port)
  const upgrade = ['Host: up.localhost', 'Connection: Upgrade', 'Upgrade: count', '', '']
  await visitor.send(`GET / HTTP/1.1\r\n${upgrade.join('\r\n')}`)
  await visitor.readTo('\r\n\r\n')
  expect(await move(visitor.socket, limited)).toBeGreaterThan(LEAST_MS)
})

test('what is held behind the answer to an upgrade arrives', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      if (chunk.includes('Upgrade')) {
        socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: count\r\n\r\n')
        socket.write(Buffer.alloc(BYTES, 'x'))
      } else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n${'y'.repeat(BYTES)}`)
    })
  })
  const service = await listening(server)
  onTestFinished(() => service.close())
  await using path = await tunnel({ server: limitsOf('up', 'download'), hop: false })
  await forward(path.agent, 'up', { kind: 'http', service }).ready()
  using visitor = await connectRaw(path.port)
  // Takes what may pass at once, so that the answer to the upgrade waits, and more comes behind it.
  using other = await connectRaw(path.port)
  await other.send('GET / HTTP/1.1\r\nHost: up.localhost\r\n\r\n')
  await other.readTo('\r\n\r\n')
  const upgrade = ['Host: up.localhost', 'Connection: Upgrade', 'Upgrade: count', '', '']
  await visitor.send(`GET / HTTP/1.1\r\n${upgrade.join('\r\n')}`)
  expect(await visitor.readTo('\r\n\r\n')).toContain(' 101 ')
  const { length } = await visitor.read(BYTES)
  expect([length, (await other.read(BYTES)).length]).toEqual([BYTES, BYTES])
})

test.for(['upload', 'download'] as const)('of a public port: %s', async (limited) => {
  const service = await counting()
  const range = await freePorts(1)
  const server = await startServer({}, [], undefined, undefined, {
    ...limitsOf('pg', limited),
    publicPorts: { ranges: [range] },
  })
  onTestFinished(() => server.destroy())
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  await using agent = new Agent({ url, connections: 1 })
  await forward(agent, 'pg', { kind: 'tcp', publicPort: range.first, service }).ready()
  using visitor = await connectRaw(range.first)
  expect(await move(visitor.socket, limited)).toBeGreaterThan(LEAST_MS)
})

test.for(['upload', 'download'] as const)('of an access: %s', async (limited) => {
  const service = await counting()
  await using path = await tunnel({ server: limitsOf('pg', limited), hop: false })
  await forward(path.agent, 'pg', { kind: 'tcp', service }).ready()
  const stream = await dial('pg', { url: path.proxyUrl })
  onTestFinished(() => void stream.destroy())
  expect(await move(stream, limited)).toBeGreaterThan(LEAST_MS)
})
