import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import { inspect } from 'node:util'

import { MuxError, type MuxStream } from '@proj/mux'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import type { Authorize } from '../../src/server/authorization.ts'
import { Consumer } from '../../src/client/consumer.ts'
import { isTunnelError } from '../../src/errors.ts'
import { forward } from '../../src/client/forward.ts'
import { Agent } from '../../src/client/agent.ts'
import { RESET_REASONS } from '../../src/protocol/reset-reason.ts'
import { dial, explainReset, listen } from '../../src/client/sdk.ts'
import {
  at,
  deadAddress,
  ending,
  openTo,
  openWebSocket,
  readAll,
  startPikoServer,
  startServer,
  startService,
  type TestServer,
} from '../peers.ts'

const SOON = { minMs: 1, baseMs: 1, maxMs: 2 }

async function everythingGone(server: TestServer): Promise<void> {
  await until(() => server.upstream.sessions.size === 0 && server.connect.size === 0)
  await until(() => server.listening.sockets.size === 0)
  expect(server.registry.snapshot().size).toBe(0)
}

/** An endpoint whose connections are handled here. */
async function serve(server: TestServer, handle: (stream: Duplex) => void): Promise<void> {
  const listener = await listen('pg', { url: server.url, kind: 'tcp', connections: 1 })
  listener.on('connection', (stream) => {
    stream.on('error', () => {})
    handle(stream)
  })
  onTestFinished(() => listener.close())
}

describe('listen', () => {
  test('serves a node:http server without a port', async () => {
    const server = await startServer()
    const http = createServer((request, response) => {
      request.resume().on('end', () => response.end(`${request.method} ${request.url}`))
    })
    const listener = (await listen('web', { url: server.url })).serve(http)
    const channel = openTo(server.registry, { kind: 'http', endpoint: 'web' })
    const stream = channel.toStream()
    for (const path of ['/1', '/2']) {
      stream.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi`)
      const [chunk] = (await once(stream, 'data')) as [Buffer]
      expect(chunk.toString()).toMatch(new RegExp(`^HTTP/1.1 200 OK[^]*POST ${path}$`))
    }
    stream.end()
    await once(stream, 'end')
    await listener.close()
    await everythingGone(server)
  })

  test('tells why the server will not have it', async () => {
    const authorize: Authorize = ({ headers }) =>
      headers.authorization === 'Bearer s3cret'
        ? { identity: 'a', tenant: '', permits: () => false }
        : { status: 401, error: 'invalid token' }
    const server = await startServer({ authorize })
    for (const [token, message] of [
      ['wr0ng', '401: invalid token'],
      ['s3cret', '401: endpoint not permitted'],
    ] as const) {
      const error: unknown = await listen('web', { url: server.url, token }).catch(
        (caught: unknown) => caught,
      )
      expect(error).toMatchObject({ code: 'TUNNEL_UNAUTHORIZED', status: 401, message })
      expect(inspect(error, { depth: 9 }) + JSON.stringify(error)).not.toContain(token)
    }
    await everythingGone(server)
  })

  test('tries until its signal aborts, and leaves nothing', async () => {
    const { host, port } = await deadAddress()
    const abort = new AbortController()
    const reason = new Error('enough')
    const pending = listen('web', {
      url: `http://${host}:${port}`,
      signal: abort.signal,
      backoff: SOON,
    })
    abort.abort(reason)
    await expect(pending).rejects.toBe(reason)
    await expect(listen('web', { url: 'http://x', signal: abort.signal })).rejects.toBe(reason)
  })
})

