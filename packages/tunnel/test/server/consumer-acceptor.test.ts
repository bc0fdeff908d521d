import { once } from 'node:events'

import { exchangeRaw } from '@proj/testkit/raw-http'
import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import { silentLogger } from '../../src/logger.ts'
import { openConnection } from '../../src/server/open-connection.ts'
import { RESET_REASONS } from '../../src/protocol/reset-reason.ts'
import {
  at,
  connectPeer,
  ending,
  openTo,
  openWebSocket,
  readAll,
  startServer,
  type TestServer,
  type WirePeer,
} from '../peers.ts'

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]

function head(line: string, headers: readonly string[] = UPGRADE): string {
  return [`${line} HTTP/1.1`, 'Host: server.example', ...headers, '', ''].join('\r\n')
}

/** A server with one Go-like agent that serves `pg`. */
async function serverWithAgent(
  options: Parameters<typeof startServer>[0] = {},
): Promise<TestServer & { readonly agent: WirePeer; readonly tcp: string }> {
  const server = await startServer(options)
  const agent = await connectPeer(`${server.url}/piko/v1/upstream/pg`)
  return { ...server, agent, tcp: `${server.url}/_piko/v1/tcp/pg` }
}

describe('the connect route, for a Piko forwarder', () => {
  test('only GET with one segment is it', async () => {
    const { connect } = await startServer()
    expect(connect.matches('GET', '/_piko/v1/tcp/pg')).toBe(true)
    expect(connect.matches('POST', '/_piko/v1/tcp/pg')).toBe(false)
    expect(connect.matches('GET', '/_piko/v1/tcp/')).toBe(false)
    expect(connect.matches('GET', '/_piko/v1/tcp/pg/x')).toBe(false)
    expect(connect.matches('GET', '/_piko/v2/tcp/pg')).toBe(false)
  })

  test('without an upstream is 502 JSON, before anything is upgraded', async () => {
    const server = await startServer()
    for (const headers of [UPGRADE, [...UPGRADE, 'Origin: http://evil.example']]) {
      const request = head('GET /_piko/v1/tcp/pg', headers)
      const answer = await exchangeRaw(server.listening.port, request)
      expect(answer.status).toBe(502)
      expect(answer.body.toString()).toBe('{"error":"no available upstreams"}\n')
    }
  })

  test.each([
    ['a wrong version', [...UPGRADE.slice(0, 3), 'Sec-WebSocket-Version: 8'], 400],
    ['a wrong key', [...UPGRADE.slice(0, 2), 'Sec-WebSocket-Key: x', UPGRADE[3] ?? ''], 400],
    ['an Origin of another host', [...UPGRADE, 'Origin: http://evil.example'], 403],
  ])('with %s is refused, and the agent sees no stream', async (_, headers, status) => {
    const server = await serverWithAgent()
    let streams = 0
    server.agent.session.on('stream', () => (streams += 1))
    const answer = await exchangeRaw(server.listening.port, head('GET /_piko/v1/tcp/pg', headers))
    expect(answer.status).toBe(status)
    await server.agent.session.ping() // behind any SYN
    expect(streams).toBe(0)
  })

  test('is judged as connect; a denial and a missing permission are 401', async () => {
    const asked: string[] = []
    const server = await serverWithAgent({
      authorize: ({ action, endpoint, headers }) => {
        asked.push(`${action} ${endpoint}`)
        if (headers.authorization === 'Bearer bad') return { status: 401, error: 'invalid token' }
        return { identity: 'a', tenant: '', permits: (wanted) => wanted === 'listen' }
      },
    })
    for (const [token, error] of [
      ['bad', 'invalid token'],
      ['good', 'endpoint not permitted'],
    ]) {
      const request = head('GET /_piko/v1/tcp/pg', [...UPGRADE, `Authorization: Bearer ${token}`])
      const answer = await exchangeRaw(server.listening.port, request)
      expect(answer.status).toBe(401)
      expect(JSON.parse(answer.body.toString())).toEqual({ error })
    }
    expect(asked).toEqual(['listen pg', 'connect pg', 'connect pg'])
  })

  test('an authority that fails to decide is a bare 500', async () => {
    const server = await startServer({ authorize: () => Promise.reject(new Error('no database')) })
    const answer = await exchangeRaw(server.listening.port, head('GET /_piko/v1/tcp/pg'))
    expect(answer.status).toBe(500)
  })

  test('is a raw pipe both ways after 101, the bytes unframed on the agent side', async () => {
    const server = await serverWithAgent()
    const { websocket, answer } = await openWebSocket(server.tcp)
    expect(answer.headers['adit-protocol']).toBeUndefined()
    const stream = await server.agent.stream()
    for (let turn = 0; turn < 10; turn++) {
      websocket.send(Buffer.from(`ping ${turn}`))
      expect(String(((await once(stream, 'data')) as [Buffer])[0])).toBe(`ping ${turn}`)
      stream.write(`pong ${turn}`)
      expect(String(((await once(websocket, 'message')) as [Buffer])[0])).toBe(`pong ${turn}`)
    }
    expect(server.connect.size).toBe(1)
    websocket.terminate()
    await once(stream, 'end')
    stream.end() // as every agent answers an end
    await until(() => server.connect.size === 0)
  })

  test('the end at either side reaches the other', async () => {
    const server = await serverWithAgent()
    const first = await openWebSocket(server.tcp)
    const one = await server.agent.stream(0)
    one.end('bye')
    const [message] = (await once(first.websocket, 'message')) as [Buffer]
    expect(String(message)).toBe('bye')
    const second = await openWebSocket(server.tcp)
    const two = await server.agent.stream(1)
    second.socket.end()
    expect(await readAll(two)).toBe('')
  })

  test('one connection more than the limit is 503', async () => {
    const server = await serverWithAgent({ maxSessions: 1 })
    await openWebSocket(server.tcp)
    const answer = await exchangeRaw(server.listening.port, head('GET /_piko/v1/tcp/pg'))
    expect(answer.status).toBe(503)
    expect(JSON.parse(answer.body.toString())).toEqual({ error: 'too many connections' })
  })

  test('draining refuses new connections and waits for those that run', async () => {
    const server = await serverWithAgent()
    const { websocket } = await openWebSocket(server.tcp)
    const stream = await server.agent.stream()
    let over = false
    const drained = server.connect
      .drain({ signal: AbortSignal.timeout(20_000) })
      .then(() => (over = true))
    const answer = await exchangeRaw(server.listening.port, head('GET /_piko/v1/tcp/pg'))
    expect(answer.status).toBe(503)
    expect(over).toBe(false)
    stream.end()
    websocket.terminate()
    await drained
    expect(server.connect.size).toBe(0)
  })

  test('what still runs when the patience ends is cut', async () => {
    const server = await serverWithAgent()
    const { websocket } = await openWebSocket(server.tcp)
    const stream = await server.agent.stream()
    const closed = Promise.all([once(websocket, 'close'), ending(stream)])
    const patience = new AbortController()
    const drained = server.connect.drain({ signal: patience.signal })
    patience.abort()
    await drained
    const [, error] = await closed
    expect(error).toMatchObject({ reason: RESET_REASONS.draining })
    expect(server.connect.size).toBe(0)
  })

  test('to an agent with too many streams to acknowledge is 503, not 502', async () => {
    const server = await serverWithAgent({ waits: { busyWaitMs: 50 } })
    server.agent.socket.pause() // it reads nothing, so it acknowledges nothing
    for (let streams = 0; streams < 256; streams++) {
      openTo(server.registry, { kind: 'tcp', endpoint: 'pg' })
    }
    const open = (name: string): unknown => {
      const visitor = { remoteAddress: undefined, remotePort: undefined }
      const { signal } = new AbortController()
      return openConnection(server.registry, at(name), visitor, silentLogger, signal)
    }
    expect(await open('pg')).toBe('limitReached')
    const answer = await exchangeRaw(server.listening.port, head('GET /_piko/v1/tcp/pg'))
    expect(answer.status).toBe(503)
    expect(open('none')).toBe('noUpstream')
  })
})
