// Tests with common proxy programs. Each is optional: without it its tests are skipped and reported.
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  get,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening, type Listening } from '@proj/testkit/listening'
import { danteProxy, danteProxyFor } from '@proj/testkit/dante-proxy'
import {
  microsocksProxy,
  proxyPrograms,
  squidProxy,
  tinyproxyProxy,
} from '@proj/testkit/proxy-programs'
import { passwordHash, type ProxyFiles, type RealProxy } from '@proj/testkit/real-proxy'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocketServer, type WebSocket } from 'ws'

import {
  createAgent,
  dial,
  dialWebSocket,
  type DialOptions,
  type ProxyChallenge,
} from '../../src/index.ts'
import { failure } from '../failure.ts'

const { squid, tinyproxy, danted, microsocks, unshare } = proxyPrograms()

const authority = certificateAuthority('Server Root')
const corporate = certificateAuthority('Corporate Root')
// Everything that has to be percent-encoded in a URL.
const USER = 'ali:ce'
const PASSWORD = 'p@s w%rd/1'
const encoded = (user = USER, password = PASSWORD): string =>
  `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`

let plain: Listening
let secure: Listening
let six: Listening
let banner: Listening
let refusing: Listening
let closed = 0

beforeAll(async () => {
  const serve = (server: ReturnType<typeof createHttpServer>): typeof server => {
    const wss = new WebSocketServer({ server })
    wss.on('connection', (websocket: WebSocket) => {
      websocket.on('message', (data) => websocket.send(data))
    })
    return server
  }
  plain = await listening(serve(createHttpServer((_request, response) => response.end('hello'))))
  secure = await listening(serve(createHttpsServer(authority.issue({ name: 'server' }))))
  six = await listening(serve(createHttpServer()), '::1')
  banner = await listening(createServer((socket) => socket.end('220 server first\r\n')))
  refusing = await listening(
    createHttpServer((_request, response) => response.writeHead(407).end()),
  )
  const gone = await listening(createServer())
  closed = gone.port
  await gone.close()
})

afterAll(async () => {
  for (const server of [plain, secure, six, banner, refusing]) await server.close()
})

async function echo(url: string, options: DialOptions): Promise<string> {
  const websocket = await dialWebSocket(url, options)
  websocket.send('ping')
  const [data] = (await once(websocket, 'message')) as [Buffer]
  websocket.terminate()
  return data.toString()
}

/** Tests that every proxy must pass. */
function carries(proxy: () => string, extra: DialOptions = {}): void {
  it('supports ws, wss, and a server that sends first', async () => {
    const options = { ...extra, proxy: proxy() }
    expect(await echo(`ws://127.0.0.1:${plain.port}/`, options)).toBe('ping')
    expect(
      await echo(`wss://127.0.0.1:${secure.port}/`, { ...options, tls: { ca: authority.cert } }),
    ).toBe('ping')
    const socket = await dial({ host: '127.0.0.1', port: banner.port }, options)
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    expect(chunk.toString()).toBe('220 server first\r\n')
    socket.destroy()
  })

  it('is not reported when the server rejects the upgrade', async () => {
    const error = await failure(
      dialWebSocket(`ws://127.0.0.1:${refusing.port}/`, { ...extra, proxy: proxy() }),
    )
    expect([error.code, error.leg, error.status]).toEqual(['DIAL_UPGRADE_REFUSED', 'server', 407])
  })
}

/** Waits until the proxy closes an idle WebSocket, then keeps one open with pings for twice that time. */
async function outlive(url: string, options: DialOptions): Promise<string> {
  const idle = await dialWebSocket(url, options)
  const startedAt = performance.now()
  await once(idle, 'close')
  const patienceMs = performance.now() - startedAt
  const websocket = await dialWebSocket(url, options)
  const ended = new AbortController()
  websocket.once('close', (code) => ended.abort(new Error(`closed with ${code} despite pings`)))
  const { signal } = ended
  try {
    const untilMs = performance.now() + 2 * patienceMs
    while (performance.now() < untilMs) {
      const timer = setTimeout(() => websocket.ping(), 100)
      await once(websocket, 'pong', { signal }).finally(() => clearTimeout(timer))
    }
    websocket.send('still here')
    const [data] = (await once(websocket, 'message', { signal })) as [Buffer]
    return data.toString()
  } finally {
    websocket.terminate()
  }
}

