import { createServer as createHttpServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

import { expect, it, onTestFinished } from 'vitest'

import { listen, type ListenOptions, peerOf } from '../../src/index.ts'

const HEADER = 'PROXY TCP4 192.0.2.1 192.0.2.9 52001 443\r\n'

/** A listener behind load balancers with these addresses; it answers with the client and what came of it. */
async function listener(options: Partial<ListenOptions> = {}, from = ['127.0.0.0/8']) {
  const rejected: string[] = []
  const listeners = await listen('127.0.0.1:0', {
    onConnection: (socket, peer) => {
      socket.on('error', () => {})
      const of = peerOf(socket)
      let came = ''
      socket.on('data', (chunk) => (came += String(chunk)))
      socket.once('end', () =>
        socket.end(`${peer.address}:${peer.port} ${of?.address}:${of?.port} ${came}`),
      )
    },
    ...options,
    proxyProtocol: { from, onRejected: (why) => rejected.push(why), ...options.proxyProtocol },
  })
  onTestFinished(() => listeners.destroy())
  return { port: listeners.bound[0]?.port ?? 0, rejected, listeners }
}

async function send(port: number, ...chunks: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  socket.on('error', () => {})
  for (const chunk of chunks) await new Promise((sent) => socket.write(chunk, sent))
  socket.end()
  return await answerOf(socket)
}

/** Each byte as a chunk. */
function bytesOf(text: string): string[] {
  return text.split('')
}

async function answerOf(socket: Socket): Promise<string> {
  return await text(socket).catch(() => '')
}

it('gives a connection the client that its header names, and everything behind the header', async () => {
  const { port } = await listener()
  const answer = '192.0.2.1:52001 192.0.2.1:52001 hello'
  expect(await send(port, `${HEADER}hello`)).toBe(answer)
  expect(await send(port, HEADER, 'hel', 'lo')).toBe(answer)
  expect(await send(port, ...bytesOf(`${HEADER}hello`))).toBe(answer)
})

it('takes the load balancer itself for the client when its header names none', async () => {
  const { port } = await listener()
  expect(await send(port, 'PROXY UNKNOWN\r\nhello')).toMatch(
    /^127\.0\.0\.1:\d+ 127\.0\.0\.1:\d+ hello$/,
  )
})

it('closes a connection of an address that is no load balancer, whatever it sends', async () => {
  const { port, rejected, listeners } = await listener({}, ['192.0.2.0/24'])
  expect(await send(port, `${HEADER}hello`)).toBe('')
  expect(rejected).toEqual(['it does not come from a load balancer'])
  expect(listeners.stats()).toMatchObject({ open: 0, refused: 1 })
})

it('closes a connection without a header', async () => {
  const { port, rejected } = await listener()
  expect(await send(port, 'GET / HTTP/1.1\r\n\r\n')).toBe('')
  expect(await send(port, HEADER.slice(0, 20))).toBe('')
  expect(rejected).toEqual([
    'the connection does not begin with a PROXY protocol header',
    'it ended before its header was complete',
  ])
})

it('closes a connection whose header does not come in time', async () => {
  const { port, rejected } = await listener({
    proxyProtocol: { from: ['127.0.0.1'], proxyHeaderTimeoutMs: 20 },
  })
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('PROXY ')
  // with a reset where nothing of it was read in time: `once` would reject
  await new Promise((resolve) => socket.once('close', resolve))
  expect(rejected).toEqual(['no header within 20 ms'])
})

it('asks the access lists about the client, not about the load balancer', async () => {
  const denied = await listener({ deny: ['192.0.2.1'] })
  expect(await send(denied.port, `${HEADER}hello`)).toBe('')
  expect(denied.listeners.stats().refused).toBe(1)
  const allowed = await listener({ allow: ['192.0.2.0/24'] })
  expect(await send(allowed.port, `${HEADER}hello`)).toContain('hello')
  expect(await send(allowed.port, 'PROXY UNKNOWN\r\nhello')).toBe('')
})

it('runs the handshake behind the header, and names the client of the socket it passes on', async () => {
  const { port } = await listener({ handshake: (socket, _, done) => setImmediate(done, socket) })
  expect(await send(port, `${HEADER}hello`)).toBe('192.0.2.1:52001 192.0.2.1:52001 hello')
})

it('serves a server of Node, request and header in one segment or in several', async () => {
  const server = createHttpServer((request, response) =>
    response.end(`${peerOf(request.socket)?.address} ${request.url}`),
  )
  const listeners = await listen('127.0.0.1:0', {
    server,
    proxyProtocol: { from: ['127.0.0.1'] },
  })
  onTestFinished(() => listeners.destroy())
  const port = listeners.bound[0]?.port ?? 0
  const request = 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  expect(await send(port, HEADER + request)).toContain('192.0.2.1 /x')
  expect(await send(port, HEADER, request)).toContain('192.0.2.1 /x')
  expect(await send(port, ...bytesOf(HEADER + request))).toContain('192.0.2.1 /x')
})

it('closes the oldest of too many connections without a header', async () => {
  const { port, rejected } = await listener({
    proxyProtocol: { from: ['127.0.0.1'], maxProxyHeaders: 2 },
  })
  const first = connect(port, '127.0.0.1')
  first.on('error', () => {})
  const closed = once(first, 'close')
  await once(first, 'connect')
  const others = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  onTestFinished(() => {
    for (const one of others) one.destroy()
  })
  await closed
  expect(rejected).toEqual(['too many connections without a header, this was the oldest'])
})
