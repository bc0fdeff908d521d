// Every operation over every route: 13 by 16. The proxies are those that people run; a route whose
// programs are missing is skipped by its name.
import { type EventEmitter, once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http'
import { createServer as createHttpsServer, request as secureRequest } from 'node:https'
import { createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { createServer as createTlsServer } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { danteProxy } from '@proj/testkit/dante-proxy'
import { listening, type Listening } from '@proj/testkit/listening'
import {
  haproxyProxy,
  microsocksProxy,
  privoxyProxy,
  proxyPrograms,
  sshProxy,
  squidProxy,
  tinyproxyProxy,
} from '@proj/testkit/proxy-programs'
import { passwordHash, type RealProxy } from '@proj/testkit/real-proxy'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

import {
  createAgent,
  createDispatcher,
  dial,
  dialRawWebSocket,
  dialWebSocket,
  type DialOptions,
} from '../../src/index.ts'
import { failure } from '../failure.ts'

const programs = proxyPrograms()
const { squid, tinyproxy, danted, microsocks, privoxy, haproxy, ssh, sshd } = programs
const authority = certificateAuthority('Server Root')
const corporate = certificateAuthority('Corporate Root')
const certificate = corporate.issue({ name: 'proxy', hosts: ['proxy.test'] })
const proxyPem = certificate.cert + certificate.key
const secret = { username: 'alice', password: 'p@s w%rd/1' }
const BODY = Buffer.alloc(1_000_000, 'a request and its answer ')

/** How a proxy is started, once for all of its routes. */
const STARTS: Readonly<Record<string, () => Promise<RealProxy>>> = {
  squid: () => squidProxy(squid ?? '', ['http_access allow all'], { 'proxy.pem': proxyPem }),
  basic: () =>
    squidProxy(
      squid ?? '',
      [
        'auth_param basic program /usr/lib/squid/basic_ncsa_auth $FOLDER/passwords',
        'acl known proxy_auth REQUIRED',
        'http_access allow known',
      ],
      { passwords: `alice:${passwordHash('apr1', secret.password)}\n` },
    ),
  digest: () =>
    squidProxy(
      squid ?? '',
      [
        'auth_param digest program /usr/lib/squid/digest_file_auth $FOLDER/passwords',
        'auth_param digest realm squid',
        'acl known proxy_auth REQUIRED',
        'http_access allow known',
      ],
      { passwords: `alice:${secret.password}\n` },
    ),
  tinyproxy: () => tinyproxyProxy(tinyproxy ?? '', ['Bind $HOST']),
  locked: () => tinyproxyProxy(tinyproxy ?? '', ['Bind $HOST', 'BasicAuth alice s3cret']),
  privoxy: () => privoxyProxy(privoxy ?? ''),
  dante: () => danteProxy(danted ?? '', { idleSeconds: 30 }),
  microsocks: () => microsocksProxy(microsocks ?? '', ['-b', '$HOST']),
  guarded: () =>
    microsocksProxy(microsocks ?? '', ['-b', '$HOST', '-u', 'alice', '-P', secret.password]),
  ssh: () => sshProxy(ssh ?? '', sshd ?? ''),
}

interface Route {
  readonly name: string
  /** Of STARTS; undefined for none. */
  readonly proxy?: string
  readonly needs: readonly (string | undefined)[]
  /** The options of a dial, from the proxy. */
  readonly options: (proxy: RealProxy) => DialOptions
  /** Of STARTS: whose address the server sees. Otherwise 127.0.0.1. */
  readonly seen?: string
  /** Operations that fail: plain requests of a dispatcher, and large ones of the agent, are not sent again. */
  readonly rejects?: readonly string[]
  /** The error for a port where nothing listens. */
  readonly refused: string
}

const FAILED = 'DIAL_PROXY_TARGET_FAILED'
const LARGE_POST = 'POST of a megabyte, http: with the agent'
const plainProxy = (scheme: string) => (proxy: RealProxy) => ({
  proxy: `${scheme}://${proxy.authority}`,
})
const withPassword =
  (scheme: string, password = secret.password) =>
  (proxy: RealProxy) => ({
    proxy: { url: `${scheme}://${proxy.authority}`, username: 'alice', password },
  })
const overTls = (proxy: RealProxy): DialOptions => ({
  proxy: `https://${proxy.tlsAuthority}`,
  proxyTls: { ca: corporate.cert, servername: 'proxy.test' },
})

const ROUTES: readonly Route[] = [
  { name: 'direct', needs: [], options: () => ({}), refused: 'DIAL_CONNECT_REFUSED' },
  {
    name: 'squid, http',
    proxy: 'squid',
    needs: [squid],
    options: plainProxy('http'),
    seen: 'squid',
    refused: FAILED,
  },
  {
    name: 'squid, https',
    proxy: 'squid',
    needs: [squid],
    options: overTls,
    seen: 'squid',
    refused: FAILED,
  },
  {
    name: 'squid, Basic',
    proxy: 'basic',
    needs: [squid],
    options: withPassword('http'),
    seen: 'basic',
    refused: FAILED,
  },
  {
    name: 'squid, Digest',
    proxy: 'digest',
    rejects: ['fetch http:', LARGE_POST],
    needs: [squid],
    options: withPassword('http'),
    seen: 'digest',
    refused: FAILED,
  },
  {
    name: 'tinyproxy, http',
    proxy: 'tinyproxy',
    needs: [tinyproxy],
    options: plainProxy('http'),
    seen: 'tinyproxy',
    refused: FAILED,
  },
  {
    name: 'tinyproxy, Basic',
    proxy: 'locked',
    needs: [tinyproxy],
    options: withPassword('http', 's3cret'),
    seen: 'locked',
    refused: FAILED,
  },
  {
    name: 'haproxy with TLS before tinyproxy',
    proxy: 'haproxy',
    needs: [haproxy, tinyproxy],
    options: overTls,
    seen: 'tinyproxy',
    refused: FAILED,
  },
  {
    name: 'privoxy, http',
    proxy: 'privoxy',
    needs: [privoxy],
    options: plainProxy('http'),
    refused: FAILED,
  },
  {
    name: 'dante, socks4',
    proxy: 'dante',
    needs: [danted],
    options: plainProxy('socks4'),
    seen: 'dante',
    refused: FAILED,
  },
  {
    name: 'dante, socks4a',
    proxy: 'dante',
    needs: [danted],
    options: plainProxy('socks4a'),
    seen: 'dante',
    refused: FAILED,
  },
  {
    name: 'dante, socks5',
    proxy: 'dante',
    needs: [danted],
    options: plainProxy('socks5'),
    seen: 'dante',
    refused: FAILED,
  },
  {
    name: 'dante, socks5h',
    proxy: 'dante',
    needs: [danted],
    options: plainProxy('socks5h'),
    seen: 'dante',
    refused: FAILED,
  },
  {
    name: 'microsocks, socks5h',
    proxy: 'microsocks',
    needs: [microsocks],
    options: plainProxy('socks5h'),
    seen: 'microsocks',
    refused: FAILED,
  },
  {
    name: 'microsocks, password',
    proxy: 'guarded',
    needs: [microsocks],
    options: withPassword('socks5h'),
    seen: 'guarded',
    refused: FAILED,
  },
  {
    name: 'ssh -D, socks5h',
    proxy: 'ssh',
    needs: [ssh, sshd],
    options: plainProxy('socks5h'),
    refused: 'DIAL_PROXY_PROTOCOL',
  },
]

const running = new Map<string, RealProxy>()
let echo: Listening
let banner: Listening
let tls: Listening
let http: Listening
let https: Listening
let closed = 0

beforeAll(async () => {
  const answer = (incoming: IncomingMessage): string => `from ${incoming.socket.remoteAddress}`
  const serve = <T extends ReturnType<typeof createHttpServer>>(server: T): T => {
    server.on('request', (incoming: IncomingMessage, response) => {
      if (incoming.method === 'POST') incoming.pipe(response)
      else response.end(answer(incoming))
    })
    new WebSocketServer({ server }).on('connection', (websocket, incoming) => {
      websocket.send(answer(incoming))
    })
    return server
  }
  const greet = (socket: Socket): unknown => socket.end(`from ${socket.remoteAddress}`)
  echo = await listening(createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)))
  banner = await listening(createServer(greet))
  tls = await listening(createTlsServer(authority.issue({ name: 'server' }), greet))
  http = await listening(serve(createHttpServer()))
  https = await listening(serve(createHttpsServer(authority.issue({ name: 'server' }))))
  const gone = await listening(createServer())
  closed = gone.port
  await gone.close()
  const wanted = new Set(ROUTES.filter(isThere).map(({ proxy = '' }) => proxy))
  await Promise.all(
    Object.entries(STARTS)
      .filter(([name]) => wanted.has(name))
      .map(async ([name, start]) => running.set(name, await start())),
  )
  const behind = running.get('tinyproxy')?.authority
  if (wanted.has('haproxy') && behind !== undefined) {
    running.set('haproxy', await haproxyProxy(haproxy ?? '', behind, proxyPem))
  }
}, 60_000)

