// More bytes than any buffer could hold, compared byte by byte, while the programs' memory is watched.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { expect, test } from 'vitest'

import { memoryOf, startAccess, startAgent, startServer } from './programs.ts'
import { httpService, tcpService, visit } from './services.ts'

/** What is carried does not depend on the version of Node: where not all is asked for, an eighth is enough. */
const GIB = process.env['ADIT_FULL_TESTS'] === '1' ? 1024 ** 3 : 128 * 1024 ** 2
const sizeOf = (count: number): string => `${(count * GIB) / 1024 ** 2} MiB`
/** What buffers and windows may come to. */
const MAX_GROWTH_BYTES = 64 * 1024 ** 2

/**
 * The bytes at any offset, from a block whose length is prime: a piece that is lost, doubled or moved
 * cannot go unseen, and comparing costs a memcmp.
 */
const block = randomBytes(1_048_573)
const twice = Buffer.concat([block, block])

function piece(offset: number, bytes: number): Buffer {
  const start = offset % block.length
  return twice.subarray(start, start + bytes)
}

/** So many bytes of the pattern, as fast as the reader takes them. */
function source(totalBytes: number): Readable {
  let offset = 0
  return new Readable({
    highWaterMark: 256 * 1024,
    read() {
      const bytes = Math.min(64 * 1024, totalBytes - offset)
      this.push(bytes === 0 ? null : piece(offset, bytes))
      offset += bytes
    },
  })
}

/** Counts bytes and fails at the first that is not of the pattern. */
class Sink extends Writable {
  bytes = 0

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    for (let at = 0; at < chunk.length; at += block.length) {
      const part = chunk.subarray(at, at + block.length)
      if (!part.equals(piece(this.bytes, part.length))) {
        return done(new Error(`another byte than sent, at ${this.bytes} or soon after`))
      }
      this.bytes += part.length
    }
    done()
  }
}

/** Returns a function that tells by how much each process has grown since, at its peak. */
function watchMemory(pids: readonly number[]): () => number[] {
  const before = pids.map((pid) => memoryOf(pid, 'VmRSS'))
  return () => pids.map((pid, index) => memoryOf(pid, 'VmHWM') - (before[index] ?? 0))
}

function expectBounded(growths: readonly number[]): void {
  for (const growth of growths) expect(growth).toBeLessThanOrEqual(MAX_GROWTH_BYTES)
}

test('the pattern tells a moved byte', async () => {
  const sink = new Sink()
  const sent = Readable.from([piece(0, 100), piece(101, 100)])
  await expect(pipeline(sent, sink)).rejects.toThrow(/another byte/)
})

test(`${sizeOf(2)} down over HTTP arrive whole, in bounded memory`, async () => {
  const service = await httpService((incoming, response) => {
    if (incoming.url === '/') response.end()
    else void pipeline(source(2 * GIB), response)
  })
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  await visit(server.ports.proxy)
  const growth = watchMemory([server.process.pid, agent.pid])
  const headers = { host: 'web.localhost' }
  const asked = request({
    host: '127.0.0.1',
    port: server.ports.proxy,
    path: '/big',
    headers,
    agent: false,
  }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const sink = new Sink()
  await pipeline(response, sink)
  expect(sink.bytes).toBe(2 * GIB)
  expectBounded(growth())
})

test(`${sizeOf(2)} up over HTTP arrive whole, in bounded memory`, async () => {
  const service = await httpService((incoming, response) => {
    const sink = new Sink()
    pipeline(incoming, sink).then(
      () => response.end(String(sink.bytes)),
      (error: Error) => response.writeHead(500).end(error.message),
    )
  })
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  await visit(server.ports.proxy)
  const growth = watchMemory([server.process.pid, agent.pid])
  const sent = request({
    host: '127.0.0.1',
    port: server.ports.proxy,
    method: 'POST',
    headers: { host: 'web.localhost', 'content-length': 2 * GIB },
    agent: false,
  })
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>
  await pipeline(source(2 * GIB), sent)
  const [response] = await answered
  expect((await response.setEncoding('utf8').toArray()).join('')).toBe(String(2 * GIB))
  expectBounded(growth())
})

test(`${sizeOf(1)} each way at once through adit access arrives whole, in bounded memory`, async () => {
  /** Sends the pattern and compares what comes, each direction to its own end. */
  const bothWays = async (socket: Socket): Promise<number> => {
    const sink = new Sink()
    // Not `for await` nor a pipeline from the socket: both destroy it with the end of one direction.
    socket.pipe(sink)
    await Promise.all([pipeline(source(GIB), socket), finished(sink)])
    return sink.bytes
  }
  let received: Promise<number> | undefined
  const service = await tcpService((socket) => {
    received = bothWays(socket)
  })
  const server = await startServer()
  const agent = await startAgent('tcp', 'bulk', service.port, server)
  const access = await startAccess('bulk', server)
  const growth = watchMemory([server.process.pid, agent.pid, access.process.pid])
  const socket = connect({ host: '127.0.0.1', port: access.port, allowHalfOpen: true })
  expect(await bothWays(socket)).toBe(GIB)
  expect(await received).toBe(GIB)
  expectBounded(growth())
})

test('a reader that stops makes the sender stop, and nothing piles up on the way', async () => {
  let sentBytes = 0
  const service = await httpService((incoming, response) => {
    if (incoming.url === '/') {
      response.end()
      return
    }
    const endless = new Readable({
      read() {
        sentBytes += 65_536
        this.push(piece(0, 65_536))
      },
    })
    pipeline(endless, response).catch(() => {}) // the visitor goes away in the end
  })
  const server = await startServer()
  const agent = await startAgent('http', 'web', service.port, server)
  await visit(server.ports.proxy)
  const growth = watchMemory([server.process.pid, agent.pid])
  const asked = request({
    host: '127.0.0.1',
    port: server.ports.proxy,
    path: '/endless',
    headers: { host: 'web.localhost' },
    agent: false,
  }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  // Nothing reads the response. The sender has stopped once a whole second brought nothing new.
  let before = -1
  while (before !== sentBytes) {
    before = sentBytes
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  expect(sentBytes).toBeGreaterThan(0)
  expectBounded(growth())
  response.destroy()
})
