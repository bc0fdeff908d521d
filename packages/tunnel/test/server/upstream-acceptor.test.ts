import { once } from 'node:events'

import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import type { Authorize } from '../../src/server/authorization.ts'
import { at, connectPeer, openTo, openWebSocket, startServer, type TestServer } from '../peers.ts'

const RECORD = { kind: 'http', endpoint: 'web' } as const

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

function head(line: string, headers: readonly string[] = UPGRADE): string {
  return [`${line} HTTP/1.1`, 'Host: server.example', ...headers, '', ''].join('\r\n')
}

function route(server: TestServer, endpoint = 'web'): string {
  return `${server.url}/piko/v1/upstream/${endpoint}`
}

describe('the handshake', () => {
  test('is answered 101 with nothing but what it needs', async () => {
    const server = await startServer()
    using raw = await connectRaw(server.listening.port)
    await raw.send(head('GET /piko/v1/upstream/web'))
    expect(await raw.readTo('\r\n\r\n')).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    )
  })

  test.each([
    ['no upgrade', head('GET /piko/v1/upstream/web', []), 400, 'Bad Request\n'],
    [
      'a wrong version',
      head('GET /piko/v1/upstream/web', [...UPGRADE.slice(0, 3), 'Sec-WebSocket-Version: 8']),
      400,
      'Bad Request\n',
    ],
    [
      'a wrong key',
      head('GET /piko/v1/upstream/web', [
        ...UPGRADE.slice(0, 2),
        'Sec-WebSocket-Key: x',
        'Sec-WebSocket-Version: 13',
      ]),
      400,
      'Bad Request\n',
    ],
    [
      'an Origin of another host',
      head('GET /piko/v1/upstream/web', [...UPGRADE, 'Origin: http://evil.example']),
      403,
      'Forbidden\n',
    ],
    ['a trailing slash', head('GET /piko/v1/upstream/web/'), 301, 'Moved Permanently\n'],
    [
      'a trailing slash without upgrade',
      head('GET /piko/v1/upstream/web/', []),
      301,
      'Moved Permanently\n',
    ],
    ['a slash in the endpoint', head('GET /piko/v1/upstream/a/b'), 404, '404 page not found\n'],
    [
      'a slash in the endpoint, and behind',
      head('GET /piko/v1/upstream/a/b/'),
      404,
      '404 page not found\n',
    ],
    ['an escaped slash', head('GET /piko/v1/upstream/a%2Fb'), 404, '404 page not found\n'],
    ['no endpoint', head('GET /piko/v1/upstream/'), 404, '404 page not found\n'],
    ['another path', head('GET /x'), 404, '404 page not found\n'],
    ['another path without upgrade', head('GET /x', []), 404, '404 page not found\n'],
    ['another method', head('POST /piko/v1/upstream/web'), 404, '404 page not found\n'],
    [
      'another method without upgrade',
      head('POST /piko/v1/upstream/web', []),
      404,
      '404 page not found\n',
    ],
  ])('%s is refused as Piko does', async (_, request, status, body) => {
    const server = await startServer()
    const answer = await exchangeRaw(server.listening.port, request)
    expect(answer.status).toBe(status)
    expect(answer.body.toString()).toBe(body)
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(answer.headers['connection']).toBe('close')
    expect(answer.headers['sec-websocket-version']).toBe(status === 400 ? '13' : undefined)
    expect(server.upstream.sessions.size).toBe(0)
  })

  test('a redirect keeps the query', async () => {
    const server = await startServer()
    const answer = await exchangeRaw(server.listening.port, head('GET /piko/v1/upstream/web/?a=b'))
    expect(answer.headers['location']).toBe('/piko/v1/upstream/web?a=b')
  })

  test.each([
    'missing authorization',
    'invalid authorization',
    'unsupported auth type',
    'invalid token',
    'expired token',
    'unknown tenant',
    'endpoint not permitted',
  ])('a denial with %j is 401 JSON, whatever the path', async (text) => {
    const server = await startServer({ authorize: () => ({ status: 401, error: text }) })
    const requests = ['GET /piko/v1/upstream/web', 'GET /x', 'POST /piko/v1/upstream/web']
    for (const request of [...requests.map((line) => head(line)), head('GET /x', [])]) {
      const answer = await exchangeRaw(server.listening.port, request)
      expect(answer.status).toBe(401)
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
      expect(JSON.parse(answer.body.toString())).toEqual({ error: text })
    }
  })

  test('a token that lacks the endpoint is 401, not 403', async () => {
    const grant = {
      identity: 'a',
      tenant: '',
      permits: (_: string, endpoint: string) => endpoint === 'a',
    }
    const server = await startServer({ authorize: () => grant })
    const answer = await exchangeRaw(server.listening.port, head('GET /piko/v1/upstream/web'))
    expect(answer.status).toBe(401)
    expect(JSON.parse(answer.body.toString())).toEqual({ error: 'endpoint not permitted' })
    await connectPeer(route(server, 'a'))
    expect(server.registry.count(at('a'))).toBe(1)
  })

  test('the authority hears who asks for what', async () => {
    const heard: Parameters<Authorize>[0][] = []
    const server = await startServer({
      authorize: (request) => {
        heard.push(request)
        return { status: 401, error: 'invalid token' }
      },
    })
    const bearer = [...UPGRADE, 'Authorization: Bearer t']
    await exchangeRaw(server.listening.port, head('GET /piko/v1/upstream/my%20web', bearer))
    expect(heard).toMatchObject([
      {
        action: 'listen',
        endpoint: 'my web',
        remoteAddress: '127.0.0.1',
        headers: { authorization: 'Bearer t' },
      },
    ])
  })

  test('an authority that fails to decide is a bare 500', async () => {
    const server = await startServer({ authorize: () => Promise.reject(new Error('no database')) })
    const answer = await exchangeRaw(server.listening.port, head('GET /piko/v1/upstream/web'))
    expect(answer.status).toBe(500)
    expect(answer.body.toString()).not.toContain('database')
    expect(server.logger.find('authorisation failed to decide')).toHaveLength(1)
  })

  test('a refusal names our protocol to peers that speak it, and to no others', async () => {
    const server = await startServer({ authorize: () => ({ status: 401, error: 'x' }) })
    for (const [offer, echo] of [
      ['1', '1'],
      ['2', undefined],
    ] as const) {
      const request = head('GET /piko/v1/upstream/web', [...UPGRADE, `adit-protocol: ${offer}`])
      const answer = await exchangeRaw(server.listening.port, request)
      expect(answer.headers['adit-protocol']).toBe(echo)
    }
  })

  test('one session more than the limit is 503, and has its place when one has gone', async () => {
    const server = await startServer({ maxSessions: 2 })
    const first = await connectPeer(route(server))
    await connectPeer(route(server))
    const answer = await exchangeRaw(server.listening.port, head('GET /piko/v1/upstream/web'))
    expect(answer.status).toBe(503)
    expect(JSON.parse(answer.body.toString())).toEqual({ error: 'too many sessions' })
    first.session.destroy()
    await until(() => server.upstream.sessions.size === 1)
    await connectPeer(route(server))
  })

  test('a draining server is 503', async () => {
    const server = await startServer()
    server.upstream.askToMove()
    const answer = await exchangeRaw(server.listening.port, head('GET /piko/v1/upstream/web'))
    expect(answer.status).toBe(503)
  })

  test('a refused peer that does not close is cut', async () => {
    const server = await startServer()
    using raw = await connectRaw(server.listening.port, 4_500)
    await raw.send(head('POST /piko/v1/upstream/web'))
    await raw.readToEnd() // our side stays open
    await until(() => server.listening.sockets.size === 0)
    expect(await raw.ended).toBe('fin')
  })

  test('a peer that hangs up while it is judged leaves nothing behind', async () => {
    let decide = (): void => {}
    const decided = new Promise<void>((resolve) => (decide = resolve))
    const server = await startServer({
      authorize: async () => {
        await decided
        return { identity: 'a', tenant: '', permits: () => true }
      },
    })
    using raw = await connectRaw(server.listening.port)
    await raw.send(head('GET /piko/v1/upstream/web'))
    await until(() => server.listening.sockets.size === 1)
    raw.reset()
    decide()
    await until(() => server.listening.sockets.size === 0)
    await until(() => server.upstream.sessions.size === 0)
    expect(server.registry.count(at('web'))).toBe(0)
  })
})

