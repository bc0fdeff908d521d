// The agent against a server that speaks Piko's wire and shares no code with ours.
import { once } from 'node:events'
import { createServer } from 'node:http'

import { listening } from '@proj/testkit/listening'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test } from 'vitest'

import { Agent, type AgentOptions } from '../../src/client/agent.ts'
import { forward } from '../../src/client/forward.ts'
import type { Listener } from '../../src/client/listener.ts'
import {
  deadAddress,
  ending,
  type PikoServer,
  readAll,
  startPikoServer,
  type WirePeer,
} from '../peers.ts'

const SOON = { minMs: 1, baseMs: 1, maxMs: 2 }

function agentOf(server: PikoServer, options: Partial<AgentOptions> = {}): Agent {
  const agent = new Agent({ url: server.url, backoff: SOON, ...options })
  onTestFinished(() => agent[Symbol.asyncDispose]())
  return agent
}

/** How Piko refuses a token. */
const PIKO_REFUSAL = closingAnswer(
  401,
  'content-type: application/json; charset=utf-8\r\n',
  '{"error":"invalid token"}',
)

function closingAnswer(status: number, headers = '', body = ''): string {
  return `HTTP/1.1 ${status} X\r\n${headers}content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
}

async function webService(body: string): Promise<{ host: string; port: number }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.end(`${body} ${request.url}`))
  })
  const listen = await listening(server)
  onTestFinished(() => listen.close())
  return { host: listen.host, port: listen.port }
}

describe('the handshake', () => {
  test('has the headers a Go agent sends, ours, and no others', async () => {
    const server = await startPikoServer()
    agentOf(server, { token: 't0k', tenantId: 'acme' }).listen('web')
    await server.session(0)
    const [request] = server.requests
    expect(request?.method).toBe('GET')
    expect(request?.url).toBe('/piko/v1/upstream/web')
    expect({ ...request?.headers, 'sec-websocket-key': 'key' }).toEqual({
      host: server.listening.authority,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'key',
      'sec-websocket-version': '13',
      authorization: 'Bearer t0k',
      'x-piko-tenant-id': 'acme',
      'adit-protocol': '1',
    })
  })

  test('keeps the path of the URL, drops its query, escapes the endpoint', async () => {
    const server = await startPikoServer()
    const agent = new Agent({ url: `${server.url}/base/?a=b#c` })
    onTestFinished(() => agent[Symbol.asyncDispose]())
    agent.listen('a?b#ü')
    await server.session(0)
    expect(server.requests[0]?.url).toBe('/base/piko/v1/upstream/a%3Fb%23%C3%BC')
  })

  test('asks for a token each time', async () => {
    const server = await startPikoServer()
    let count = 0
    agentOf(server, { token: () => Promise.resolve(`t${++count}`) }).listen('web')
    const { socket } = await server.session(0)
    socket.resetAndDestroy()
    await server.session(1)
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer t1',
      'Bearer t2',
    ])
  })

  test('asks for another token once when one is refused, and then gives up', async () => {
    const good = await startPikoServer({
      refuse: ({ headers }) => (headers.authorization === 'Bearer t1' ? PIKO_REFUSAL : undefined),
    })
    let count = 0
    const token = (): string => `t${++count}`
    await agentOf(good, { token }).listen('web').ready()
    expect(good.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer t1',
      'Bearer t2',
    ])
    const bad = await startPikoServer({ refuse: () => PIKO_REFUSAL })
    await expect(agentOf(bad, { token }).listen('web').ready()).rejects.toMatchObject({
      code: 'TUNNEL_UNAUTHORIZED',
    })
    expect(bad.requests.length).toBe(2)
    const fixed = await startPikoServer({ refuse: () => PIKO_REFUSAL })
    await expect(agentOf(fixed, { token: 't' }).listen('web').ready()).rejects.toThrow('401')
    expect(fixed.requests.length).toBe(1)
  })

  test('makes one session per endpoint', async () => {
    const server = await startPikoServer()
    const agent = agentOf(server, { connections: 4 })
    const listeners = ['a', 'b', 'c'].map((name) => agent.listen(name))
    await Promise.all(listeners.map((listener) => listener.ready()))
    expect(agent.protocol).toBe('piko')
    expect(agent.sessions).toBe(3)
    expect(new Set(server.requests.map(({ url }) => url?.slice(-1)))).toEqual(
      new Set(['a', 'b', 'c']),
    )
  })
})

