// Which time runs while a request is on its way: the visitor's, the service's to read, the service's to answer.
import type { Socket } from 'node:net'

import { Agent } from '@proj/tunnel'
import { connectRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import { deferred, type Fixture, request, startServer, tunnel } from '../tunnel-fixture.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** More than all buffers between a visitor and a service that does not read. */
const LARGE_BYTES = 64 * 1024 * 1024

/** Waits until the time to the first byte has passed, as another visitor sees it. */
async function firstByteTimeoutPassed(path: Fixture): Promise<void> {
  using other = await path.visit()
  await other.send(request('GET /silent'))
  expect((await other.readResponse()).headers['adit-error']).toBe('first_byte_timeout')
}

describe('an upload', () => {
  it('may take longer than the time to the first byte, in whatever pieces it comes', async () => {
    await using path = await tunnel({
      http: (req, res) => {
        if (req.url !== '/upload') return
        // Nothing is answered before all of it has come.
        const pieces: Buffer[] = []
        req.on('data', (piece: Buffer) => pieces.push(piece))
        req.on('end', () => res.end(Buffer.concat(pieces)))
      },
      edge: { firstByteTimeoutMs: 200 },
    })
    for (const method of ['POST', 'PUT']) {
      using visitor = await path.visit()
      await visitor.send(`${request(`${method} /upload`, 'Content-Length: 4')}a`)
      await firstByteTimeoutPassed(path)
      await visitor.send('b')
      await firstByteTimeoutPassed(path)
      await visitor.send('cd')
      expect((await visitor.readResponse()).body.toString()).toBe('abcd')
    }
  }, 60_000)

  it('may be read late: a service that does not read is not one that does not answer', async () => {
    const readOn = deferred()
    const tcp = (socket: Socket): void => {
      socket.on('error', () => {})
      socket.once('data', (head) => {
        if (head.includes('/silent')) return
        let bytes = head.length - (head.indexOf('\r\n\r\n') + 4)
        socket.pause()
        void readOn.promise.then(() => socket.resume())
        socket.on('data', (chunk) => {
          bytes += chunk.length
          if (bytes === LARGE_BYTES) socket.write(OK)
        })
      })
    }
    await using path = await tunnel({ tcp, edge: { firstByteTimeoutMs: 200 } })
    using visitor = await path.visit()
    void visitor.send(request('POST /', `Content-Length: ${LARGE_BYTES}`))
    const sent = visitor.send(Buffer.alloc(LARGE_BYTES))
    await firstByteTimeoutPassed(path)
    await firstByteTimeoutPassed(path)
    readOn.resolve()
    await sent
    expect((await visitor.readResponse()).status).toBe(200)
  }, 60_000)

  it('ends with 408 when the visitor sends no more of it', async () => {
    const gone = deferred()
    await using path = await tunnel({
      http: (req) => {
        req.on('error', () => {})
        req.resume().on('close', () => gone.resolve())
      },
      edge: { idleTimeoutMs: 200 },
    })
    using visitor = await path.visit()
    await visitor.send(`${request('POST /', 'Content-Length: 10')}half`)
    const { status, headers } = await visitor.readResponse()
    expect([status, headers['adit-error'], headers['connection']]).toEqual([
      408,
      'body_timeout',
      'close',
    ])
    await gone.promise
  })

  it('ends with 504 when the service reads no more of it', async () => {
    const logged: object[] = []
    const info = (about: object): void => void logged.push(about)
    await using path = await tunnel({
      tcp: (socket) => void socket.on('error', () => {}).pause(),
      edge: { idleTimeoutMs: 500 },
      logger: { debug() {}, info, warn() {}, error() {} },
    })
    using visitor = await path.visit()
    void visitor.send(request('POST /', `Content-Length: ${LARGE_BYTES}`))
    visitor.send(Buffer.alloc(LARGE_BYTES)).catch(() => {})
    const { status, headers } = await visitor.readResponse()
    expect([status, headers['adit-error']]).toEqual([504, 'upload_timeout'])
    const about = { code: 'upload_timeout', setting: 'proxy.idle_timeout', endpoint: 'web' }
    expect(logged).toContainEqual(expect.objectContaining(about))
  }, 60_000)
})

describe('a request whose last bytes wait for room', () => {
  /** An agent whose service has read nothing: the window of the stream is all that is sent. */
  async function unread(edge: { firstByteTimeoutMs?: number; idleTimeoutMs?: number }) {
    const server = await startServer(edge)
    const agent = new Agent({ url: `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}` })
    const answer = deferred()
    const opened = deferred<number>()
    let uploadedBytes = 0
    const listener = agent.listenChannels('web', { kind: 'http' }, (channel) => {
      let receivedBytes = 0
      opened.resolve(channel.receiveWindowBytes)
      const sink = {
        onData: (chunk: Buffer) => {
          receivedBytes += chunk.length
          uploadedBytes = Math.max(uploadedBytes, receivedBytes)
          return undefined
        },
        onEnd() {},
        onDrain() {},
        onClose() {},
      }
      channel.attach(sink)
      void answer.promise.then(() => {
        channel.consume(receivedBytes)
        channel.write(Buffer.from(OK))
      })
      return sink
    })
    await listener.ready()
    const visitor = await connectRaw(server.listeners.proxy.bound[0]?.port ?? 0)
    const head = request('POST /', 'Transfer-Encoding: chunked')
    await visitor.send(head)
    // Larger than 256 KiB where the machine is so busy that the path counts as long.
    const window = await opened.promise
    const size = `${window.toString(16)}\r\n`
    const end = '\r\n0\r\n\r\n'
    await visitor.send(size)
    await visitor.send(Buffer.alloc(window))
    await visitor.send(end)
    const sentBytes = head.length + size.length + window + end.length
    await until(() => server.edge.stats.bytesIn === sentBytes)
    // The record of the stream and the head have taken their part of the window.
    await until(() => uploadedBytes > window - 2_048)
    return {
      server,
      visitor,
      answer,
      async [Symbol.asyncDispose]() {
        visitor[Symbol.dispose]()
        await agent[Symbol.asyncDispose]()
        server.destroy()
      },
    }
  }

  it('is not answered for the service', async () => {
    await using path = await unread({ firstByteTimeoutMs: 100 })
    // The time of a request that has arrived passes twice.
    for (let times = 0; times < 2; times++) {
      using other = await connectRaw(path.server.listeners.proxy.bound[0]?.port ?? 0)
      await other.send(request('GET /'))
      expect((await other.readResponse()).headers['adit-error']).toBe('first_byte_timeout')
    }
    path.answer.resolve()
    expect((await path.visitor.readResponse()).status).toBe(200)
  })

  it('waits for idleTimeoutMs at most', async () => {
    await using path = await unread({ firstByteTimeoutMs: 100, idleTimeoutMs: 300 })
    expect((await path.visitor.readResponse()).headers['adit-error']).toBe('upload_timeout')
  })
})

it('a service that says neither 100 Continue nor anything else is one that does not answer', async () => {
  const tcp = (socket: Socket): void => void socket.on('error', () => {}).resume()
  await using path = await tunnel({ tcp, edge: { firstByteTimeoutMs: 200 } })
  using visitor = await path.visit()
  await visitor.send(request('POST /', 'Expect: 100-continue', 'Content-Length: 4'))
  expect((await visitor.readResponse()).headers['adit-error']).toBe('first_byte_timeout')
})
