// Against `ws`, an implementation we did not write, over real sockets and its own handshake.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { listening } from '@proj/testkit/listening'
import { expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { WebSocketPipe } from '../../src/websocket/pipe.ts'
import { readAll } from './peers.ts'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const SIZES = [0, 1, 125, 126, 65_535, 65_536, 1_000_000, 3_000_000]

/** A `ws` client on one end, our pipe in the role of server on the other. */
async function wsClient(): Promise<
  AsyncDisposable & { socket: WebSocket; pipe: WebSocketPipe; raw: Socket }
> {
  const server = createServer()
  const listen = await listening(server)
  const socket = new WebSocket(`ws://${listen.authority}`, { perMessageDeflate: false })
  const [request, raw, head] = (await once(server, 'upgrade')) as [
    { headers: Record<string, string> },
    Socket,
    Buffer,
  ]
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}${GUID}`)
    .digest('base64')
  raw.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  const pipe = new WebSocketPipe(raw, { role: 'server', head })
  await once(socket, 'open')
  return {
    socket,
    pipe,
    raw,
    async [Symbol.asyncDispose]() {
      socket.terminate()
      pipe.destroy()
      await listen.close()
    },
  }
}

/** Our pipe in the role of client on one end, a `ws` server on the other. */
async function wsServer(
  mask: 'random' | 'zero',
): Promise<AsyncDisposable & { socket: WebSocket; pipe: WebSocketPipe }> {
  const server = createServer()
  const listen = await listening(server)
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  const opened = once(sockets, 'connection')
  const raw = connect(listen.port, listen.host)
  raw.write(
    `GET / HTTP/1.1\r\nHost: ${listen.authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  )
  const [response] = (await once(raw, 'data')) as [Buffer]
  const border = response.indexOf('\r\n\r\n') + 4
  const pipe = new WebSocketPipe(raw, { role: 'client', mask, head: response.subarray(border) })
  const [socket] = (await opened) as [WebSocket]
  return {
    socket,
    pipe,
    async [Symbol.asyncDispose]() {
      pipe.destroy()
      socket.terminate()
      sockets.close()
      await listen.close()
    },
  }
}

function collect(socket: WebSocket): { received: Buffer[]; closed: Promise<unknown[]> } {
  const received: Buffer[] = []
  socket.on('message', (data: Buffer, binary) => {
    expect(binary).toBe(true)
    received.push(data)
  })
  return { received, closed: once(socket, 'close') }
}

test.each(SIZES)('a ws client and a server pipe exchange %i bytes both ways', async (size) => {
  await using peers = await wsClient()
  const { received, closed } = collect(peers.socket)
  const up = randomBytes(size)
  const down = randomBytes(size)
  peers.socket.send(up)
  peers.socket.close(1000, 'done')
  peers.pipe.end(down)
  expect((await readAll(peers.pipe)).equals(up)).toBe(true)
  await closed
  expect(Buffer.concat(received).equals(down)).toBe(true)
})

test.each(SIZES)('a client pipe and a ws server exchange %i bytes both ways', async (size) => {
  await using peers = await wsServer(size % 2 === 0 ? 'random' : 'zero')
  const { received, closed } = collect(peers.socket)
  const up = randomBytes(size)
  const down = randomBytes(size)
  peers.socket.send(down)
  peers.pipe.end(up)
  expect((await readAll(peers.pipe)).equals(down)).toBe(true)
  await closed
  expect(Buffer.concat(received).equals(up)).toBe(true)
})
