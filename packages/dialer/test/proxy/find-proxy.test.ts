// A function as the option `proxy`, with answers in the form of PAC scripts.
import { readFile } from 'node:fs/promises'
import { createServer, get } from 'node:http'
import { inspect } from 'node:util'

import { listening, type Listening } from '@proj/testkit/listening'
import { createPacResolver } from 'pac-resolver'
import { QuickJS } from 'quickjs-wasi'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import {
  createAgent,
  createDispatcher,
  dial,
  explainRoute,
  formatRouteReport,
  type FindProxy,
  type FoundProxies,
} from '../../src/index.ts'
import { parseFoundProxies } from '../../src/proxy/find-proxy.ts'
import { connectProxy } from '../connect-proxy.ts'
import { failure } from '../failure.ts'

let web: Listening
const heads: string[] = []
beforeAll(async () => {
  web = await listening(
    createServer((request, response) => {
      heads.push(`${request.method} ${request.url}`)
      response.end('hello')
    }),
  )
})
afterAll(() => web.close())

/** Dials the server by a name, which only a tunnel needs no lookup for. */
async function open(find: FindProxy, extra: object = {}): Promise<void> {
  const socket = await dial({ host: '127.0.0.1', port: web.port }, { proxy: find, ...extra })
  socket.destroy()
}

describe('an answer', () => {
  it.each([
    ['', ['direct']],
    ['DIRECT', ['direct']],
    ['PROXY a:3128; DIRECT', ['http://a:3128', 'direct']],
    ['  proxy a ;; HTTPS b:1;', ['http://a:80', 'https://b:1']],
    [
      'SOCKS a; SOCKS4 b:2; SOCKS5 [::1]:3',
      ['socks5h://a:1080', 'socks4a://b:2', 'socks5h://[::1]:3'],
    ],
    ['http://u:p@a:1; socks4://b', ['http://u:***@a:1', 'socks4://b:1080']],
    [`${'PROXY a:1;'.repeat(9)}DIRECT`, Array.from({ length: 8 }, () => 'http://a:1')],
  ])('%j means %j', (text, wanted) => {
    expect(parseFoundProxies(text).map((proxy) => proxy?.toString() ?? 'direct')).toEqual(wanted)
  })

  it.each([
    'a:3128',
    'PROXY',
    'PROXY a b',
    'GOPHER a:1',
    'PROXY a:0',
    'DIRECT a',
    'ftp://secret@a',
  ])('%j fails the dial, without its text', async (text) => {
    const error = await failure(open(() => text))
    expect(error).toMatchObject({ code: 'DIAL_PROXY_INVALID', leg: 'local', retry: 'no' })
    expect(inspect(error)).not.toContain('secret')
  })
})

describe('a function', () => {
  it('gets url and host of each dial, and may answer now or later, with text or with its source', async () => {
    const proxy = await connectProxy({})
    const asked: string[] = []
    const answer = `PROXY 127.0.0.1:${proxy.port}`
    const answers: (() => FoundProxies | Promise<FoundProxies>)[] = [
      () => answer,
      async () => await Promise.resolve(answer),
      () => ({ proxies: answer, from: 'a test' }),
    ]
    for (const say of answers) {
      await open((url, host) => {
        asked.push(`${url} ${host}`)
        return say()
      })
    }
    expect(asked).toEqual(Array.from({ length: 3 }, () => `tcp://127.0.0.1:${web.port}/ 127.0.0.1`))
    expect(proxy.requests).toHaveLength(3)
  })

  it.each([
    ['wss://example.com/x?y', 'wss://example.com/', 'example.com'],
    ['ws://example.com:8080/', 'ws://example.com:8080/', 'example.com'],
    ['wss://[::1]/', 'wss://[::1]/', '::1'],
  ])('is asked for %s with %s', async (target, url, host) => {
    const asked: string[] = []
    await explainRoute(target, {
      proxy: (...given) => {
        asked.push(...given.slice(0, 2).map(String))
        return 'PROXY 127.0.0.1:1'
      },
    })
    expect(asked).toEqual([url, host])
  })

  it('is asked for https with a dial that uses TLS', async () => {
    const asked: string[] = []
    const proxy: FindProxy = (url) => {
      asked.push(url)
      return 'no proxy'
    }
    await failure(dial({ host: '::1', port: 8443 }, { tls: true, proxy }))
    expect(asked).toEqual(['https://[::1]:8443/'])
  })

  it('goes to the next entry when a proxy cannot be reached, and not when one refuses', async () => {
    const proxy = await connectProxy({})
    const closed = await connectProxy({})
    await closed.close()
    const dead = `PROXY 127.0.0.1:${closed.port}`
    await open(() => `${dead}; PROXY 127.0.0.1:${proxy.port}`)
    expect(proxy.requests).toHaveLength(1)
    await open(() => `${dead}; DIRECT`)
    expect(await failure(open(() => `${dead}; ${dead}`))).toMatchObject({
      code: 'DIAL_CONNECT_REFUSED',
      leg: 'proxy',
    })
    const locked = await connectProxy({ credentials: 'a:b' })
    const refusing = open(() => `PROXY 127.0.0.1:${locked.port}; DIRECT`)
    expect(await failure(refusing)).toMatchObject({ code: 'DIAL_PROXY_AUTH_REQUIRED' })
  })

  it('is not asked for targets of noProxy and for unix sockets', async () => {
    const never: FindProxy = () => {
      throw new Error('asked')
    }
    await open(never, { noProxy: '127.0.0.0/8' })
    expect(await failure(dial({ path: '/nope.sock' }, { proxy: never }))).toMatchObject({
      phase: 'connect',
    })
  })

  it('that throws, rejects or does not answer fails the dial, and its signal aborts', async () => {
    const broken = new Error('no script')
    for (const find of [
      () => {
        throw broken
      },
      async () => await Promise.reject(broken),
    ]) {
      const error = await failure(open(find))
      expect(error).toMatchObject({ code: 'DIAL_PROXY_INVALID', cause: broken })
      expect(error.message).toContain('no script')
    }
    let asked: AbortSignal | undefined
    const silent: FindProxy = (_url, _host, signal) => {
      asked = signal
      return new Promise(() => {})
    }
    const late = await failure(open(silent, { timeouts: { proxyMs: 20 } }))
    expect(late).toMatchObject({ code: 'DIAL_PROXY_TIMEOUT', leg: 'local' })
    expect(asked?.aborted).toBe(true)
    const controller = new AbortController()
    const reason = new Error('stop')
    const stopped = open(
      (_url, _host, signal) => {
        asked = signal
        controller.abort(reason)
        return new Promise(() => {})
      },
      { signal: controller.signal },
    )
    await expect(stopped).rejects.toBe(reason)
    expect(asked?.aborted).toBe(true)
  })

  it.each([
    ['null', null],
    ['a number', 5],
    ['a URL object', new URL('http://127.0.0.1:1')],
    ['settings of a proxy', { url: 'http://127.0.0.1:1' }],
    ['a list', ['PROXY 127.0.0.1:1']],
    ['proxies that are no text', { proxies: ['PROXY 127.0.0.1:1'], from: 'x' }],
  ])('that returns %s fails the dial, which is never direct', async (_what, found) => {
    const error = await failure(open(() => found as unknown as FoundProxies))
    expect(error).toMatchObject({
      code: 'DIAL_PROXY_INVALID',
      message: 'the function of the option proxy failed: it returned neither text nor undefined',
    })
  })

  it('is named in the report of a route, with the proxy it chose', async () => {
    const report = await explainRoute('https://example.com', {
      proxy: () => ({ proxies: 'http://u:hunter2@127.0.0.1:1', from: 'a test', warnings: ['odd'] }),
    })
    expect(report).toMatchObject({
      proxy: 'http://u:***@127.0.0.1:1',
      proxyFrom: 'a test',
      warnings: ['odd'],
    })
    expect(formatRouteReport(report)).not.toContain('hunter2')
  })
})