/** Sends plain requests one after another with one agent that keeps connections. */
async function plainRequests(proxy: string, count: number): Promise<readonly string[]> {
  const agent = createAgent({ proxy, keepAlive: true })
  const bodies: string[] = []
  try {
    for (let index = 0; index < count; index += 1) {
      const request = get(`http://127.0.0.1:${plain.port}/`, { agent })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      bodies.push(await response.reduce<string>((all, chunk) => all + String(chunk), ''))
    }
    return bodies
  } finally {
    agent.destroy()
  }
}

function starts(start: () => Promise<RealProxy>): { readonly get: () => RealProxy } {
  let proxy: RealProxy | undefined
  beforeAll(async () => {
    proxy = await start()
  })
  afterAll(() => proxy?.stop())
  return {
    get: () => {
      if (proxy === undefined) throw new Error('the proxy does not run')
      return proxy
    },
  }
}

function squidWith(rules: readonly string[], files: ProxyFiles = {}): Promise<RealProxy> {
  const { cert, key } = corporate.issue({ name: 'proxy', hosts: ['proxy.test'] })
  return squidProxy(squid ?? '', rules, { ...files, 'proxy.pem': cert + key })
}

// Its timer is coarse: with a timeout of one second it closes busy connections too.
describe.skipIf(squid === undefined)('squid', () => {
  const open = starts(() =>
    squidWith(['http_access allow all', 'read_timeout 3 seconds', 'hosts_file $FOLDER/hosts'], {
      hosts: '127.0.0.1 only-the-proxy-knows.test\n',
    }),
  )
  const url = (): string => `http://${open.get().authority}`
  carries(url)

  it('supports IPv6 targets', async () => {
    expect(await echo(`ws://[::1]:${six.port}/`, { proxy: url() })).toBe('ping')
  })

  it('looks up names that this host does not know', async () => {
    expect(await echo(`ws://only-the-proxy-knows.test:${plain.port}/`, { proxy: url() })).toBe(
      'ping',
    )
  })

  it('supports TLS within TLS on its TLS port', async () => {
    const proxy = `https://${open.get().tlsAuthority}`
    const options = {
      proxy,
      proxyTls: { ca: corporate.cert, servername: 'proxy.test' },
      tls: { ca: authority.cert },
    }
    expect(await echo(`wss://127.0.0.1:${secure.port}/`, options)).toBe('ping')
    const untrusted = await failure(dialWebSocket('wss://server.test/', { proxy }))
    expect([untrusted.code, untrusted.leg]).toEqual(['DIAL_TLS_UNTRUSTED', 'proxy'])
  })

  it('reports that scheme and port do not match, in both directions', async () => {
    const target = { host: 'server.test', port: 443 }
    const tlsToPlain = await failure(dial(target, { proxy: `https://${open.get().authority}` }))
    expect([tlsToPlain.code, tlsToPlain.leg]).toEqual(['DIAL_TLS_PROTOCOL', 'proxy'])
    const plainToTls = await failure(dial(target, { proxy: `http://${open.get().tlsAuthority}` }))
    expect(plainToTls.code).toBe('DIAL_PROXY_PROTOCOL')
    expect(plainToTls.hint).toContain('https://')
    const socks = await failure(
      dial(target, { proxy: `socks5h://${open.get().authority}`, timeouts: { proxyMs: 300 } }),
    )
    expect(['DIAL_PROXY_TIMEOUT', 'DIAL_PROXY_PROTOCOL']).toContain(socks.code)
  })

  it('reports a refused target and an unknown name', async () => {
    const refused = await failure(dial({ host: '127.0.0.1', port: closed }, { proxy: url() }))
    expect([refused.code, refused.status]).toEqual(['DIAL_PROXY_TARGET_FAILED', 503])
    expect(refused.message).toContain('ERR_CONNECT_FAIL')
    const unknown = await failure(dial({ host: 'gone.invalid', port: 443 }, { proxy: url() }))
    expect(unknown.code).toBe('DIAL_PROXY_TARGET_FAILED')
  })

  it('serves plain HTTP requests with an absolute URL', async () => {
    const agent = createAgent({ proxy: url() })
    const [response] = await once(get(`http://127.0.0.1:${plain.port}/`, { agent }), 'response')
    expect(response.statusCode).toBe(200)
    expect(String(response.headers.via)).toContain('proxy.test')
    response.resume()
    agent.destroy()
  })

  it('keeps a WebSocket with pings open after its idle timeout, and closes an idle one', async () => {
    expect(await outlive(`ws://127.0.0.1:${plain.port}/`, { proxy: url() })).toBe('still here')
  })
})

