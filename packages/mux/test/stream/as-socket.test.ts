// A stream in the place of a net.Socket: under Node's http, https, tls and http2 and under ws, on both sides.
import { once } from 'node:events'
import * as http from 'node:http'
import * as http2 from 'node:http2'
import * as https from 'node:https'
import * as net from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import * as tls from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { until } from '@proj/testkit/until'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

import { type MuxStream, Session } from '../../src/index.ts'
import { frames, header, Rig } from '../wire.ts'

const authority = certificateAuthority('Root')
const MEGABYTE = Buffer.alloc(1_048_576, 'x')

interface Pair {
  readonly client: Session
  readonly server: Session
}

/** Two sessions over a real connection. */
async function pair(): Promise<Pair> {
  const listener = net.createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as net.AddressInfo
  const near = net.connect(port, '127.0.0.1')
  const [far] = (await once(listener, 'connection')) as [net.Socket]
  listener.close()
  const client = new Session(near, { role: 'client' })
  const server = new Session(far, { role: 'server' })
  onTestFinished(() => client.destroy())
  return { client, server }
}

/** A server of Node whose connections are the streams of a session. */
async function serving<S extends http.Server | https.Server | http2.Http2SecureServer>(
  node: S,
): Promise<{ open: () => MuxStream; streams: MuxStream[]; node: S }> {
  const { client, server } = await pair()
  const streams: MuxStream[] = []
  server.on('stream', (stream) => {
    streams.push(stream)
    node.emit('connection', stream)
  })
  return { open: () => client.openChannel().toStream(), streams, node }
}

class StreamAgent extends http.Agent {
  readonly #open: () => MuxStream

  constructor(open: () => MuxStream, options: http.AgentOptions = {}) {
    super(options)
    this.#open = open
    onTestFinished(() => this.destroy())
  }

  override createConnection({ timeout = 0 }: http.ClientRequestArgs): MuxStream {
    return this.#open().setTimeout(timeout)
  }

  free(): number {
    return Object.values(this.freeSockets).flat().length
  }
}

async function answerOf(request: http.ClientRequest): Promise<http.IncomingMessage> {
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return response
}

const echo: http.RequestListener = (request, response) => {
  void buffer(request).then((body) => response.end(body.length > 0 ? body : request.url))
}

describe("Node's http over a stream", () => {
  test('keeps one stream for many requests, with bodies in both directions', async () => {
    const { open, streams } = await serving(http.createServer(echo))
    const agent = new StreamAgent(open, { keepAlive: true, maxSockets: 1 })
    const answers = ['/a', '/b', '/c'].map(async (path) => {
      return await text(await answerOf(http.get({ path, agent })))
    })
    expect(await Promise.all(answers)).toEqual(['/a', '/b', '/c'])
    const upload = http.request({ method: 'POST', agent }).end(MEGABYTE)
    expect((await buffer(await answerOf(upload))).equals(MEGABYTE)).toBe(true)
    expect(streams.length).toBe(1)
    await until(() => agent.free() === 1)
  })

  test('drops a kept stream that the server ends, and takes a new one', async () => {
    const { open, streams } = await serving(http.createServer(echo))
    const agent = new StreamAgent(open, { keepAlive: true })
    await text(await answerOf(http.get({ path: '/', agent })))
    await until(() => agent.free() === 1)
    streams[0]?.end()
    await until(() => agent.free() === 0)
    await until(() => streams[0]?.destroyed === true)
    expect(await text(await answerOf(http.get({ path: '/next', agent })))).toBe('/next')
    expect(streams.length).toBe(2)
  })

  test('the server closes kept streams after keepAliveTimeout', async () => {
    const node = http.createServer({ keepAliveTimeout: 20 }, echo)
    const { open, streams } = await serving(node)
    const agent = new StreamAgent(open, { keepAlive: true })
    await text(await answerOf(http.get({ path: '/', agent })))
    await until(() => streams[0]?.destroyed === true && agent.free() === 0)
    expect(await text(await answerOf(http.get({ path: '/next', agent })))).toBe('/next')
  })

  test('timeouts of a request, an agent and a server fire', async () => {
    const node = http.createServer(() => {})
    const { open, streams } = await serving(node)
    const cases = [
      http.get({ agent: new StreamAgent(open), timeout: 20 }),
      http.get({ agent: new StreamAgent(open) }).setTimeout(20),
      http.get({ agent: new StreamAgent(open, { timeout: 20 }) }),
    ]
    for (const request of cases) {
      await once(request, 'timeout')
      request.on('error', () => {}).destroy()
    }
    await until(() => streams.length === 3 && streams.every((stream) => stream.destroyed))
    node.setTimeout(20)
    const request = http.get({ agent: new StreamAgent(open) }).on('error', () => {})
    const [stream] = (await once(node, 'timeout')) as [MuxStream]
    expect(stream).toBe(streams.at(-1))
    request.destroy()
  })

  test('a response with Connection: close arrives whole at a slow reader', async () => {
    const { open, streams } = await serving(
      http.createServer((_request, response) => {
        response.setHeader('Connection', 'close')
        response.end(MEGABYTE)
      }),
    )
    // The request is not complete, and the server does not wait for it.
    const request = http.request({ method: 'POST', agent: new StreamAgent(open) })
    request.on('error', () => {}).write('begin')
    const response = await answerOf(request)
    let bytes = 0
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length
      await nextTurn()
    }
    expect(bytes).toBe(MEGABYTE.length)
    await until(() => streams.every((stream) => stream.destroyed))
  })

  test('https and a keep-alive agent, with TLS over the stream', async () => {
    const { open, streams } = await serving(
      https.createServer(authority.issue({ name: 's', hosts: ['server.test'] }), echo),
    )
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const ca = authority.cert
    Object.assign(agent, {
      createConnection: (options: tls.ConnectionOptions) =>
        tls.connect({ ...options, socket: open() }),
    })
    const target = { host: 'server.test', ca, agent }
    for (const path of ['/a', '/b']) {
      expect(await text(await answerOf(https.get({ ...target, path })))).toBe(path)
    }
    const upload = https.request({ ...target, method: 'POST' }).end(MEGABYTE)
    expect((await buffer(await answerOf(upload))).equals(MEGABYTE)).toBe(true)
    expect(streams.length).toBe(1)
    const last = https.get({ ...target, headers: { Connection: 'close' }, path: '/last' })
    expect(await text(await answerOf(last))).toBe('/last')
    await until(() => streams[0]?.destroyed === true)
  })

  test('http2, with and without TLS', async () => {
    const secure = http2.createSecureServer(authority.issue({ name: 's', hosts: ['server.test'] }))
    const plain = http2.createServer() as unknown as http2.Http2SecureServer
    for (const node of [secure, plain]) {
      node.on('stream', (stream) => stream.end(MEGABYTE))
      const { open } = await serving(node)
      const socket = open()
      const session =
        node === plain
          ? http2.connect('http://server.test', { createConnection: () => socket })
          : http2.connect('https://server.test', { socket, ca: authority.cert } as object)
      const request = session.request({ ':path': '/' })
      expect((await buffer(request)).equals(MEGABYTE)).toBe(true)
      session.close()
      await once(session, 'close')
    }
  })
})

