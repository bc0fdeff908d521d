import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { Agent } from 'node:http'
import { inspect } from 'node:util'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { scriptedPeer } from '@proj/testkit/scripted-peer'
import { describe, expect, it, onTestFinished } from 'vitest'

import {
  createAgent,
  createConnector,
  createDispatcher,
  type DialOptions,
  type FetchDispatcher,
  isDialError,
  proxyFromEnvironment,
} from '../../src/index.ts'
import { connectProxy } from '../connect-proxy.ts'

const authority = certificateAuthority('Our Root')

async function serve(secure: boolean) {
  const answer: http.RequestListener = (request, response) => {
    response.setHeader('x-peer', String(request.socket.remoteAddress))
    response.end(`${request.method ?? ''} ${request.url ?? ''}`)
  }
  const server = secure
    ? https.createServer(authority.issue({ name: 'server' }), answer)
    : http.createServer(answer)
  const peer = await listening(server)
  onTestFinished(() => peer.close())
  return { ...peer, server }
}

async function get(
  url: string,
  agent: Agent,
): Promise<{ status: number | undefined; body: string; peer: unknown }> {
  onTestFinished(() => agent.destroy())
  const request = (url.startsWith('https') ? https : http).get(url, { agent })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let body = ''
  response.setEncoding('utf8')
  for await (const chunk of response) body += String(chunk)
  return { status: response.statusCode, body, peer: response.headers['x-peer'] }
}

describe('createAgent', () => {
  it('works with node:https, keeps connections, and dials from the source address', async () => {
    const { port, server } = await serve(true)
    let connections = 0
    server.on('connection', () => (connections += 1))
    const agent = createAgent({
      tls: { ca: authority.cert },
      localAddress: '127.0.0.4',
      keepAlive: true,
    })
    for (const path of ['/a', '/b']) {
      const answer = await get(`https://127.0.0.1:${port}${path}`, agent)
      expect(answer).toEqual({ status: 200, body: `GET ${path}`, peer: '127.0.0.4' })
    }
    expect(connections).toBe(1)
  })

  it('tunnels through a proxy', async () => {
    const { port } = await serve(true)
    const proxy = await connectProxy({ credentials: 'me:pw' })
    const agent = createAgent({
      tls: { ca: authority.cert },
      proxy: `http://me:pw@${proxy.authority}`,
    })
    expect((await get(`https://127.0.0.1:${port}/x`, agent)).body).toBe('GET /x')
    expect(proxy.requests).toEqual([`CONNECT 127.0.0.1:${port} HTTP/1.1`])
  })

  it('fails the request with the DialError', async () => {
    const agent = createAgent({ proxy: 'http://127.0.0.1:1' })
    const request = https.get('https://server.test/', { agent })
    const [error] = await once(request, 'error')
    expect(isDialError(error, 'DIAL_CONNECT_REFUSED')).toBe(true)
  })
})

describe('createAgent for http:', () => {
  it('works with node:http without a proxy, and for targets in noProxy', async () => {
    const { port } = await serve(false)
    const url = `http://127.0.0.1:${port}/x`
    expect((await get(url, createAgent())).body).toBe('GET /x')
    const around = createAgent({ proxy: 'http://127.0.0.1:1', noProxy: '127.0.0.0/8' })
    expect((await get(url, around)).body).toBe('GET /x')
  })

  it('sends an absolute URL to an HTTP proxy, from the source address, on kept connections', async () => {
    const seen: string[] = []
    const sources = new Set<string>()
    const proxy = await scriptedPeer(async ({ readUntil, send, socket }) => {
      sources.add(`${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`)
      for (;;) {
        seen.push(await readUntil('\r\n\r\n'))
        send('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok')
      }
    })
    const agent = createAgent({
      proxy: `http://me:p%40w@${proxy.authority}`,
      localAddress: '127.0.0.5',
      keepAlive: true,
    })
    for (const path of ['/a', '/b']) await get(`http://server.test:8080${path}`, agent)
    expect(seen.map((head) => head.split('\r\n')[0])).toEqual([
      'GET http://server.test:8080/a HTTP/1.1',
      'GET http://server.test:8080/b HTTP/1.1',
    ])
    const basic = Buffer.from('me:p@w').toString('base64')
    expect(seen[0]).toContain(`Proxy-Authorization: Basic ${basic}\r\n`)
    expect(sources.size).toBe(1)
    expect([...sources][0]).toMatch(/^127\.0\.0\.5:/)
    const shown = inspect(agent, { depth: 9, showHidden: true })
    expect(shown).not.toContain('p@w')
    expect(shown).not.toContain(basic)
  })

  it('fails the request when the environment has an invalid proxy', async () => {
    const agent = createAgent({ proxy: proxyFromEnvironment({ http_proxy: 'quic://x' }) })
    const request = http.get('http://server.test/', { agent })
    const [error] = await once(request, 'error')
    expect(isDialError(error, 'DIAL_PROXY_INVALID')).toBe(true)
  })
})