describe.skipIf(squid === undefined)('squid with passwords', () => {
  const proxy = starts(() =>
    squidWith(
      [
        'auth_param basic program /usr/lib/squid/basic_ncsa_auth $FOLDER/passwords',
        'acl known proxy_auth REQUIRED',
        'acl allowed_ports port 443',
        'http_access deny !known',
        `acl tests port ${[plain, secure, banner, refusing].map(({ port }) => port).join(' ')}`,
        'http_access deny CONNECT !allowed_ports !tests',
        'http_access allow known',
      ],
      { passwords: `alice:${passwordHash('apr1', PASSWORD)}\n` },
    ),
  )
  // A user name of Basic cannot contain a colon (RFC 7617 section 2).
  carries(() => `http://${encoded('alice')}${proxy.get().authority}`)

  it('reports missing and wrong credentials separately', async () => {
    const target = { host: '127.0.0.1', port: plain.port }
    const missing = await failure(dial(target, { proxy: `http://${proxy.get().authority}` }))
    expect(missing.code).toBe('DIAL_PROXY_AUTH_REQUIRED')
    const wrong = await failure(
      dial(target, { proxy: `http://${encoded('alice', 'no')}${proxy.get().authority}` }),
    )
    expect(wrong.code).toBe('DIAL_PROXY_AUTH_FAILED')
  })

  it('answers its challenge on the same connection', async () => {
    const basic = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`
    const connects: string[] = []
    const socket = await dial(
      { host: '127.0.0.1', port: banner.port },
      {
        proxy: `http://${proxy.get().authority}`,
        proxyAuthorize: ({ schemes }) => (schemes.includes('basic') ? basic : undefined),
        onEvent: ({ phase, state }) => connects.push(`${phase} ${state}`),
      },
    )
    socket.destroy()
    expect(connects.filter((event) => event === 'connect started')).toHaveLength(1)
  })

  it('answers the challenge to a plain request', async () => {
    const basic = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`
    const rounds: string[] = []
    const agent = createAgent({
      proxy: `http://${proxy.get().authority}`,
      proxyAuthorize: ({ method, target, round }) => {
        rounds.push(`${round} ${method} ${target}`)
        return basic
      },
    })
    const url = `http://127.0.0.1:${plain.port}/`
    const request = httpRequest(url, { agent, method: 'POST' }).end('a body')
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    expect([response.statusCode, await text(response)]).toEqual([200, 'hello'])
    expect(rounds).toEqual([`1 POST ${url}`])
    agent.destroy()
  })

  it('reports that its rules deny the port', async () => {
    const error = await failure(
      dial(
        { host: '127.0.0.1', port: 8443 },
        { proxy: `http://${encoded('alice')}${proxy.get().authority}` },
      ),
    )
    expect([error.code, error.status]).toEqual(['DIAL_PROXY_DENIED', 403])
    expect(error.hint).toContain('8443')
  })
})

