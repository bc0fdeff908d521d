// What programs rely on in an agent of Node: its pool and the options of a request. The table of the
// pool runs with Node's own agent too, so it states what Node does, and not what we believe.
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { scriptedPeer } from '@proj/testkit/scripted-peer'
import { until } from '@proj/testkit/until'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

import { createAgent, isDialError, type AgentOptions } from '../../src/index.ts'
import { connectProxy } from '../connect-proxy.ts'

const authority = certificateAuthority('Our Root')
const other = certificateAuthority('Other Root')

interface Server {
  readonly port: number
  readonly server: http.Server
  /** Connections that were opened. */
  readonly connections: () => number
  /** Answers the requests that wait. */
  readonly release: () => void
  readonly waiting: () => number
}

async function serve(
  options: { readonly secure?: https.ServerOptions; readonly hold?: boolean } = {},
): Promise<Server> {
  const held: (() => void)[] = []
  const answer: http.RequestListener = (request, response) => {
    const finish = (): void => {
      const { servername, authorized } = request.socket as TLSSocket
      response.end(
        `${request.url ?? ''} ${servername || '-'} ${String(authorized)} ${request.headers.host ?? ''}`,
      )
    }
    if (options.hold === true) held.push(finish)
    else finish()
  }
  const server =
    options.secure === undefined
      ? http.createServer(answer)
      : https.createServer(options.secure, answer)
  let connections = 0
  server.on('connection', () => (connections += 1))
  server.on('tlsClientError', () => {})
  const peer = await listening(server)
  onTestFinished(() => peer.close())
  return {
    port: (server.address() as AddressInfo).port,
    server,
    connections: () => connections,
    release: () => {
      for (const finish of held.splice(0)) finish()
    },
    waiting: () => held.length,
  }
}

async function body(request: http.ClientRequest): Promise<string> {
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) text += String(chunk)
  return text
}

const errorOf = async (request: http.ClientRequest): Promise<Error> => {
  const [error] = (await once(request, 'error')) as [Error]
  return error
}

const AGENTS: readonly (readonly [string, (options: http.AgentOptions) => http.Agent])[] = [
  ['http.Agent', (options) => new http.Agent(options)],
  ['createAgent', (options) => createAgent(options as AgentOptions)],
]