describe('plain requests', () => {
  /** A proxy that answers requests with an absolute URL itself, and knows CONNECT. */
  async function forwarding(): Promise<Listening & { readonly lines: string[] }> {
    const lines: string[] = []
    const server = createServer((request, response) => {
      lines.push(`${request.method} ${request.url}`)
      response.end('hello')
    })
    server.on('connect', (request, socket) => {
      lines.push(`${request.method} ${request.url}`)
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    return { ...(await listening(server)), lines }
  }

  it('have an absolute URL when the function answers at once, and a tunnel when it answers later', async () => {
    const proxy = await forwarding()
    const text = `PROXY 127.0.0.1:${proxy.port}`
    const target = `http://example.com:${web.port}/x`
    const now = createAgent({ proxy: () => text })
    const signals: AbortSignal[] = []
    const later = createAgent({
      proxy: async (_url, _host, signal) => {
        signals.push(signal)
        return await Promise.resolve(text)
      },
    })
    const request = async (agent: ReturnType<typeof createAgent>): Promise<string> =>
      new Promise((resolve, reject) => {
        get(target, { agent }, (response) => {
          response.resume().on('end', () => resolve(String(response.statusCode)))
        }).on('error', reject)
      })
    expect(await request(now)).toBe('200')
    await expect(request(later)).rejects.toMatchObject({ code: 'DIAL_PROXY_DENIED' })
    // The first was asked while the request was made, which waits for nothing.
    expect(signals.map(({ aborted }) => aborted)[0]).toBe(true)
    expect(signals).toHaveLength(2)
    await fetch(target, { dispatcher: createDispatcher({ proxy: () => text }) })
    expect(proxy.lines).toEqual([
      `GET ${target}`,
      `CONNECT example.com:${web.port}`,
      `GET ${target}`,
    ])
    await proxy.close()
  })
})

describe('a PAC script', () => {
  it('of the package pac-resolver chooses', async () => {
    const proxy = await connectProxy({})
    const script = `function FindProxyForURL(url, host) {
      if (shExpMatch(url, 'tcp:*') && isInNet(host, '127.0.0.0', '255.0.0.0')) return 'PROXY 127.0.0.1:${proxy.port}; DIRECT'
      return 'DIRECT'
    }`
    const wasm = await readFile(new URL(import.meta.resolve('quickjs-wasi/quickjs.wasm')))
    const engine = await QuickJS.create({ wasm })
    const findProxyForURL = createPacResolver(engine, script)
    await open(async (url, host) => await findProxyForURL(url, host))
    expect(proxy.requests).toEqual([`CONNECT 127.0.0.1:${web.port} HTTP/1.1`])
    const route = await explainRoute('https://127.0.0.2/', {
      proxy: async (url, host) => await findProxyForURL(url, host),
    })
    expect(route.proxy).toBe(null)
  })
})