describe.skipIf(squid === undefined)('squid with Digest', () => {
  const proxy = starts(() =>
    squidWith(
      [
        'auth_param digest program /usr/lib/squid/digest_file_auth $FOLDER/passwords',
        'auth_param digest realm squid',
        'acl known proxy_auth REQUIRED',
        'http_access deny !known',
        'http_access allow known',
      ],
      { passwords: `alice:${PASSWORD}\n` },
    ),
  )
  carries(() => `http://${encoded('alice')}${proxy.get().authority}`)

  it('reports missing and wrong credentials separately', async () => {
    const target = { host: '127.0.0.1', port: plain.port }
    const missing = await failure(dial(target, { proxy: `http://${proxy.get().authority}` }))
    expect(missing.code).toBe('DIAL_PROXY_AUTH_REQUIRED')
    const wrong = await failure(
      dial(target, { proxy: `http://${encoded('alice', 'no')}${proxy.get().authority}` }),
    )
    expect(wrong.code).toBe('DIAL_PROXY_AUTH_FAILED')
  })
})

describe.skipIf(squid === undefined)('squid with NTLM', () => {
  const proxy = starts(() =>
    squidWith([
      'auth_param ntlm program /usr/lib/squid/ntlm_fake_auth',
      'acl known proxy_auth REQUIRED',
      'http_access deny !known',
      'http_access allow known',
    ]),
  )
  const target = (): { host: string; port: number } => ({ host: '127.0.0.1', port: banner.port })

  it('lets in a plug-in of two rounds, on one connection', async () => {
    const rounds: number[] = []
    const connects: string[] = []
    const socket = await dial(target(), {
      proxy: `http://${proxy.get().authority}`,
      proxyAuthorize: (challenge) => {
        rounds.push(challenge.round)
        return answerNtlm(challenge)
      },
      onEvent: ({ phase, state }) => connects.push(`${phase} ${state}`),
    })
    socket.destroy()
    expect(rounds).toEqual([1, 2])
    expect(connects.filter((event) => event === 'connect started')).toHaveLength(1)
  })

  it('reports that it offers NTLM only', async () => {
    for (const user of ['', encoded('alice')]) {
      const url = `http://${user}${proxy.get().authority}`
      const error = await failure(dial(target(), { proxy: url }))
      expect(error.code).toBe('DIAL_PROXY_AUTH_UNSUPPORTED')
      expect(error.message).toContain('offers only ntlm')
    }
  })
})

/** The two messages of NTLM ([MS-NLMP] section 2.2.1), without a response: squid's test helper needs none. */
function answerNtlm({ challenges }: ProxyChallenge): string | undefined {
  const line = challenges.find((one) => /^NTLM\b/i.test(one))
  if (line === undefined) return undefined
  const signature = Buffer.from('NTLMSSP\0', 'latin1')
  const unicode = 0x0201
  if (line.split(' ')[1] === undefined) {
    const negotiate = Buffer.alloc(24)
    negotiate.writeUInt32LE(1, 0)
    negotiate.writeUInt32LE(unicode, 4)
    return `NTLM ${Buffer.concat([signature, negotiate]).toString('base64')}`
  }
  const fields = ['lm', 'nt', 'DOMAIN', 'alice', 'HOST'].map((text) => Buffer.from(text, 'latin1'))
  const head = Buffer.alloc(56)
  head.writeUInt32LE(3, 0)
  let offset = 64
  for (const [index, { length }] of fields.entries()) {
    head.writeUInt16LE(length, 4 + index * 8)
    head.writeUInt16LE(length, 6 + index * 8)
    head.writeUInt32LE(offset, 8 + index * 8)
    offset += length
  }
  head.writeUInt32LE(0x0202, 52)
  return `NTLM ${Buffer.concat([signature, head, ...fields]).toString('base64')}`
}