describe('a session on the baseline wire', () => {
  test('registers its endpoint when it connects and loses it when it disconnects', async () => {
    const server = await startServer()
    const peer = await connectPeer(route(server))
    expect(server.registry.count(at('web'))).toBe(1)
    peer.socket.resetAndDestroy()
    await until(() => server.registry.count(at('web')) === 0)
    await until(() => server.upstream.sessions.size === 0)
    expect(server.logger.find('agent session ended')).toHaveLength(1)
  })

  test('takes bytes that come behind the handshake at once', async () => {
    const server = await startServer()
    using raw = await connectRaw(server.listening.port)
    // a masked (with zero) binary message that holds a yamux ping
    const ping = '000200010000000000000007'
    await raw.send(
      Buffer.concat([
        Buffer.from(head('GET /piko/v1/upstream/web')),
        Buffer.from(`828c00000000${ping}`, 'hex'),
      ]),
    )
    await raw.readTo('\r\n\r\n')
    expect((await raw.read(14)).toString('hex')).toBe('820c000200020000000000000007')
  })

  test('carries streams with even ids and nothing but their bytes', async () => {
    const server = await startServer()
    const peer = await connectPeer(route(server))
    const channel = openTo(server.registry, RECORD)
    const stream = await peer.stream()
    expect(stream.id).toBe(2)
    channel?.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    const [chunk] = (await once(stream, 'data')) as [Buffer]
    expect(chunk.toString()).toBe('GET / HTTP/1.1\r\n\r\n')
  })

  test('takes no streams of the agent', async () => {
    const server = await startServer()
    const peer = await connectPeer(route(server))
    const stream = await peer.session.open()
    const [error] = (await once(stream, 'error')) as [Error]
    expect(error).toMatchObject({ code: 'MUX_STREAM_RESET' })
    expect(server.registry.count(at('web'))).toBe(1)
  })

  test('that says GoAway 0 gets no new stream, and finishes those it has', async () => {
    const server = await startServer()
    const leaving = await connectPeer(route(server))
    const staying = await connectPeer(route(server))
    const taken: string[] = []
    for (const [name, { session }] of Object.entries({ leaving, staying })) {
      session.on('stream', () => taken.push(name))
    }
    const received: string[] = []
    await until(() => !server.registry.sessions(at('web')).some(({ suspect }) => suspect))
    const channel = openTo(server.registry, RECORD)
    channel?.attach({
      onData(chunk) {
        received.push(chunk.toString())
        channel.consume(chunk.length)
      },
      onEnd: () => received.push('end'),
      onDrain() {},
      onClose() {},
    })
    const stream = await leaving.stream()
    leaving.session.goAway(0)
    await until(() => server.registry.count(at('web')) === 1)
    openTo(server.registry, RECORD)
    openTo(server.registry, RECORD)
    await until(() => taken.length === 3)
    expect(taken).toEqual(['leaving', 'staying', 'staying'])
    stream.end('still here')
    await until(() => received.includes('end'))
    expect(received.join()).toBe('still here,end')
  })

  test('that drains gets GoAway 2 as the last frame, after its streams have finished', async () => {
    const server = await startServer()
    const peer = await connectPeer(route(server))
    const codes: number[] = []
    peer.session.on('goaway', (code) => codes.push(code))
    const channel = openTo(server.registry, RECORD)
    const stream = await peer.stream()
    const drained = server.upstream.drain({ signal: AbortSignal.timeout(20_000) })
    expect(server.registry.count(at('web'))).toBe(0)
    await until(() => codes.length === 1)
    expect(codes).toEqual([0])
    channel?.end()
    stream.end()
    stream.resume()
    await drained
    const { code, error } = await peer.session.closed
    expect([code, error?.goAwayCode]).toEqual(['MUX_GOAWAY_RECEIVED', 2])
    expect(codes).toEqual([0, 2])
  })

  test('that does not finish in time is cut with GoAway 2', async () => {
    const server = await startServer()
    const peer = await connectPeer(route(server))
    openTo(server.registry, RECORD)
    await peer.stream()
    const patience = new AbortController()
    const drained = server.upstream.drain({ signal: patience.signal })
    patience.abort()
    await drained
    const { error } = await peer.session.closed
    expect(error?.goAwayCode).toBe(2)
  })

  test('that is destroyed gets GoAway 2 too', async () => {
    const server = await startServer()
    const peer = await connectPeer(route(server))
    server.upstream.destroy()
    const { error } = await peer.session.closed
    expect(error?.goAwayCode).toBe(2)
    await until(() => server.listening.sockets.size === 0)
  })

  // docs/protocol.md: GoAway 2 must be the last thing an agent reads before the end of TCP.
  test('ends with the bytes of GoAway 2 and then FIN', async () => {
    const server = await startServer()
    using raw = await connectRaw(server.listening.port)
    await raw.send(head('GET /piko/v1/upstream/web'))
    await raw.readTo('\r\n\r\n')
    server.upstream.destroy()
    expect((await raw.readToEnd()).toString('hex')).toBe('820c000300000000000000000002')
    expect(await raw.ended).toBe('fin')
  })
})

test('an upgrade of the wrong route is told from a WebSocket client too', async () => {
  const server = await startServer()
  await expect(openWebSocket(`${server.url}/nowhere`)).rejects.toThrow('status 404')
})