describe('dial', () => {
  test('carries bytes both ways, and the end of each direction by itself', async () => {
    const server = await startServer()
    // Answers only when the other side has ended: lost without half-close.
    await serve(server, (stream) => {
      void readAll(stream).then((text) => stream.end(`got ${text}`))
    })
    const stream = await dial('pg', { url: server.url })
    stream.end('question')
    expect(await readAll(stream)).toBe('got question')
    await until(() => server.connect.size === 0)
  })

  test('keeps the other direction when the far side ends first', async () => {
    const server = await startServer()
    const heard: Promise<string>[] = []
    await serve(server, (stream) => {
      stream.end('banner')
      heard.push(readAll(stream))
    })
    const stream = await dial('pg', { url: server.url })
    expect(await readAll(stream)).toBe('banner')
    stream.end('after the end')
    expect(await heard[0]).toBe('after the end')
  })

  test('names the visitor to the listener', async () => {
    const server = await startServer()
    const listener = await listen('pg', { url: server.url, kind: 'tcp' })
    onTestFinished(() => listener.close())
    const connected = once(listener, 'connection') as Promise<[Duplex, unknown]>
    const stream = await dial('pg', { url: server.url })
    const [accepted, record] = await connected
    expect(record).toMatchObject({ kind: 'tcp', endpoint: 'pg', visitorAddress: '127.0.0.1' })
    accepted.end()
    stream.end()
    accepted.resume()
    stream.resume()
    await once(stream, 'close')
  })

  test.each([
    ['TUNNEL_NO_UPSTREAM', 'no agent serves the endpoint now', 'nobody'],
    ['TUNNEL_UNAUTHORIZED', 'the endpoint is not permitted for this token', 'secret'],
    ['TUNNEL_SERVICE_REFUSED', 'the service refused the connection', 'down'],
    ['TUNNEL_STREAM_RESET', 'the service reset the connection', 'rude'],
    ['TUNNEL_UPSTREAM_LOST', 'the session that carried the stream ended', 'dying'],
  ] as const)('ends with %s when %s', async (code, message, endpoint) => {
    const permits = (action: string, name: string): boolean =>
      action === 'listen' || name !== 'secret'
    const server = await startServer({
      authorize: () => ({ identity: 'a', tenant: '', permits }),
      waits: { absentWaitMs: 0 },
    })
    const agent = new Agent({ url: server.url, connections: 1, backoff: SOON })
    onTestFinished(() => agent[Symbol.asyncDispose]())
    const rude = await startService((socket) => socket.resetAndDestroy())
    const services = { down: await deadAddress(), rude: rude.service }
    const listeners = Object.entries(services).map(([name, service]) =>
      forward(agent, name, { kind: 'tcp', service }),
    )
    const dying = agent.listen('dying', { kind: 'tcp' })
    dying.on('connection', (stream) => {
      stream.on('error', () => {})
      for (const session of server.upstream.sessions) session.abort()
    })
    await Promise.all([...listeners, dying].map((listener) => listener.ready()))
    const stream = await dial(endpoint, { url: server.url })
    const error = await ending(stream)
    expect(error === undefined ? error : explainReset(error)).toMatchObject({ code, message })
  })

  test('tells when the session with the server is lost', async () => {
    const server = await startServer()
    await serve(server, () => {})
    const stream = await dial('pg', { url: server.url })
    server.connect.destroy()
    const error = await ending(stream)
    const explained = error === undefined ? error : explainReset(error)
    expect(isTunnelError(explained, 'TUNNEL_UPSTREAM_LOST')).toBe(true)
  })

  test('makes one attempt, and tells why it failed', async () => {
    const { host, port } = await deadAddress()
    const url = `http://${host}:${port}`
    await expect(dial('pg', { url })).rejects.toMatchObject({ code: 'DIAL_CONNECT_REFUSED' })
    const server = await startServer({ authorize: () => ({ status: 401, error: 'expired token' }) })
    await expect(dial('pg', { url: server.url })).rejects.toMatchObject({
      code: 'TUNNEL_UNAUTHORIZED',
      message: '401: expired token',
    })
    await expect(dial('', { url })).rejects.toMatchObject({ code: 'TUNNEL_ENDPOINT_INVALID' })
  })

  test('rejects with the reason of its signal, before and while it connects', async () => {
    const silent = await startService((socket) => socket.resume().on('end', () => socket.end()))
    const url = `http://${silent.authority}`
    const abort = new AbortController()
    const reason = new Error('enough')
    const pending = dial('pg', { url, signal: abort.signal })
    await until(() => silent.sockets.size === 1)
    abort.abort(reason)
    await expect(pending).rejects.toBe(reason)
    await expect(dial('pg', { url, signal: abort.signal })).rejects.toBe(reason)
    await until(() => silent.sockets.size === 0)
  })

  test('falls back to a WebSocket of its own with a Piko server', async () => {
    const json =
      'content-type: application/json\r\ncontent-length: 34\r\n\r\n{"error":"no available upstreams"}'
    const server = await startPikoServer({
      refuse: ({ url }) =>
        url === '/_piko/v1/tcp/pg' ? undefined : `HTTP/1.1 502 Bad Gateway\r\n${json}`,
    })
    const dialled = dial('pg', { url: server.url })
    const { websocket } = await server.session(0)
    const stream = await dialled
    const sent = once(websocket, 'message') as Promise<[Buffer]>
    stream.write('raw')
    expect(String((await sent)[0])).toBe('raw')
    expect(server.requests.map(({ url }) => url)).toEqual([
      '/_piko/v1/tcp/adit-session',
      '/_piko/v1/tcp/pg',
    ])
    stream.destroy()
    await expect(dial('other', { url: server.url })).rejects.toMatchObject({
      code: 'DIAL_UPGRADE_REFUSED',
      status: 502,
    })
  })

  // The refusal of a server of ours must not be taken for Piko's.
  test('takes no refusal of our own server for that of a Piko server', async () => {
    const authorize: Authorize = () => ({ status: 401, error: 'endpoint not permitted' })
    const server = await startServer({ authorize })
    await expect(dial('pg', { url: server.url })).rejects.toMatchObject({
      code: 'TUNNEL_UNAUTHORIZED',
    })
  })
})