test("the dispatcher of Node's fetch", async () => {
  const { open, streams } = await serving(http.createServer(echo))
  await fetch('data:,') // loads undici
  // Newer versions of undici put a wrapper for older ones at 1.
  const loaded: unknown =
    Reflect.get(globalThis, Symbol.for('undici.globalDispatcher.2')) ??
    Reflect.get(globalThis, Symbol.for('undici.globalDispatcher.1'))
  const { constructor: Agent } = loaded as {
    constructor: new (options: object) => RequestInit['dispatcher'] & { close(): Promise<void> }
  }
  const dispatcher = new Agent({
    connections: 1,
    connect: (_options: object, done: (error: null, socket: MuxStream) => void) =>
      setImmediate(done, null, open()),
  })
  for (let round = 1; round <= 3; round += 1) {
    const body = MEGABYTE.subarray(round)
    const response = await fetch('http://server.test/', { dispatcher, method: 'POST', body })
    expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true)
  }
  expect(streams.length).toBe(1)
  await dispatcher.close()
  await until(() => streams[0]?.destroyed === true)
})

test('ws, as a client and as a server', async () => {
  const node = http.createServer()
  const wss = new WebSocketServer({ server: node })
  wss.on('connection', (websocket) => {
    websocket.on('message', (data, isBinary) => websocket.send(data, { binary: isBinary }))
  })
  const { open, streams } = await serving(node)
  const socket = open()
  const websocket = new WebSocket('ws://server.test/', { createConnection: () => socket })
  await once(websocket, 'open')
  for (const message of [Buffer.from('small'), MEGABYTE]) {
    websocket.send(message)
    const [answer] = (await once(websocket, 'message')) as [Buffer]
    expect(answer.equals(message)).toBe(true)
  }
  websocket.ping()
  await once(websocket, 'pong')
  websocket.close(4001, 'done')
  const [code] = await once(websocket, 'close')
  expect(code).toBe(4001)
  await until(() => socket.destroyed && streams.every((stream) => stream.destroyed))
})