describe('streams', () => {
  test('are acknowledged at once, before anybody takes them', async () => {
    const server = await startPikoServer()
    const agent = agentOf(server)
    agent.listen('web')
    const { session } = await server.session(0)
    const channel = session.openChannel()
    await session.ping() // the answer comes behind the ACK
    expect(channel.acknowledged).toBe(true)
  })

  test('reach the service, several requests on one, as HTTP', async () => {
    const server = await startPikoServer()
    const service = await webService('hello')
    forward(agentOf(server), 'web', { kind: 'http', service })
    const { session } = await server.session(0)
    const stream = await session.open()
    for (const path of ['/1', '/2']) {
      stream.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const [chunk] = (await once(stream, 'data')) as [Buffer]
      expect(chunk.toString()).toMatch(new RegExp(`^HTTP/1.1 200 OK[^]*hello ${path}`))
    }
    stream.end()
    await once(stream, 'end')
  })

  test.each([
    ['http', /^HTTP\/1\.1 502 Bad Gateway\r\n[^]*\r\n\r\n\{"error":"upstream unreachable"\}\n$/],
  ] as const)('of kind %s get an HTTP 502 when the service is down', async (kind, text) => {
    const server = await startPikoServer()
    const failures: unknown[] = []
    forward(agentOf(server), 'web', {
      kind,
      service: await deadAddress(),
      onServiceError: (error) => failures.push(error),
    })
    const { session } = await server.session(0)
    const stream = await session.open()
    stream.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(await readAll(stream)).toMatch(text)
    expect(failures).toMatchObject([{ code: 'DIAL_CONNECT_REFUSED' }])
  })

  test('of kind tcp are reset when the service is down', async () => {
    const server = await startPikoServer()
    forward(agentOf(server), 'pg', { kind: 'tcp', service: await deadAddress() })
    const { session } = await server.session(0)
    const stream = await session.open()
    const [error] = (await once(stream, 'error')) as [Error]
    expect(error).toMatchObject({ code: 'MUX_STREAM_RESET' })
  })

  test('find a service again when it comes back', async () => {
    const server = await startPikoServer()
    const place = await deadAddress()
    forward(agentOf(server), 'web', { kind: 'http', service: place })
    const { session } = await server.session(0)
    const ask = async (): Promise<string> => {
      const stream = await session.open()
      stream.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      return await readAll(stream)
    }
    expect(await ask()).toContain('502')
    const service = createServer((_, response) => response.end('back'))
    service.listen(place.port, place.host)
    await once(service, 'listening')
    onTestFinished(() => void service.close())
    expect(await ask()).toContain('back')
  })
})

describe('a session that ends', () => {
  const ENDINGS: readonly (readonly [string, (peer: WirePeer) => void])[] = [
    ['with the FIN of TCP', ({ socket }) => socket.end()],
    ['with the RST of TCP', ({ socket }) => socket.resetAndDestroy()],
    ['with a WebSocket Close 1000', ({ websocket }) => websocket.close(1000)],
    ['with a WebSocket Close 1012', ({ websocket }) => websocket.close(1012, 'restart')],
    [
      'with GoAway 0, then FIN',
      ({ session, socket }) => {
        session.goAway(0)
        setImmediate(() => socket.end())
      },
    ],
    ['with GoAway 1, then FIN', ({ session }) => session.abort(1)],
    ['with GoAway 2, then FIN', ({ session }) => session.abort(2)],
    ['with a text message', ({ websocket }) => websocket.send('text')],
    ['with a frame of another version', ({ websocket }) => websocket.send(Buffer.alloc(12, 1))],
    [
      'with half a frame, then FIN',
      ({ websocket, socket }) => {
        websocket.send(Buffer.from('000000'))
        setImmediate(() => socket.end())
      },
    ],
  ]

  test.each(ENDINGS)('%s is made anew', async (_, end) => {
    const server = await startPikoServer()
    const agent = agentOf(server)
    const listener = agent.listen('web')
    const retries: unknown[] = []
    agent.on('retry', (info) => retries.push(info))
    await listener.ready()
    end(await server.session(0))
    await server.session(1)
    await until(() => listener.online && agent.sessions === 1)
    expect(retries).toHaveLength(1)
  })

  test('while the server is gone is tried again until it is back', async () => {
    const place = await deadAddress()
    const agent = new Agent({ url: `http://${place.host}:${place.port}`, backoff: SOON })
    onTestFinished(() => agent[Symbol.asyncDispose]())
    let retries = 0
    agent.on('retry', () => (retries += 1))
    agent.listen('web')
    await until(() => retries >= 5)
    expect(agent.sessions).toBe(0)
  })
})

