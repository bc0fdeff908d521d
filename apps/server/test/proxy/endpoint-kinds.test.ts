// What an endpoint carries: HTTP visitors never reach a TCP service.
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

import { Agent, forward, dial } from '@proj/tunnel'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, it } from 'vitest'

import { request, startServer } from '../tunnel-fixture.ts'

/** A server, and a line-based service with the endpoint `web` with the given kind; `lines` is what it has read. */
async function offered(kind: 'http' | 'tcp') {
  const lines: string[] = []
  const accepted: Socket[] = []
  const serviceServer = createServer((socket) => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      lines.push(chunk.toString())
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const service = await listening(serviceServer)
  const server = await startServer()
  const upstreamUrl = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const port = server.listeners.proxy.bound[0]?.port ?? 0
  const agent = new Agent({ url: upstreamUrl, connections: 1 })
  const listener = forward(agent, 'web', {
    kind,
    service: { host: service.host, port: service.port },
  })
  await listener.ready()
  return {
    lines,
    accepted,
    server,
    listener,
    port,
    proxyUrl: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]()
      server.destroy()
      await service.close()
    },
  }
}

describe('a TCP endpoint', () => {
  it.each(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'X'])(
    'answers %s with 404',
    async (method) => {
      await using path = await offered('tcp')
      const body = 'flush_all\r\n'
      const head = request(`${method} /`, `Content-Length: ${body.length}`, 'Connection: close')
      const answer = await exchangeRaw(path.port, head + body)
      expect(answer.status).toBe(404)
      expect(answer.headers['adit-error']).toBe('endpoint_not_http')
      expect(path.accepted).toEqual([])
    },
  )

  it('answers an upgrade with 404', async () => {
    await using path = await offered('tcp')
    const head = request('GET /', 'Connection: Upgrade', 'Upgrade: websocket')
    expect((await exchangeRaw(path.port, head)).status).toBe(404)
    expect(path.accepted).toEqual([])
  })

  it('has no URL for HTTP visitors', async () => {
    await using path = await offered('tcp')
    expect(path.listener.urls).toEqual([])
  })

  it('is reset by its agent when a server opens an HTTP stream', async () => {
    await using path = await offered('tcp')
    const upstream = path.server.registry.pick({ tenant: '', name: 'web' })
    const error = await new Promise((resolve) => {
      upstream?.openStream(
        { kind: 'http', endpoint: 'web' },
        { onData: () => undefined, onEnd() {}, onDrain() {}, onClose: resolve },
      )
    })
    expect(error).toMatchObject({ code: 'MUX_STREAM_RESET', reason: 14 })
    expect(path.accepted).toEqual([])
  })
})

describe('an HTTP endpoint', () => {
  it('has a URL and answers HTTP visitors', async () => {
    await using path = await offered('http')
    expect(path.listener.urls).toEqual([`http://web.localhost:${path.port}`])
    expect((await exchangeRaw(path.port, request('GET /', 'Connection: close'))).status).toBe(200)
  })

  it('takes the TCP stream of a consumer, who has the right to connect', async () => {
    await using path = await offered('http')
    const stream = await dial('web', { url: path.proxyUrl })
    stream.end('GET / HTTP/1.1\r\nHost: web\r\n\r\n')
    const [chunk] = (await once(stream, 'data')) as [Buffer]
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 200 OK/)
    stream.destroy()
  })
})