describe('the members of net.Socket', () => {
  afterEach(() => vi.useRealTimers())

  async function open(rig: Rig): Promise<MuxStream> {
    const stream = await rig.session.open()
    await rig.sent()
    return stream
  }

  test('has the addresses of the transport, and counts bytes', async () => {
    const { client, server } = await pair()
    // Assigned, so that the compiler compares the members.
    const near: net.Socket = await client.open()
    const accepted = once(server, 'stream')
    near.write('hello')
    const [far] = (await accepted) as [MuxStream]
    const { localPort } = near
    expect(near.remoteAddress).toBe('127.0.0.1')
    expect([far.remoteAddress, far.remoteFamily, far.remotePort]).toEqual([
      '127.0.0.1',
      'IPv4',
      localPort,
    ])
    expect(near.address()).toEqual({ address: '127.0.0.1', family: 'IPv4', port: localPort })
    expect([near.connecting, near.pending, near.readyState]).toEqual([false, false, 'open'])
    await until(() => far.bytesRead === 5)
    expect(near.bytesWritten).toBe(5)
    far.on('error', () => {})
    expect(near.setNoDelay(true).setKeepAlive(true, 1).ref()).toBe(near)
    expect(() => near.connect(1)).toThrow(TypeError)
    near.destroy()
    expect(near.readyState).toBe('closed')
    expect(await open(new Rig())).toMatchObject({ remoteAddress: undefined, localPort: undefined })
    expect((await open(new Rig())).address()).toEqual({})
  })

  test('counts what is written before it is sent', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    stream.write(Buffer.alloc(300_000))
    stream.write(Buffer.alloc(300_000))
    expect(stream.bytesWritten).toBe(600_000)
    rig.feed(frames('WND ACK 2 1000000'))
    await until(() => stream.writableLength === 0)
    expect(stream.bytesWritten).toBe(600_000)
  })

  test('emits timeout after silence, and not while bytes come or go', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let timeouts = 0
    const count = (): unknown => (timeouts += 1)
    stream.on('timeout', count)
    expect(stream.setTimeout(100).timeout).toBe(100)
    vi.advanceTimersByTime(99)
    rig.feed(frames('DATA - 2 a'))
    vi.advanceTimersByTime(99)
    stream.write('b')
    await rig.sent()
    vi.advanceTimersByTime(99)
    expect(timeouts).toBe(0)
    vi.advanceTimersByTime(1)
    expect(timeouts).toBe(1)
    // Once per silence.
    vi.advanceTimersByTime(1000)
    expect(timeouts).toBe(1)
    stream.write('c')
    await rig.sent()
    vi.advanceTimersByTime(100)
    expect(timeouts).toBe(2)
    // A large write is not idle while the peer takes some of it.
    rig.feed(frames('WND ACK 2 1'))
    stream.write(Buffer.alloc(400_000))
    await rig.sent()
    vi.advanceTimersByTime(100)
    rig.feed(frames('WND - 2 10'))
    await rig.sent()
    vi.advanceTimersByTime(100)
    expect(timeouts).toBe(2)
    vi.advanceTimersByTime(100)
    expect(timeouts).toBe(3)
    stream.setTimeout(0)
    stream.setTimeout(100, count)
    stream.setTimeout(0, count)
    rig.feed(frames('DATA - 2 a'))
    vi.advanceTimersByTime(1000)
    expect(timeouts).toBe(3)
    stream.setTimeout(100)
    stream.on('error', () => {}).destroy()
    vi.advanceTimersByTime(1000)
    expect(timeouts).toBe(3)
    for (const wrong of [-1, Number.NaN]) expect(() => stream.setTimeout(wrong)).toThrow(RangeError)
  })

  test('an idle stream ends with its peer, another does not', async () => {
    const rig = new Rig()
    const [idle, used, late] = [await open(rig), await open(rig), await open(rig)]
    for (const stream of [idle, used, late]) stream.resume()
    idle.unref()
    used.unref().ref()
    rig.feed(frames('WND FIN 2 0', 'WND FIN 4 0', 'WND FIN 6 0'))
    await until(() => idle.destroyed)
    expect([used.destroyed, used.writable]).toEqual([false, true])
    late.unref()
    await until(() => late.destroyed)
  })

  test('destroySoon sends all and its end, then no reset, and discards what comes', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    rig.feed(frames('DATA - 2 unread'))
    stream.write('last')
    stream.destroySoon()
    await once(stream, 'close')
    expect(await rig.sent()).toEqual(['DATA - 2 last', 'WND FIN 2 0'])
    rig.feed(frames('DATA - 2 more', 'WND FIN 2 0'))
    expect(await rig.sent()).toEqual([])
    expect(rig.session.stats().outboundStreams).toBe(0)
  })

  test('a peer that sends on and on to a closed stream gets a reset', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    stream.destroySoon()
    await once(stream, 'close')
    await rig.sent()
    for (let sent = 0; sent <= 262_144; sent += 65_536) {
      rig.feed(header(0, 0, 2, 65_536), Buffer.alloc(65_536))
    }
    expect((await rig.sent()).at(-1)).toBe('WND RST 2 0')
    expect(rig.session.stats().outboundStreams).toBe(0)
  })

  test('resetAndDestroy resets also after the end, without an error here', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    stream.end()
    await once(stream, 'finish')
    expect(stream.resetAndDestroy()).toBe(stream)
    await once(stream, 'close')
    expect(await rig.sent()).toEqual(['WND FIN 2 0', 'WND RST 2 0'])
  })
})