describe('createDispatcher', () => {
  const make = (options: DialOptions = {}): FetchDispatcher => {
    const dispatcher = createDispatcher(options)
    onTestFinished(() => dispatcher.destroy())
    return dispatcher
  }

  it('works with the global fetch, for http: and https:', async () => {
    const secure = await serve(true)
    const plain = await serve(false)
    const dispatcher = make({ tls: { ca: authority.cert }, localAddress: '127.0.0.7' })
    for (const url of [`https://127.0.0.1:${secure.port}/x`, `http://127.0.0.1:${plain.port}/x`]) {
      const response = await fetch(url, { dispatcher })
      expect(await response.text()).toBe('GET /x')
      expect(response.headers.get('x-peer')).toMatch(/127\.0\.0\.7$/)
    }
  })

  it('sends plain requests to a proxy with an absolute URL, and others through a tunnel', async () => {
    const { port } = await serve(true)
    const seen: string[] = []
    const forwarding = await scriptedPeer(async ({ readUntil, send }) => {
      for (;;) {
        seen.push(await readUntil('\r\n\r\n'))
        send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }
    })
    const dispatcher = make({
      proxy: `http://me:p%40w@${forwarding.authority}`,
      proxyHeaders: { 'X-For-Proxy': '1' },
      noProxy: '127.0.0.1',
      tls: { ca: authority.cert },
    })
    for (const path of ['/a?b=c', '/b']) {
      const response = await fetch(`http://server.test:8080${path}`, {
        dispatcher,
        method: 'POST',
        body: '',
        headers: { 'X-Mine': 'yes' },
      })
      expect(await response.text()).toBe('ok')
    }
    expect(seen.map((head) => head.split('\r\n')[0])).toEqual([
      'POST http://server.test:8080/a?b=c HTTP/1.1',
      'POST http://server.test:8080/b HTTP/1.1',
    ])
    const basic = Buffer.from('me:p@w').toString('base64')
    for (const line of [
      'host: server.test:8080',
      'x-mine: yes',
      'x-for-proxy: 1',
      `proxy-authorization: basic ${basic.toLowerCase()}`,
    ]) {
      expect(seen[0]?.toLowerCase()).toContain(`\r\n${line}\r\n`)
    }
    const direct = await fetch(`https://127.0.0.1:${port}/x`, { dispatcher })
    expect(await direct.text()).toBe('GET /x')
    const tunnels = await connectProxy({})
    const through = make({ proxy: `http://${tunnels.authority}`, tls: { ca: authority.cert } })
    const response = await fetch(`https://127.0.0.1:${port}/x`, { dispatcher: through })
    expect(await response.text()).toBe('GET /x')
    expect(tunnels.requests).toEqual([`CONNECT 127.0.0.1:${port} HTTP/1.1`])
  })

  it('fails the fetch with the DialError as its cause', async () => {
    const envs = [
      { proxy: 'http://127.0.0.1:1' },
      { proxy: proxyFromEnvironment({ http_proxy: 'quic://x' }) },
    ]
    const codes = []
    for (const options of envs) {
      const error: unknown = await fetch('http://server.test/', {
        dispatcher: make(options),
      }).catch((reason: unknown) => reason)
      codes.push(((error as Error).cause as { code: string }).code)
    }
    expect(codes).toEqual(['DIAL_CONNECT_REFUSED', 'DIAL_PROXY_INVALID'])
  })

  it('asks for the class of undici when the global dispatcher was replaced', () => {
    const keys = [1, 2].map((version) => Symbol.for(`undici.globalDispatcher.${version}`))
    void globalThis.Headers
    const before = keys.map((key) => Reflect.get(globalThis, key) as unknown)
    onTestFinished(() => {
      for (const [index, key] of keys.entries()) Reflect.set(globalThis, key, before[index])
    })
    for (const key of keys) Reflect.set(globalThis, key, {})
    expect(() => createDispatcher()).toThrow('pass the class Agent of undici')
  })
})

describe('createConnector', () => {
  it('works as the connector of an undici dispatcher for fetch', async () => {
    const { port } = await serve(true)
    const plain = await serve(false)
    const proxy = await connectProxy({})
    // The dispatcher class of the undici that is built into Node.
    await fetch(`http://127.0.0.1:${plain.port}/`).then((response) => response.text())
    const key = Number(process.versions.node.split('.')[0]) < 26 ? 1 : 2
    const globalAgent = Reflect.get(globalThis, Symbol.for(`undici.globalDispatcher.${key}`)) as {
      constructor: new (options: object) => { destroy(): Promise<void> }
    }
    const dispatcher = new globalAgent.constructor({
      connect: createConnector({ tls: { ca: authority.cert }, proxy: `http://${proxy.authority}` }),
    })
    onTestFinished(() => dispatcher.destroy())
    for (const url of [`https://127.0.0.1:${port}/x`, `http://127.0.0.1:${plain.port}/x`]) {
      const response = await fetch(url, { dispatcher } as RequestInit)
      expect(await response.text()).toBe('GET /x')
    }
    expect(proxy.requests).toHaveLength(2)
    const failing = new globalAgent.constructor({
      connect: createConnector({ proxy: 'http://127.0.0.1:1' }),
    })
    onTestFinished(() => failing.destroy())
    const error = await fetch('http://server.test/', { dispatcher: failing } as RequestInit).catch(
      (reason: unknown) => reason,
    )
    expect(isDialError((error as Error).cause, 'DIAL_CONNECT_REFUSED')).toBe(true)
  })
})