afterAll(async () => {
  await Promise.all([...running.values()].map((proxy) => proxy.stop()))
  for (const server of [echo, banner, tls, http, https]) await server.close()
})

function isThere({ needs }: Route): boolean {
  return needs.every((program) => program !== undefined)
}

/** Each returns what the server said; for all but two that is where the connection comes from. */
const OPERATIONS: readonly (readonly [string, (options: DialOptions) => Promise<string>])[] = [
  [
    'a server that sends first',
    async (options) => text(await dial({ host: '127.0.0.1', port: banner.port }, options)),
  ],
  [
    'TLS',
    async (options) =>
      text(
        await dial(
          { host: '127.0.0.1', port: tls.port },
          { ...options, tls: { ca: authority.cert } },
        ),
      ),
  ],
  ['ws', (options) => firstMessage(dialWebSocket(`ws://127.0.0.1:${http.port}/`, options))],
  [
    'wss',
    (options) =>
      firstMessage(
        dialWebSocket(`wss://127.0.0.1:${https.port}/`, {
          ...options,
          tls: { ca: authority.cert },
        }),
      ),
  ],
  [
    'a WebSocket without framing',
    async (options) => {
      const { socket, head } = await dialRawWebSocket(`ws://127.0.0.1:${http.port}/`, options)
      // two bytes of head, then the text of a short message
      const start = await firstBytes(socket, 2, head)
      const bytes = await firstBytes(socket, 2 + (start[1] ?? 0), start)
      socket.destroy()
      return bytes.toString('latin1', 2)
    },
  ],
  ['ws of the package, with the agent', (options) => byAgent(options, upgradeWith)],
  ['GET http: with the agent', (options) => byAgent(options, getPlainly)],
  ['GET https: with the agent', (options) => byAgent(options, getSecurely)],
  ['fetch http:', (options) => fetched(`http://127.0.0.1:${http.port}/`, options)],
  [
    'fetch https:',
    (options) =>
      fetched(`https://127.0.0.1:${https.port}/`, { ...options, tls: { ca: authority.cert } }),
  ],
]