describe('a refused handshake', () => {
  async function refused(
    status: number,
    headers = '',
    body = '',
  ): Promise<Listener & { error?: Error }> {
    const server = await startPikoServer({ refuse: () => closingAnswer(status, headers, body) })
    const listener = agentOf(server).listen('web')
    const { error } = await listener.closed
    return Object.assign(listener, error === undefined ? {} : { error })
  }

  // A proxy in front of a server that restarts says any of these; so does one that asks for a login.
  test.each([
    [200, '', 'ok'],
    [301, 'location: /elsewhere\r\n', 'moved'],
    [302, 'location: /login\r\n', ''],
    [401, '', ''],
    [401, 'www-authenticate: Basic\r\n', 'who are you'],
    [401, 'content-type: application/json\r\n', '{"error":"who are you"}'],
    [401, 'content-type: text/html\r\n', '{"error":"invalid token"}'],
    [400, '', 'some text'],
    [403, '', 'some text'],
    [404, '', '404 page not found'],
    [418, '', 'some text'],
    [521, '', 'some text'],
  ])('with %d is not final unless the server itself says it', async (status, headers, body) => {
    const server = await startPikoServer({
      refuse: (_, index) => (index < 2 ? closingAnswer(status, headers, body) : undefined),
    })
    const logger = new RecordingLogger()
    const agent = agentOf(server, { logger })
    const errors: unknown[] = []
    agent.on('retry', ({ error }) => errors.push(error))
    await agent.listen('web').ready()
    const error = { code: 'TUNNEL_UPGRADE_REFUSED', status, retryable: true }
    expect(errors).toMatchObject([error, error])
    const warned = logger.records.find(({ level }) => level === 'warn')
    expect(warned).toMatchObject({ fields: { hint: expect.any(String) } })
  })

  test('of the ports for visitors and operators of an Adit server is final', async () => {
    const visitors = await refused(400, 'adit-error: endpoint_missing\r\n', '{"error":"x"}')
    expect(visitors.error).toMatchObject({ code: 'TUNNEL_WRONG_PORT', status: 400 })
    expect(visitors.error?.message).toMatch(
      /^http:\/\/127\.0\.0\.1:\d+ is the port for visitors of a server, not its port for agents$/,
    )
    const operators = await refused(404, 'adit-port: admin\r\n', '404 page not found')
    expect(operators.error).toMatchObject({ code: 'TUNNEL_WRONG_PORT', status: 404 })
    expect(operators.error?.message).toContain('port for operators')
  })

  test('by a web page says the program, and not the page', async () => {
    const head = 'content-type: text/html\r\nserver: nginx/1.22\r\n'
    const server = await startPikoServer({
      refuse: (_, index) => (index < 1 ? closingAnswer(404, head, '<html>') : undefined),
    })
    const agent = agentOf(server)
    const errors: Error[] = []
    agent.on('retry', ({ error }) => errors.push(error as Error))
    await agent.listen('web').ready()
    expect(errors[0]?.message).toBe('404: a web page of nginx/1.22')
  })

  test('of one endpoint says what the token is for', async () => {
    const body = '{"error":"endpoint not permitted","allowed":"the token is for pc*"}'
    const listener = await refused(401, 'adit-protocol: 1\r\n', body)
    expect(listener.error).toMatchObject({
      code: 'TUNNEL_UNAUTHORIZED',
      message: '401: endpoint not permitted: the token is for pc*',
      isOfEndpoint: true,
    })
  })

  test('with 401 of a server of ours is final, whatever its text', async () => {
    const listener = await refused(401, 'adit-protocol: 1\r\n', '{"error":"not today"}')
    expect(listener.error).toMatchObject({ code: 'TUNNEL_UNAUTHORIZED', message: '401: not today' })
    await expect(listener.ready()).rejects.toBe(listener.error)
  })

  test('with 401 is final, in the words of the server', async () => {
    const json = 'content-type: application/json; charset=utf-8\r\n'
    const listener = await refused(401, json, '{"error":"invalid token"}')
    expect(listener.error).toMatchObject({
      code: 'TUNNEL_UNAUTHORIZED',
      status: 401,
      message: '401: invalid token',
    })
    expect(listener.online).toBe(false)
  })

  test.each([408, 429, 500, 502, 503, 504])('with %d is tried again', async (status) => {
    const server = await startPikoServer({
      refuse: (_, index) => (index < 2 ? closingAnswer(status) : undefined),
    })
    const agent = agentOf(server)
    const errors: unknown[] = []
    agent.on('retry', ({ error }) => errors.push(error))
    await agent.listen('web').ready()
    expect(errors).toMatchObject([{ status }, { status }])
  })

  test('with 429 waits as long as Retry-After says', async () => {
    const server = await startPikoServer({
      refuse: () => closingAnswer(429, 'Retry-After: 7\r\n'),
    })
    const agent = agentOf(server)
    agent.listen('web')
    const [{ delayMs }] = (await once(agent, 'retry')) as [{ delayMs: number }]
    expect(delayMs).toBeGreaterThanOrEqual(7000)
    expect(delayMs).toBeLessThanOrEqual(7002)
  })

  test('for one endpoint only leaves the others alone', async () => {
    const server = await startPikoServer({
      refuse: ({ url }) =>
        url?.endsWith('/b') === true
          ? closingAnswer(
              401,
              'content-type: application/json\r\n',
              '{"error":"endpoint not permitted"}',
            )
          : undefined,
    })
    const agent = agentOf(server)
    const [a, b, c] = ['a', 'b', 'c'].map((name) => agent.listen(name))
    await Promise.all([a?.ready(), c?.ready()])
    expect(await b?.closed).toMatchObject({ error: { code: 'TUNNEL_UNAUTHORIZED' } })
    expect(agent.endpoints.map(({ endpoint }) => endpoint)).toEqual(['a', 'c'])
  })

  test('is waited for no longer than 15 seconds by default', async () => {
    const server = await startPikoServer({ refuse: () => closingAnswer(503) })
    const random = (): number => 0.999_999
    const agent = agentOf(server, { backoff: { ...SOON, maxMs: undefined, baseMs: 1e9, random } })
    agent.listen('web')
    const [{ delayMs }] = (await once(agent, 'retry')) as [{ delayMs: number }]
    expect(Math.round(delayMs)).toBe(15_000)
  })
})