describe.skipIf(tinyproxy === undefined)('tinyproxy', () => {
  const open = starts(() => tinyproxyProxy(tinyproxy ?? '', ['Timeout 1']))
  const url = (): string => `http://${open.get().authority}`
  carries(url)

  it('serves plain HTTP requests one after another, although it closes each connection', async () => {
    expect(await plainRequests(url(), 20)).toEqual(Array.from({ length: 20 }, () => 'hello'))
  })

  it('supports IPv6 targets', async () => {
    expect(await echo(`ws://[::1]:${six.port}/`, { proxy: url() })).toBe('ping')
  })

  it('reports a refused target', async () => {
    const error = await failure(dial({ host: '127.0.0.1', port: closed }, { proxy: url() }))
    expect([error.code, error.status]).toEqual(['DIAL_PROXY_TARGET_FAILED', 500])
  })

  it('keeps a WebSocket with pings open after its idle timeout, and closes an idle one', async () => {
    expect(await outlive(`ws://127.0.0.1:${plain.port}/`, { proxy: url() })).toBe('still here')
  })
})

describe.skipIf(tinyproxy === undefined)('tinyproxy with passwords', () => {
  const proxy = starts(() =>
    tinyproxyProxy(tinyproxy ?? '', [
      'Timeout 30',
      'BasicAuth alice s3cret',
      ...[plain, secure, banner, refusing].map(({ port }) => `ConnectPort ${port}`),
    ]),
  )
  carries(() => `http://alice:s3cret@${proxy.get().authority}`)

  it('reports missing and wrong credentials separately', async () => {
    const target = { host: '127.0.0.1', port: plain.port }
    const missing = await failure(dial(target, { proxy: `http://${proxy.get().authority}` }))
    expect(missing.code).toBe('DIAL_PROXY_AUTH_REQUIRED')
    const wrong = await failure(dial(target, { proxy: `http://alice:no@${proxy.get().authority}` }))
    expect(wrong.code).toBe('DIAL_PROXY_AUTH_FAILED')
  })

  it('answers its challenge on a new connection, since it closes the old one', async () => {
    const connects: string[] = []
    const socket = await dial(
      { host: '127.0.0.1', port: banner.port },
      {
        proxy: `http://${proxy.get().authority}`,
        proxyAuthorize: () => `Basic ${Buffer.from('alice:s3cret').toString('base64')}`,
        onEvent: ({ phase, state }) => connects.push(`${phase} ${state}`),
      },
    )
    socket.destroy()
    expect(connects.filter((event) => event === 'connect started')).toHaveLength(2)
  })

  it('reports that its rules deny the port', async () => {
    const error = await failure(
      dial(
        { host: '127.0.0.1', port: 8443 },
        { proxy: `http://alice:s3cret@${proxy.get().authority}` },
      ),
    )
    expect([error.code, error.status]).toEqual(['DIAL_PROXY_DENIED', 403])
  })
})

describe.skipIf(danted === undefined)('dante', () => {
  const open = starts(() => danteProxy(danted ?? '', { idleSeconds: 1 }))
  for (const scheme of ['socks5h', 'socks5', 'socks4', 'socks4a']) {
    describe(`by ${scheme}`, () => {
      carries(() => `${scheme}://${open.get().authority}`)
    })
  }

  it('reports a refused target, a forbidden port and an address type it cannot use', async () => {
    const proxy = `socks5h://${open.get().authority}`
    const refused = await failure(dial({ host: '127.0.0.1', port: closed }, { proxy }))
    expect(refused.code).toBe('DIAL_PROXY_TARGET_FAILED')
    expect(refused.message).toContain('connection refused')
    const denied = await failure(dial({ host: '127.0.0.1', port: 8443 }, { proxy }))
    expect(denied.code).toBe('DIAL_PROXY_DENIED')
    const family = await failure(dial({ host: '::1', port: six.port }, { proxy }))
    expect(family.code).toMatch(/^DIAL_PROXY_(ADDRESS_TYPE|TARGET_FAILED)$/)
  })

  it('reports that a SOCKS port does not belong to an HTTP proxy', async () => {
    const error = await failure(
      dial({ host: 'server.test', port: 443 }, { proxy: `http://${open.get().authority}` }),
    )
    expect(error.code).toBe('DIAL_PROXY_PROTOCOL')
  })

  it('keeps a WebSocket with pings open after its idle timeout, and closes an idle one', async () => {
    const proxy = `socks5h://${open.get().authority}`
    expect(await outlive(`ws://127.0.0.1:${plain.port}/`, { proxy })).toBe('still here')
  })
})