async function firstBytes(
  socket: Duplex,
  length: number,
  head: Buffer = Buffer.alloc(0),
): Promise<Buffer> {
  const chunks = [head]
  let received = head.length
  while (received < length) {
    const chunk: unknown = socket.read()
    if (Buffer.isBuffer(chunk)) {
      chunks.push(chunk)
      received += chunk.length
    } else await once(socket, 'readable')
  }
  return Buffer.concat(chunks)
}

async function firstMessage(dialed: Messages | Promise<Messages>): Promise<string> {
  const websocket = await dialed
  const [data] = (await once(websocket, 'message')) as [Buffer]
  websocket.terminate()
  return data.toString()
}

/** What the WebSockets of ws and of dialWebSocket have in common. */
type Messages = EventEmitter & Pick<WebSocket, 'terminate'>

type Agent = ReturnType<typeof createAgent>

async function byAgent<T>(options: DialOptions, use: (agent: Agent) => Promise<T>): Promise<T> {
  const agent = createAgent({ ...options, keepAlive: true })
  try {
    return await use(agent)
  } finally {
    agent.destroy()
  }
}

function upgradeWith(agent: Agent): Promise<string> {
  const url = `wss://127.0.0.1:${https.port}/`
  return firstMessage(new WebSocket(url, { agent, ca: authority.cert }))
}

async function getPlainly(agent: Agent): Promise<string> {
  const [response] = await once(
    request(`http://127.0.0.1:${http.port}/`, { agent }).end(),
    'response',
  )
  return text(response)
}

async function getSecurely(agent: Agent): Promise<string> {
  const url = `https://127.0.0.1:${https.port}/`
  const [response] = await once(secureRequest(url, { agent, ca: authority.cert }).end(), 'response')
  return text(response)
}

async function postPlainly(agent: Agent): Promise<string> {
  const url = `http://127.0.0.1:${http.port}/`
  const [response] = await once(request(url, { agent, method: 'POST' }).end(BODY), 'response')
  return text(response)
}

async function fetched(url: string, options: DialOptions): Promise<string> {
  const dispatcher = createDispatcher(options)
  try {
    return await (await fetch(url, { dispatcher })).text()
  } finally {
    await dispatcher.close()
  }
}

describe.for(ROUTES)('over $name', (route) => {
  const { proxy = '', options, seen = '', refused, rejects = [] } = route
  const open = (): DialOptions => options(running.get(proxy) as RealProxy)
  const address = (): string => running.get(seen)?.authority.split(':')[0] ?? '127.0.0.1'
  /** What an operation returns, or that it fails where it has to. */
  const outcome = async (name: string, done: Promise<string>): Promise<string> => {
    if (!rejects.includes(name)) return done
    return done.then(
      () => 'not refused',
      () => 'refused',
    )
  }
  const expected = (name: string, answer: string): string =>
    rejects.includes(name) ? 'refused' : answer

  it.runIf(isThere(route)).for(OPERATIONS)('%s', async ([name, run]) => {
    expect(await outcome(name, run(open()))).toBe(expected(name, `from ${address()}`))
  })

  it.runIf(isThere(route))('a megabyte both ways', async () => {
    const socket = await dial({ host: '127.0.0.1', port: echo.port }, open())
    socket.write(BODY)
    const echoed = await firstBytes(socket, BODY.length)
    socket.destroy()
    expect(echoed.equals(BODY)).toBe(true)
  })

  it.runIf(isThere(route)).for([LARGE_POST])('%s', async (name) => {
    const sent = outcome(name, byAgent(open(), postPlainly))
    expect(await sent).toBe(expected(name, BODY.toString()))
  })

  it.runIf(isThere(route))('a port where nothing listens', async () => {
    const error = await failure(dialWebSocket(`ws://127.0.0.1:${closed}/`, open()))
    expect(error.code).toBe(refused)
  })
})
