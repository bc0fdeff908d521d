// Services that answer more than they were asked: nothing of it is ever the answer to another visitor.
import type { Socket } from 'node:net'

import { Agent, forward, type StreamReuse } from '@proj/tunnel'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, it } from 'vitest'

import type { ProxyOptions } from '../../src/proxy/proxy-options.ts'
import { request, tunnel } from '../tunnel-fixture.ts'

const ROUNDS = 20

/**
 * A service that reads no bodies: each head is answered with its path, `/slow` 40 ms late, `/late` ahead
 * of the next answer.
 */
function bodyless(socket: Socket): void {
  let held = ''
  let late = ''
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('data', (chunk) => {
    held += chunk.toString('latin1')
    for (let end = held.indexOf('\r\n\r\n'); end >= 0; end = held.indexOf('\r\n\r\n')) {
      const path = held.slice(0, end).split(' ')[1] ?? ''
      held = held.slice(end + 4)
      const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`
      if (path === '/slow') setTimeout(() => socket.destroyed || socket.write(answer), 40)
      else if (path === '/late') late = answer
      else {
        socket.write(late + answer)
        late = ''
      }
    }
  })
}

/** How many of the next visitors get another's answer, each after one whose body is a request. */
async function wrong(
  method: string,
  inner: string,
  edge: ProxyOptions = {},
  reuse?: StreamReuse,
): Promise<number> {
  await using path = await tunnel({ tcp: bodyless, edge, ...(reuse !== undefined && { reuse }) })
  const body = request(`GET ${inner}`)
  let count = 0
  for (let round = 0; round < ROUNDS; round++) {
    using first = await path.visit()
    await first.send(request(`${method} /first`, `Content-Length: ${body.length}`) + body)
    await first.readResponse(method)
    const next = await exchangeRaw(path.port, request('GET /next', 'Connection: close'))
    if (next.body.toString() !== '/next') count += 1
  }
  return count
}

describe('a service that takes a body for a request', () => {
  it.each(
    ['GET', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH'].flatMap((method) =>
      ['/fast', '/slow', '/late'].map((inner) => [method, inner]),
    ),
  )('%s whose body asks for %s: the next visitor gets its own answer', async (method, inner) => {
    expect(await wrong(method ?? '', inner ?? '')).toBe(0)
  })

  it('with reuse always it answers the next visitor', async () => {
    expect(await wrong('GET', '/late', { reuse: 'always' })).toBeGreaterThan(0)
  })

  it('with what the agent asks for: always it answers the next visitor, never and safe it does not', async () => {
    expect(await wrong('GET', '/late', {}, 'always')).toBeGreaterThan(0)
    expect(await wrong('GET', '/late', { reuse: 'always' }, 'never')).toBe(0)
    expect(await wrong('GET', '/late', { reuse: 'always' }, 'safe')).toBe(0)
  })

  it('with reuse never and behind a proxy it does not', async () => {
    expect(await wrong('POST', '/slow', { reuse: 'never' })).toBe(0)
    expect(await wrong('POST', '/slow', { trustedHops: 1 })).toBe(0)
  })
})

it('a second answer behind the first ends the stream, and no other visitor gets it', async () => {
  const answer = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${text}`
  const sockets: Socket[] = []
  let ended = 0
  const sendSecond = (): void => void sockets.at(-1)?.write(answer('evil'))
  await using path = await tunnel({
    tcp: (socket) => {
      sockets.push(socket)
      const isAtOnce = sockets.length % 2 === 0
      socket.on('error', () => {})
      socket.on('close', () => (ended += 1))
      socket.on('end', () => socket.end())
      socket.on('data', () => {
        socket.write(answer('true'))
        if (isAtOnce) sendSecond()
      })
    },
  })
  for (let round = 1; round <= ROUNDS; round++) {
    const next = await exchangeRaw(path.port, request('GET /', 'Connection: close'))
    expect(next.body.toString()).toBe('true')
    if (round % 2 === 1) sendSecond() // to the stream that is idle now
    await until(() => ended === round, { what: 'the end of the stream' })
  }
  expect(sockets.length).toBe(ROUNDS)
})

describe('a stream is used again', () => {
  /**
   * Connections of the service that `requests` need, two visitors one after the other.
   *
   * @param isShared - whether the second one may use the stream of the first, after the look.
   */
  async function connections(
    one: string,
    edge: ProxyOptions = {},
    isShared = false,
    reuse?: StreamReuse,
  ): Promise<number> {
    let count = 0
    await using path = await tunnel({
      edge,
      ...(reuse !== undefined && { reuse }),
      http: (req, res) => void req.resume().on('end', () => res.end('ok')),
    })
    path.serviceServer.on('connection', () => (count += 1))
    for (let visitors = 0; visitors < 2; visitors++) {
      using visitor = await path.visit()
      for (let round = 0; round < 3; round++) {
        await visitor.send(one)
        expect((await visitor.readResponse()).status).toBe(200)
      }
      if (isShared) await until(() => path.server.edge.pool.shared === 1)
    }
    return count
  }
  const post = `${request('POST /', 'Content-Length: 2')}ab`

  it('after a request without a body, by other visitors too', async () => {
    expect(await connections(request('GET /'), {}, true)).toBe(1)
  })

  it('after a body by the same visitor alone', async () => {
    expect(await connections(post)).toBe(2)
  })

  it('after a body by all visitors with reuse always, by none with never', async () => {
    expect(await connections(post, { reuse: 'always' })).toBe(1)
    expect(await connections(post, { reuse: 'never' })).toBe(6)
  })

  it('as the agent asks for its endpoint: never opens a stream per request, always takes no look', async () => {
    expect(await connections(request('GET /'), {}, false, 'never')).toBe(6)
    expect(await connections(post, { reuse: 'always' }, false, 'never')).toBe(6)
    expect(await connections(post, { reuse: 'never' }, false, 'always')).toBe(1)
    expect(await connections(post, { trustedHops: 1 }, false, 'always')).toBe(1)
    expect(await connections(post, { reuse: 'always' }, false, 'safe')).toBe(2)
  })

  it('by no request any more once an agent of the endpoint asks for never', async () => {
    const used = new Set<unknown>()
    await using path = await tunnel({
      reuse: 'always',
      http: (req, res) => {
        used.add(req.socket)
        res.end('ok')
      },
    })
    using visitor = await path.visit()
    async function ask(): Promise<void> {
      await visitor.send(request('GET /'))
      expect((await visitor.readResponse()).status).toBe(200)
    }
    await ask()
    await ask()
    expect(used.size).toBe(1)
    await using strict = new Agent({ url: path.upstreamUrl, connections: 1 })
    const listener = forward(strict, 'web', {
      kind: 'http',
      reuse: 'never',
      service: { host: path.service.host, port: path.service.port },
    })
    await listener.ready()
    for (let round = 0; round < 4; round++) await ask()
    expect(used.size).toBe(5)
    await listener.close()
    await ask()
    await ask()
    // The first stream waits still; a node gives back those to another node when the strictness changes.
    expect(used.size).toBe(path.nodes === undefined ? 5 : 6)
  })

  it('behind a proxy after a request without a body alone', async () => {
    expect(await connections(post, { trustedHops: 1 })).toBe(6)
  })
})