describe.skipIf(danted === undefined || unshare === undefined)(
  'dante with passwords (root only)',
  () => {
    const proxy = starts(() =>
      danteProxyFor(
        { danted: danted ?? '', unshare: unshare ?? '' },
        { user: 'alice', password: PASSWORD },
        { idleSeconds: 1, hosts: '127.0.0.1 localhost only-the-proxy-knows.test\n' },
      ),
    )
    carries(() => `socks5h://${encoded('alice')}${proxy.get().authority}`)

    it('reports missing and wrong credentials separately', async () => {
      const target = { host: '127.0.0.1', port: plain.port }
      const missing = await failure(dial(target, { proxy: `socks5h://${proxy.get().authority}` }))
      expect(missing.code).toBe('DIAL_PROXY_AUTH_REQUIRED')
      const wrong = await failure(
        dial(target, { proxy: `socks5h://${encoded('alice', 'no')}${proxy.get().authority}` }),
      )
      expect(wrong.code).toBe('DIAL_PROXY_AUTH_FAILED')
    })

    it('looks up names that this host does not know, with socks5h and not with socks5', async () => {
      const url = `ws://only-the-proxy-knows.test:${plain.port}/`
      expect(
        await echo(url, { proxy: `socks5h://${encoded('alice')}${proxy.get().authority}` }),
      ).toBe('ping')
      const error = await failure(
        dialWebSocket(url, { proxy: `socks5://${encoded('alice')}${proxy.get().authority}` }),
      )
      expect(error.code).toMatch(/^DIAL_DNS_/)
    })
  },
)

describe.skipIf(microsocks === undefined)('microsocks', () => {
  const open = starts(() => microsocksProxy(microsocks ?? ''))
  const locked = starts(() => microsocksProxy(microsocks ?? '', ['-u', USER, '-P', PASSWORD]))
  carries(() => `socks5h://${open.get().authority}`)

  it('supports IPv6 targets', async () => {
    expect(
      await echo(`ws://[::1]:${six.port}/`, { proxy: `socks5h://${open.get().authority}` }),
    ).toBe('ping')
  })

  it('accepts user and password, and reports missing and wrong ones separately', async () => {
    const url = `ws://127.0.0.1:${plain.port}/`
    expect(await echo(url, { proxy: `socks5h://${encoded()}${locked.get().authority}` })).toBe(
      'ping',
    )
    const missing = await failure(
      dialWebSocket(url, { proxy: `socks5h://${locked.get().authority}` }),
    )
    expect(missing.code).toBe('DIAL_PROXY_AUTH_REQUIRED')
    const wrong = await failure(
      dialWebSocket(url, { proxy: `socks5h://${encoded(USER, 'no')}${locked.get().authority}` }),
    )
    expect(wrong.code).toBe('DIAL_PROXY_AUTH_FAILED')
  })

  it('reports that it does not support SOCKS4', async () => {
    const error = await failure(
      dial({ host: '127.0.0.1', port: plain.port }, { proxy: `socks4://${open.get().authority}` }),
    )
    expect(error.code).toBe('DIAL_PROXY_PROTOCOL')
  })

  it('reports a refused target', async () => {
    const error = await failure(
      dial({ host: '127.0.0.1', port: closed }, { proxy: `socks5h://${open.get().authority}` }),
    )
    expect(error.code).toBe('DIAL_PROXY_TARGET_FAILED')
  })
})