describe('a graceful stop', () => {
  test('says GoAway 0, finishes what runs, then ends TCP', async () => {
    const server = await startPikoServer()
    let answer = (): void => {}
    const asked = new Promise<void>((resolve) => {
      const service = createServer((_, response) => {
        answer = () => response.end('done')
        resolve()
      })
      void listening(service).then((listen) => {
        onTestFinished(() => listen.close())
        forward(agent, 'web', { kind: 'http', service: { host: listen.host, port: listen.port } })
      })
    })
    const agent = agentOf(server)
    const { session } = await server.session(0)
    const goAways: number[] = []
    session.on('goaway', (code) => goAways.push(code))
    const stream = await session.open()
    stream.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    await asked
    const closed = agent.close()
    await until(() => goAways.length === 1)
    answer()
    expect(await readAll(stream)).toContain('done')
    stream.end()
    await closed
    expect(goAways).toEqual([0])
    expect((await session.closed).code).toBe('MUX_TRANSPORT_CLOSED')
    expect(agent.sessions).toBe(0)
  })

  test('cuts what runs when the patience ends', async () => {
    const server = await startPikoServer()
    const agent = agentOf(server)
    agent.listen('web').on('connection', (stream) => stream.on('error', () => {}))
    const { session } = await server.session(0)
    const stream = await session.open()
    await session.ping()
    const patience = new AbortController()
    const closed = agent.close({ signal: patience.signal })
    patience.abort(new Error('enough'))
    await closed
    expect(await ending(stream)).toMatchObject({ code: 'MUX_TRANSPORT_CLOSED' })
  })

  test('of one listener ends its session and no other', async () => {
    const server = await startPikoServer()
    const agent = agentOf(server)
    const [a, b] = [agent.listen('a'), agent.listen('b')]
    await Promise.all([a.ready(), b.ready()])
    await a.close()
    await until(() => agent.sessions === 1)
    expect(b.online).toBe(true)
    expect((await a.closed).error).toBeUndefined()
    await expect(a.ready()).rejects.toMatchObject({ code: 'TUNNEL_CLOSED' })
  })

  test('while it connects ends at once, also when the token never comes', async () => {
    const server = await startPikoServer()
    const agent = agentOf(server, { token: () => new Promise(() => {}) })
    const listener = agent.listen('web')
    await agent.close()
    expect(server.requests).toHaveLength(0)
    expect((await listener.closed).error).toBeUndefined()
    expect(() => agent.listen('web')).toThrow(expect.objectContaining({ code: 'TUNNEL_CLOSED' }))
  })
})

describe('mistakes of the caller', () => {
  test.each(['ftp://x', 'nonsense', '', 'http://user:pw@x', 'http://s%20ecret@'])(
    'the URL %j is refused, and not repeated',
    (url) => {
      const make = (): Agent => new Agent({ url })
      expect(make).toThrow(TypeError)
      expect(make).not.toThrow(/pw|ecret/)
    },
  )

  test.each([0, 17, 1.5, Number.NaN])('%d connections are refused', (connections) => {
    expect(() => new Agent({ url: 'http://x', connections })).toThrow(RangeError)
  })

  test('an endpoint cannot be served twice, nor with a bad name', async () => {
    const server = await startPikoServer()
    const agent = agentOf(server)
    agent.listen('web')
    for (const name of ['web', '', 'a/b']) {
      expect(() => agent.listen(name)).toThrow(
        expect.objectContaining({ code: 'TUNNEL_ENDPOINT_INVALID' }),
      )
    }
  })
})