describe.each(AGENTS)('the pool of %s', (_name, makeAgent) => {
  const make = (options: http.AgentOptions = {}): http.Agent => {
    const agent = makeAgent(options)
    onTestFinished(() => agent.destroy())
    return agent
  }
  const poolSize = (agent: http.Agent, which: 'sockets' | 'freeSockets' | 'requests'): number =>
    Object.values(agent[which]).reduce((sum, list) => sum + (list?.length ?? 0), 0)

  it('opens at most maxSockets connections, and serves all requests', async () => {
    for (const limit of [{ maxSockets: 3 }, { maxTotalSockets: 3 }]) {
      const { port, connections, release, waiting } = await serve({ hold: true })
      const agent = make({ ...limit, keepAlive: true })
      const answers = Array.from({ length: 20 }, (_, index) =>
        body(http.get({ port, host: '127.0.0.1', path: `/${index}`, agent })),
      )
      await until(() => waiting() === 3)
      expect([poolSize(agent, 'sockets'), poolSize(agent, 'requests')]).toEqual([3, 17])
      while (connections() <= 3 && poolSize(agent, 'sockets') > 0) {
        release()
        await until(() => waiting() > 0 || poolSize(agent, 'sockets') === 0)
      }
      expect((await Promise.all(answers)).length).toBe(20)
      expect(connections()).toBe(3)
    }
  })

  it('keeps no connection by default', async () => {
    const { port, connections } = await serve()
    const agent = make()
    for (const path of ['/a', '/b']) await body(http.get({ port, host: '127.0.0.1', path, agent }))
    expect(connections()).toBe(2)
    expect(poolSize(agent, 'freeSockets')).toBe(0)
  })

  it('keeps at most maxFreeSockets connections, and reuses them', async () => {
    const { port, connections } = await serve()
    const agent = make({ keepAlive: true, maxFreeSockets: 2 })
    await Promise.all(
      [1, 2, 3, 4].map((path) =>
        body(http.get({ port, host: '127.0.0.1', path: `/${path}`, agent })),
      ),
    )
    await until(() => poolSize(agent, 'sockets') === 0)
    expect([connections(), poolSize(agent, 'freeSockets')]).toEqual([4, 2])
    const again = http.get({ port, host: '127.0.0.1', agent })
    await body(again)
    expect([connections(), again.reusedSocket]).toEqual([4, true])
  })

  it.each([
    ['lifo', 'last'],
    ['fifo', 'first'],
  ] as const)('takes with %s the connection that was kept %s', async (scheduling, _which) => {
    const { port } = await serve()
    const agent = make({ keepAlive: true, scheduling })
    const ports: number[] = []
    const [first, second] = await Promise.all(
      ['/a', '/b'].map(async (path) => {
        const request = http.get({ port, host: '127.0.0.1', path, agent })
        const [socket] = await once(request, 'socket')
        const text = body(request)
        await text
        ports.push((socket as { localPort: number }).localPort)
        return (socket as { localPort: number }).localPort
      }),
    )
    await until(() => poolSize(agent, 'freeSockets') === 2)
    const request = http.get({ port, host: '127.0.0.1', agent })
    const [socket] = await once(request, 'socket')
    await body(request)
    const { localPort } = socket as { localPort: number }
    expect([first, second]).toContain(localPort)
    expect(localPort).toBe(scheduling === 'lifo' ? ports.at(-1) : ports[0])
  })

  it('emits timeout on a request after the time of the agent or of the request', async () => {
    const { port } = await serve({ hold: true })
    for (const [forAgent, forRequest] of [
      [50, undefined],
      [undefined, 50],
      [600_000, 50],
    ] as const) {
      const agent = make(forAgent === undefined ? {} : { timeout: forAgent })
      const request = http.get({
        port,
        host: '127.0.0.1',
        agent,
        ...(forRequest !== undefined && { timeout: forRequest }),
      })
      await once(request, 'timeout')
      request.destroy()
      expect(await errorOf(request)).toBeInstanceOf(Error)
    }
  })

  it('closes a kept connection after the timeout', async () => {
    const { port } = await serve()
    const agent = make({ keepAlive: true, timeout: 100 })
    await body(http.get({ port, host: '127.0.0.1', agent }))
    await until(() => poolSize(agent, 'freeSockets') === 0 && poolSize(agent, 'sockets') === 0)
    expect(poolSize(agent, 'freeSockets')).toBe(0)
  })

  it('goes on with the next request after one whose connection failed', async () => {
    const agent = make({ maxSockets: 1 })
    const errors = await Promise.all(
      [1, 2, 3].map(() => errorOf(http.get({ port: 1, host: '127.0.0.1', agent }))),
    )
    expect(errors).toHaveLength(3)
    await until(() => poolSize(agent, 'sockets') + poolSize(agent, 'requests') === 0)
  })

  it('ends the requests when it is destroyed', async () => {
    const { port, waiting } = await serve({ hold: true })
    const agent = make()
    const request = http.get({ port, host: '127.0.0.1', agent })
    await until(() => waiting() === 1)
    agent.destroy()
    expect(((await errorOf(request)) as NodeJS.ErrnoException).code).toBe('ECONNRESET')
  })

  it('works with the signal of a request', async () => {
    const { port, waiting } = await serve({ hold: true })
    const controller = new AbortController()
    const request = http.get({ port, host: '127.0.0.1', agent: make(), signal: controller.signal })
    await until(() => waiting() === 1)
    controller.abort()
    expect((await errorOf(request)).name).toBe('AbortError')
  })

  it('sends the headers of a list of names and values', async () => {
    const { port } = await serve()
    const headers = ['Host', 'named.test', 'X-One', '1'] as unknown as http.OutgoingHttpHeaders
    const request = http.get({ port, host: '127.0.0.1', agent: make(), headers, path: '/x' })
    expect(await body(request)).toContain('/x - undefined named.test')
  })
})