describe('a consumer', () => {
  function consumerOf(server: { url: string }): Consumer {
    const consumer = new Consumer({ url: server.url, backoff: SOON })
    onTestFinished(() => consumer[Symbol.asyncDispose]())
    return consumer
  }

  test('asks how many sessions serve an endpoint, as far as it may know', async () => {
    const permits = (_: string, name: string): boolean => name !== 'secret'
    const server = await startServer({ authorize: () => ({ identity: 'a', tenant: '', permits }) })
    await openWebSocket(`${server.url}/piko/v1/upstream/web`)
    await until(() => server.registry.count(at('web')) === 1)
    const consumer = consumerOf(server)
    const { signal } = new AbortController()
    expect(await consumer.query('web', { signal })).toBeUndefined()
    await consumer.ready()
    expect(await consumer.query('web', { signal })).toEqual({
      upstreams: 1,
      agents: 1,
      outcome: undefined,
      ageMs: undefined,
      permitted: true,
    })
    expect(await consumer.query('none', { signal })).toMatchObject({ upstreams: 0, agents: 0 })
    expect(await consumer.query('secret', { signal })).toMatchObject({
      upstreams: 0,
      permitted: false,
    })
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(consumer.query('web', { signal: aborted })).rejects.toThrow('enough')
  })

  test('a listener tells each session that serves it, and is online once', async () => {
    const server = await startServer()
    const agent = new Agent({ url: server.url, connections: 2 })
    onTestFinished(() => agent[Symbol.asyncDispose]())
    const told: string[] = []
    const listener = agent.listen('pg', { kind: 'tcp' })
    listener.on('registered', () => told.push('registered'))
    listener.on('online', () => told.push('online'))
    await until(() => told.length === 3)
    expect(told).toEqual(['registered', 'online', 'registered'])
  })

  test('asks what became of the last stream to a service, and how long ago', async () => {
    const server = await startServer()
    const agent = new Agent({ url: server.url, connections: 2 })
    onTestFinished(() => agent[Symbol.asyncDispose]())
    let answer: (stream: MuxStream) => void = (stream) => stream.end('here')
    const listener = agent.listen('pg', { kind: 'tcp' })
    listener.on('connection', (stream) => answer(stream.on('error', () => {}) as MuxStream))
    await listener.ready()
    await until(() => server.registry.count(at('pg')) === 2)
    const consumer = consumerOf(server)
    const { signal } = new AbortController()
    const used = async () => {
      const way = await consumer.open('pg')
      if (way.protocol !== 'adit') throw new Error('not our wire')
      const stream = way.channel.toStream().on('error', () => {})
      stream.end()
      await readAll(stream).catch(() => {})
      return await consumer.query('pg', { signal })
    }
    const good = await used()
    expect(good).toMatchObject({ upstreams: 2, agents: 1, outcome: 'ok' })
    expect(good?.ageMs).toBeGreaterThanOrEqual(0)
    answer = (stream) => stream.reset(RESET_REASONS.serviceRefused)
    expect(await used()).toMatchObject({ outcome: 'serviceRefused' })
    answer = (stream) => {
      stream.write('begun')
      stream.once('data', () => stream.reset(RESET_REASONS.serviceReset))
    }
    const way = await consumer.open('pg')
    if (way.protocol !== 'adit') throw new Error('not our wire')
    const stream = way.channel.toStream().on('error', () => {})
    await once(stream, 'data')
    expect(await consumer.query('pg', { signal })).toMatchObject({ outcome: 'ok' })
    stream.write('go on')
    await until(() => stream.closed)
    expect(await consumer.query('pg', { signal })).toMatchObject({ outcome: 'serviceReset' })
    // What our own side gives up says nothing of the service.
    answer = () => {}
    const given = await consumer.open('pg')
    if (given.protocol === 'adit') {
      given.channel
        .toStream()
        .on('error', () => {})
        .reset(RESET_REASONS.consumerGone)
    }
    expect(await consumer.query('pg', { signal })).toMatchObject({ outcome: 'serviceReset' })
    await listener.close()
    expect(await consumer.query('pg', { signal })).toMatchObject({
      upstreams: 0,
      outcome: undefined,
    })
  })

  // Each agent's session takes 256 streams it has not acknowledged yet, and so does ours.
  test('opens a thousand connections at once', async () => {
    const server = await startServer()
    const listener = await listen('pg', { url: server.url, kind: 'tcp', connections: 8 })
    onTestFinished(() => listener.close())
    listener.on('connection', (stream) => stream.on('error', () => {}).end('x'))
    const consumer = consumerOf(server)
    const ways = await Promise.all(Array.from({ length: 1000 }, () => consumer.open('pg')))
    const texts = await Promise.all(
      ways.map(async (way) => {
        const stream = way.protocol === 'adit' ? way.channel.toStream() : way.pipe
        stream.end()
        return await readAll(stream)
      }),
    )
    expect(new Set(texts)).toEqual(new Set(['x']))
  })

  test('leaves no listeners on the signals it is given', async () => {
    const server = await startServer()
    await serve(server, (stream) => stream.end())
    const consumer = consumerOf(server)
    let listeners = 0
    const { signal } = new AbortController()
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1
      remove(...args)
    }
    await consumer.ready({ signal })
    const way = await consumer.open('pg', { signal })
    await consumer.query('pg', { signal })
    expect(listeners).toBe(0)
    if (way.protocol === 'adit') way.channel.reset()
  })

  test('fails for good when the server will never have it', async () => {
    const server = await startServer({ authorize: () => ({ status: 401, error: 'expired token' }) })
    const consumer = consumerOf(server)
    consumer.start()
    await expect(consumer.failed).rejects.toMatchObject({ code: 'TUNNEL_UNAUTHORIZED' })
    await expect(consumer.open('pg')).rejects.toMatchObject({ code: 'TUNNEL_UNAUTHORIZED' })
  })

  test('refuses after its end', async () => {
    const server = await startServer()
    const consumer = consumerOf(server)
    await consumer.ready()
    await consumer.close()
    await expect(consumer.open('pg')).rejects.toMatchObject({ code: 'TUNNEL_CLOSED' })
    await everythingGone(server)
  })

  test('refuses a URL that is none, or one with credentials, and does not repeat it', () => {
    for (const url of ['nonsense', 'http://user:pw@x']) {
      expect(() => new Consumer({ url })).toThrow(/^url must/)
      expect(() => new Consumer({ url })).not.toThrow(/pw/)
    }
  })
})

describe('explainReset', () => {
  test('passes what is not of a mux unchanged, and what says nothing', () => {
    for (const error of [new Error('x'), new MuxError('MUX_QUEUE_FULL', 'x')]) {
      expect(explainReset(error)).toBe(error)
    }
  })

  test.each([
    ['serviceTimeout', 'TUNNEL_SERVICE_UNREACHABLE'],
    ['serviceUnreachable', 'TUNNEL_SERVICE_UNREACHABLE'],
    ['upstreamLost', 'TUNNEL_UPSTREAM_LOST'],
    ['unspecified', 'TUNNEL_STREAM_RESET'],
    ['endpointUnknown', 'TUNNEL_STREAM_RESET'],
  ] as const)('%s is %s', (reason, code) => {
    const reset = new MuxError('MUX_STREAM_RESET', 'x', { reason: RESET_REASONS[reason] })
    expect(explainReset(reset)).toMatchObject({ code, cause: reset })
  })
})
