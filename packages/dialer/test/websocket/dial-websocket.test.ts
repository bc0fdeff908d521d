import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

import { afterEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'

import { dialRawWebSocket, dialWebSocket } from '../../src/index.ts'
import { failure } from '../failure.ts'

const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

async function serve(
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
): Promise<{ url: string; server: Server; sockets: Set<Duplex> }> {
  const server = createServer(onRequest)
  const sockets = new Set<Duplex>()
  server.on('connection', (socket: Duplex) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  if (onUpgrade) server.on('upgrade', onUpgrade)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/up?secret=1`,
    server,
    sockets,
  }
}

async function serveEcho() {
  const wss = new WebSocketServer({ noServer: true })
  wss.on('connection', (websocket, request) => {
    websocket.send(`hello ${String(request.headers['x-who'])}`)
    websocket.on('message', (data) => websocket.send(data))
  })
  return serve(
    (_request, response) => response.end(),
    (request, socket, head) =>
      wss.handleUpgrade(request, socket, head, (websocket) =>
        wss.emit('connection', websocket, request),
      ),
  )
}

describe('dialWebSocket', () => {
  it('gets the message that arrived with the response', async () => {
    const { url } = await serveEcho()
    const websocket = await dialWebSocket(url, { headers: { 'x-who': 'me' } })
    const [first] = await once(websocket, 'message')
    expect(String(first)).toBe('hello me')
    websocket.send('ping')
    const [second] = await once(websocket, 'message')
    expect(String(second)).toBe('ping')
    expect(websocket.extensions).toBe('')
    websocket.terminate()
  })

  it('closes with 1009 when a message exceeds maxPayloadBytes, and accepts one of that size', async () => {
    const { url } = await serveEcho()
    const websocket = await dialWebSocket(url, { maxPayloadBytes: 16 })
    await once(websocket, 'message')
    websocket.send('x'.repeat(16))
    const [data] = await once(websocket, 'message')
    expect(String(data)).toHaveLength(16)
    const failed = once(websocket, 'error')
    websocket.send('x'.repeat(17))
    const [error] = await once(websocket, 'error')
    expect(String(error)).toContain('Max payload size exceeded')
    void failed
  })
})

describe('dialRawWebSocket', () => {
  // ws calls setSocket(socket, head, options) after its checks of the 101; dialRawWebSocket depends on it.
  it('returns the connection without framing, with the first bytes and the headers', async () => {
    const { url, sockets } = await serveEcho()
    const { socket, head, headers } = await dialRawWebSocket(url, { headers: { 'x-who': 'raw' } })
    expect(headers.upgrade).toBe('websocket')
    let bytes = head
    socket.on('data', (chunk: Buffer) => (bytes = Buffer.concat([bytes, chunk])))
    while (bytes.length < 11) await once(socket, 'data')
    // FIN + text, length 9, "hello raw": the frame itself, not its payload.
    expect(bytes.toString('latin1')).toBe('\x81\x09hello raw')
    expect(socket.listenerCount('error')).toBe(0)
    // A masked close frame with an all-zero key, status 1000: 88 82, key, 03 e8.
    socket.write(Buffer.from('88820000000003e8', 'hex'))
    while (bytes.length < 15) await once(socket, 'data')
    expect(bytes.subarray(11).toString('hex')).toBe('880203e8')
    socket.destroy()
    expect(sockets.size).toBe(1)
  })

  it.each([
    [401, 'slow'],
    [403, 'slow'],
    [404, 'slow'],
    [407, 'slow'],
    [408, 'yes'],
    [429, 'yes'],
    [500, 'yes'],
    [501, 'slow'],
    [502, 'yes'],
    [503, 'yes'],
    [504, 'yes'],
    [521, 'slow'],
    [301, 'slow'],
    [200, 'slow'],
  ])('reports a rejection with status %i as retryable: %s', async (status, retry) => {
    const { url } = await serve((_request, response) => {
      response.writeHead(status, { location: '/elsewhere', 'retry-after': '7' })
      response.end(JSON.stringify({ error: 'bad\ntoken' }))
    })
    const error = await failure(dialRawWebSocket(url))
    expect(error.code).toBe('DIAL_UPGRADE_REFUSED')
    expect(error.status).toBe(status)
    expect(error.retry).toBe(retry)
    expect(error.retryAfterMs).toBe(7000)
    expect(error.headers?.['location']).toBe('/elsewhere')
    expect(error.message).toContain('(bad token)')
    expect(error.message).not.toContain('secret')
  })

  it.each([
    [403, 'no', { 'adit-error': 'client_certificate_missing' }, '{"error":"one is required"}'],
    [400, 'slow', { server: 'nginx' }, '<center>No required SSL certificate was sent</center>'],
  ])(
    'recognises a %i about a client certificate, to be retried: %s',
    async (status, retry, headers, body) => {
      const { url } = await serve((_request, response) =>
        response.writeHead(status, headers).end(body),
      )
      const error = await failure(dialRawWebSocket(url))
      expect([error.code, error.kind, error.status]).toEqual([
        'DIAL_TLS_CLIENT_CERT',
        'tls',
        status,
      ])
      expect(error.retry).toBe(retry)
      expect(error.hint).toContain('tls.cert')
    },
  )

  it('keeps 1024 bytes of the body of a rejection', async () => {
    for (const size of [1023, 1024, 1025, 100_000]) {
      const { url } = await serve((_request, response) => {
        response.writeHead(403).end('x'.repeat(size))
      })
      const error = await failure(dialRawWebSocket(url))
      expect(error.bodyText).toHaveLength(Math.min(size, 1024))
    }
  })

  it('treats a missing response as retryable', async () => {
    const { url } = await serve(
      () => {},
      (_request, socket) => socket.destroy(),
    )
    const error = await failure(dialRawWebSocket(url))
    expect([error.code, error.retryable]).toEqual(['DIAL_UPGRADE_CLOSED', true])
  })

  it('times out a server that does not respond, and closes the connection', async () => {
    const { url, sockets } = await serve(
      () => {},
      () => {},
    )
    const error = await failure(dialRawWebSocket(url, { timeouts: { upgradeMs: 50 } }))
    expect([error.code, error.retryable]).toEqual(['DIAL_UPGRADE_TIMEOUT', true])
    for (const socket of sockets) {
      socket.resume()
      if (!socket.readableEnded) await once(socket, 'end')
    }
  })

  it('rejects a wrong Sec-WebSocket-Accept and bytes that are not HTTP', async () => {
    for (const answer of [
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n',
      'SSH-2.0-OpenSSH_9.2\r\n',
    ]) {
      const { url } = await serve(
        () => {},
        (_request, socket) => socket.write(answer),
      )
      const error = await failure(dialRawWebSocket(url))
      expect(error.code).toBe('DIAL_UPGRADE_INVALID')
    }
  })

  it('rejects with the reason of the signal during the upgrade', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const { url } = await serve(
      () => {},
      () => controller.abort(reason),
    )
    await expect(dialRawWebSocket(url, { signal: controller.signal })).rejects.toBe(reason)
  })

  it('rejects wrong arguments at once, without credentials in the error', () => {
    const bad: [() => unknown, string][] = [
      [() => dialRawWebSocket('not a url'), 'url'],
      [() => dialRawWebSocket('ftp://a.test'), 'ws://'],
      [() => dialRawWebSocket('ws://a.test', { tls: {} }), 'tls'],
      [() => dialRawWebSocket('ws://a.test', { headers: { 'bad name': 'x' } }), 'bad name'],
      [() => dialRawWebSocket('ws://a.test', { headers: { a: 'x\r\ny' } }), 'a'],
      [() => dialWebSocket('ws://a.test', { maxPayloadBytes: 2 ** 31 }), 'maxPayloadBytes'],
      [() => dialWebSocket('ws://a.test', { protocols: ['a', 'a'] }), 'protocols'],
      [() => dialWebSocket('ws://a.test', { protocols: ['a b'] }), 'protocols'],
      [() => dialWebSocket('wss://a.test', { tls: false }), 'tls'],
    ]
    for (const [call, name] of bad) expect(call).toThrow(name)
    expect(() => dialRawWebSocket('ws://user:hunter2@')).toThrow(/^(?!.*hunter2)/)
  })
})