describe('createAgent', () => {
  const make = (options: AgentOptions = {}): http.Agent => {
    const agent = createAgent(options)
    onTestFinished(() => agent.destroy())
    return agent
  }

  it('is one agent for http: and https:, with the port of each', async () => {
    const plain = await serve()
    const secure = await serve({ secure: authority.issue({ name: 'server' }) })
    const agent = make({ tls: { ca: authority.cert }, keepAlive: true, maxSockets: 1 })
    for (let round = 0; round < 2; round += 1) {
      expect(await body(http.get({ port: plain.port, host: '127.0.0.1', agent }))).toContain(
        'undefined',
      )
      // Without "protocol", as got and others pass their options.
      expect(await body(https.get({ port: secure.port, host: '127.0.0.1', agent }))).toContain(
        'false',
      )
    }
    expect([plain.connections(), secure.connections()]).toEqual([1, 1])
    for (const [get, port] of [
      [http.get, 80],
      [https.get, 443],
    ] as const) {
      const asked: unknown[] = []
      const other = make({
        onEvent: ({ detail }) => asked.push(detail),
        timeouts: { connectMs: 1 },
      })
      const request = get({ host: '127.0.0.9', agent: other })
      expect(request.getHeader('host')).toBe('127.0.0.9')
      await errorOf(request)
      expect(asked[0]).toBe(`127.0.0.9:${port}`)
    }
  })

  it('takes the TLS options of a request', async () => {
    const mutual = await serve({
      secure: {
        ...authority.issue({ name: 'server', hosts: ['named.test'] }),
        requestCert: true,
        rejectUnauthorized: false,
        ca: other.cert,
      },
    })
    const client = other.issue({ name: 'client', usage: 'client' })
    const target = { port: mutual.port, host: '127.0.0.1', agent: make() }
    const ask = (options: https.RequestOptions): Promise<string> =>
      body(https.get({ ...target, ...options }))
    const failing = async (options: https.RequestOptions): Promise<unknown> =>
      ((await errorOf(https.get({ ...target, ...options }))) as NodeJS.ErrnoException).code
    const ca = authority.cert
    expect(await failing({ servername: 'named.test' })).toBe('DIAL_TLS_UNTRUSTED')
    expect(await failing({ ca })).toBe('DIAL_TLS_NAME')
    expect(await ask({ ca, servername: 'named.test' })).toContain('named.test false')
    // The name comes from the header Host.
    expect(await ask({ ca, headers: { Host: 'named.test' } })).toContain('named.test false')
    expect(
      await ask({ ca: [other.cert, authority.cert], servername: 'named.test', ...client }),
    ).toContain('named.test true')
    expect(await ask({ rejectUnauthorized: false })).toContain('- false')
    expect(await ask({ ca, checkServerIdentity: () => undefined })).toContain('- false')
    expect(
      await failing({ ca, servername: 'named.test', checkServerIdentity: () => new Error('no') }),
    ).toBe('DIAL_TLS_NAME')
    expect(
      await failing({ ca, servername: 'named.test', maxVersion: 'TLSv1', minVersion: 'TLSv1' }),
    ).toMatch(/^DIAL_TLS_/)
    // As in Node, `ca` of a request replaces the authorities.
    const both = make({ tls: { ca } })
    expect(await ask({ servername: 'named.test', agent: both })).toContain('named.test')
    expect(await failing({ servername: 'named.test', agent: both, ca: other.cert })).toBe(
      'DIAL_TLS_UNTRUSTED',
    )
    // An option of the agent counts more.
    const strict = make({ tls: { ca, verify: 'full', servername: 'other.test' } })
    expect(
      await failing({ agent: strict, rejectUnauthorized: false, servername: 'named.test' }),
    ).toBe('DIAL_TLS_NAME')
  })

  it('keeps connections with different TLS options apart', async () => {
    const { port, connections } = await serve({ secure: authority.issue({ name: 'server' }) })
    const agent = make({ keepAlive: true })
    const get = (options: https.RequestOptions) =>
      body(https.get({ port, host: '127.0.0.1', agent, ...options }))
    await get({ rejectUnauthorized: false })
    await get({ rejectUnauthorized: false })
    expect(connections()).toBe(1)
    const refused = https.get({ port, host: '127.0.0.1', agent })
    expect(isDialError(await errorOf(refused), 'DIAL_TLS_UNTRUSTED')).toBe(true)
  })

  it('takes localAddress, family, lookup and socketPath of a request', async () => {
    const { port, server } = await serve()
    const sources: unknown[] = []
    server.on('connection', (socket) => sources.push(socket.remoteAddress))
    const agent = make()
    await body(http.get({ port, host: '127.0.0.1', agent, localAddress: '127.0.0.6' }))
    const lookup: http.RequestOptions['lookup'] = (_host, _options, done) =>
      done(null, [{ address: '127.0.0.1', family: 4 }])
    expect(await body(http.get({ port, host: 'name.test', agent, lookup, path: '/n' }))).toContain(
      '/n',
    )
    const six = http.get({ port, host: 'name.test', agent, lookup, family: 6 })
    expect(isDialError(await errorOf(six), 'DIAL_BIND_FAMILY')).toBe(true)
    expect(sources).toEqual(['127.0.0.6', '127.0.0.1'])
  })

  describe('through a proxy that does not answer', () => {
    const silent = () => scriptedPeer(() => {})

    it('emits the timeout of the request, of setTimeout and of the agent', async () => {
      const proxy = `http://${(await silent()).authority}`
      const cases: ((agent: http.Agent) => http.ClientRequest)[] = [
        (agent) => https.get('https://server.test/', { agent, timeout: 50 }),
        (agent) => https.get('https://server.test/', { agent }).setTimeout(50),
        (agent) => https.get('https://server.test/', { agent, timeout: 600_000 }).setTimeout(50),
      ]
      for (const start of cases) {
        const request = start(make({ proxy }))
        await once(request, 'timeout')
        request.destroy(new Error('too slow'))
        expect((await errorOf(request)).message).toBe('too slow')
      }
      const request = https.get('https://server.test/', { agent: make({ proxy, timeout: 50 }) })
      await once(request, 'timeout')
      request.destroy()
      expect(((await errorOf(request)) as NodeJS.ErrnoException).code).toBe('ECONNRESET')
    })

    it('ends the dial with the request, its signal, and the agent', async () => {
      const peer = await silent()
      const agent = make({ proxy: `http://${peer.authority}` })
      const request = https.get('https://server.test/', { agent })
      await until(() => peer.sockets.size === 1)
      request.destroy()
      await errorOf(request)
      await until(() => peer.sockets.size === 0)
      const controller = new AbortController()
      const { signal } = controller
      const aborted = https.get('https://server.test/', { agent, signal })
      await until(() => peer.sockets.size === 1)
      controller.abort()
      expect((await errorOf(aborted)).name).toBe('AbortError')
      await until(() => peer.sockets.size === 0)
      const last = https.get('https://server.test/', { agent })
      await until(() => peer.sockets.size === 1)
      agent.destroy()
      await errorOf(last)
      await until(() => peer.sockets.size === 0)
    })
  })

  it.each([
    ['', 'Basic realm="x"', 'DIAL_PROXY_AUTH_REQUIRED'],
    ['a:b@', 'Basic realm="x"', 'DIAL_PROXY_AUTH_FAILED'],
    ['a:b@', 'Negotiate', 'DIAL_PROXY_AUTH_UNSUPPORTED'],
  ])('fails a plain request of %j with a 407 for %s: %s', async (user, challenge, code) => {
    const proxy = await scriptedPeer(async ({ readUntil, send }) => {
      await readUntil('\r\n\r\n')
      send(`HTTP/1.1 407 Auth\r\nProxy-Authenticate: ${challenge}\r\nContent-Length: 4\r\n\r\nnope`)
    })
    const agent = make({ proxy: `http://${user}${proxy.authority}` })
    const request = http.get('http://server.test/', { agent })
    const error = await errorOf(request)
    expect(isDialError(error) && [error.code, error.leg, error.status]).toEqual([
      code,
      'proxy',
      407,
    ])
    await until(() => proxy.sockets.size === 0)
  })

  it('sends a plain request to the proxy as it was written, with the address that is dialed', async () => {
    const heads: string[][] = []
    const proxy = await scriptedPeer(async ({ readUntil, send, socket }) => {
      heads.push((await readUntil('\r\n\r\n')).split('\r\n').filter((line) => line !== ''))
      send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      socket.end()
    })
    const send = async (
      options: http.RequestOptions,
      agent: AgentOptions = {},
    ): Promise<readonly [string | undefined, readonly string[]]> => {
      const made = make({ proxy: `http://me:pw@${proxy.authority}`, ...agent })
      await body(http.get({ agent: made, ...options }))
      const [line, ...headers] = heads.at(-1) ?? []
      return [line, headers]
    }
    const path = "/a/../%2e%2e//b?q='{x}|\\y"
    const Host = 'other.test:99'
    const [line, headers] = await send({ host: 'Server.Test', path, headers: { Host } })
    expect(line).toBe(`GET http://server.test${path} HTTP/1.1`)
    const basic = `Proxy-Authorization: Basic ${Buffer.from('me:pw').toString('base64')}`
    expect(headers).toEqual(
      expect.arrayContaining([`Host: ${Host}`, basic, 'Proxy-Connection: close']),
    )
    expect((await send({ host: '::1', port: 8080, path: '/' }, { keepAlive: true }))[0]).toBe(
      'GET http://[::1]:8080/ HTTP/1.1',
    )
    expect(heads.at(-1)).toContain('Proxy-Connection: Keep-Alive')
    // A URL in the place of the path is for a caller that knows about the proxy.
    const written = 'http://third.test:7/x/../y'
    expect((await send({ host: 'server.test', port: 8080, path: written }))[0]).toBe(
      `GET ${written} HTTP/1.1`,
    )
    const proxyHeaders = { 'proxy-connection': 'mine', 'X-For-Proxy': '1' }
    const [, ours] = await send(
      { host: 'server.test', headers: ['X-List', 'a', 'X-List', 'b'] },
      { proxyHeaders },
    )
    expect(ours).toEqual(
      expect.arrayContaining([
        'X-List: a',
        'X-List: b',
        'Proxy-Connection: mine',
        'X-For-Proxy: 1',
      ]),
    )
    expect(ours.filter((header) => /^proxy-connection/i.test(header)).length).toBe(1)
  })

  it('puts nothing into a request to a proxy that is not a host', async () => {
    const proxy = await connectProxy({ forward: 1 })
    const agent = make({ proxy: `http://${proxy.authority}` })
    // Node checks the header Host only, which can be another.
    const headers = { Host: 'server.test' }
    const bad = http.get({ host: 'a\r\nX-Injected: b', headers, agent })
    expect(await errorOf(bad)).toBeInstanceOf(TypeError)
    // A URL has no zone, so such an address goes through a tunnel.
    await errorOf(http.get({ host: 'fe80::1%eth0', agent }))
    expect(proxy.requests).toEqual([expect.stringMatching(/^CONNECT \[fe80::1/)])
  })

  it('uses a tunnel for the upgrade of a plain WebSocket, and an absolute URL for the rest', async () => {
    const { port, server } = await serve()
    const wss = new WebSocketServer({ server })
    wss.on('connection', (websocket) => websocket.send('hello'))
    const proxy = await connectProxy({})
    const agent = make({ proxy: `http://${proxy.authority}` })
    const websocket = new WebSocket(`ws://127.0.0.1:${port}/`, { agent })
    const [message] = await once(websocket, 'message')
    expect(String(message)).toBe('hello')
    websocket.terminate()
    const plain = http.get({ port, host: '127.0.0.1', agent, path: '/x' })
    await errorOf(plain)
    expect(proxy.requests).toEqual([
      `CONNECT 127.0.0.1:${port} HTTP/1.1`,
      `GET http://127.0.0.1:${port}/x HTTP/1.1`,
    ])
  })
})
