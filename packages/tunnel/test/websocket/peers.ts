// The two ends that the tests of the WebSocket pipe put on a real connection: pipes, and a raw peer
// that writes any bytes and shows what it was sent.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { listening } from '@proj/testkit/listening'
import {
  isWebSocketPipeError,
  type WebSocketErrorCode,
  type WebSocketPipeError,
} from '../../src/websocket/errors.ts'
import type { WebSocketPipeOptions } from '../../src/websocket/options.ts'
import { WebSocketPipe } from '../../src/websocket/pipe.ts'

/** Two ends of one TCP connection; disposing destroys both. */
export interface SocketPair extends AsyncDisposable {
  readonly client: Socket
  readonly server: Socket
}

/** Connects two sockets over loopback. */
export async function socketPair(): Promise<SocketPair> {
  const listener = createServer({ allowHalfOpen: true })
  const listen = await listening(listener)
  const accepted = once(listener, 'connection')
  const client = connect({ host: listen.host, port: listen.port, allowHalfOpen: true })
  const [[server]] = (await Promise.all([accepted, once(client, 'connect')])) as [[Socket], unknown]
  client.on('error', () => {}) // whichever end fails, the test looks at the other
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.destroy()
      await listen.close()
    },
  }
}

/** A pipe on each end of a connection. */
export async function pipePair(
  options: Partial<WebSocketPipeOptions> = {},
): Promise<SocketPair & { readonly near: WebSocketPipe; readonly far: WebSocketPipe }> {
  const pair = await socketPair()
  const near = new WebSocketPipe(pair.client, { ...options, role: 'client' })
  const far = new WebSocketPipe(pair.server, { ...options, role: 'server' })
  return {
    ...pair,
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy()
      far.destroy()
      await pair[Symbol.asyncDispose]()
    },
  }
}

/** A pipe on one end, and on the other a socket that a test writes any bytes to. */
export async function rawPair(
  options: WebSocketPipeOptions,
): Promise<
  AsyncDisposable & { readonly pipe: WebSocketPipe; readonly raw: Socket; socket: Socket }
> {
  const pair = await socketPair()
  const pipe = new WebSocketPipe(pair.server, options)
  return {
    pipe,
    raw: pair.client,
    socket: pair.server,
    async [Symbol.asyncDispose]() {
      pipe.destroy()
      await pair[Symbol.asyncDispose]()
    },
  }
}

/** The error that ends a pipe, which is read meanwhile. */
export async function failure(pipe: WebSocketPipe): Promise<WebSocketPipeError> {
  pipe.resume()
  const [error] = (await once(pipe, 'error')) as [unknown]
  if (!isWebSocketPipeError(error)) throw new TypeError('not from a pipe', { cause: error })
  return error
}

/** Reads to the end, or just so many bytes. `for await` would destroy the sending side as well. */
export function readAll(readable: Readable, bytes: number = Infinity): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let missing = bytes
    const finish = (): void => resolve(Buffer.concat(chunks))
    readable.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      missing -= chunk.length
      if (missing <= 0) finish()
    })
    readable.once('end', finish)
    readable.once('error', reject)
    if (missing === 0) finish()
  })
}

/** Bytes from hex with blanks and `# comments`. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'hex')
}

/** A frame as a test wants it, right or wrong. */
export interface FrameFields {
  readonly opcode: number
  readonly payload: Uint8Array
  /** Default true. */
  readonly fin?: boolean
  /** Masked with this key, its first byte on the wire lowest; not masked without. */
  readonly key?: number
}

/** Encodes a frame by the letter of RFC 6455 section 5.2, with none of the code under test. */
export function frame({ opcode, payload, fin = true, key }: FrameFields): Buffer {
  const length = payload.length
  const mask = key === undefined ? 0 : 0x80
  const head = [(fin ? 0x80 : 0) | opcode]
  if (length < 126) head.push(mask | length)
  else if (length < 65_536) head.push(mask | 126, length >>> 8, length & 0xff)
  else head.push(mask | 127, 0, 0, 0, 0, length >>> 24, length >>> 16, length >>> 8, length)
  if (key === undefined) return Buffer.concat([Buffer.from(head), payload])
  const keyBytes = [key, key >>> 8, key >>> 16, key >>> 24].map((byte) => byte & 0xff)
  const masked = payload.map((byte, i) => byte ^ (keyBytes[i & 3] ?? 0))
  return Buffer.concat([Buffer.from([...head, ...keyBytes]), masked])
}

/** What a hostile peer sends, to a pipe of which role, and how that ends. */
export interface HostileCase {
  readonly name: string
  readonly role: 'client' | 'server'
  readonly bytes: Buffer
  readonly code: WebSocketErrorCode
  readonly closeCode: number
}

function hostile(
  name: string,
  bytes: string | Buffer,
  code: WebSocketErrorCode = 'WEBSOCKET_FRAME_INVALID',
  closeCode = 1002,
  role: HostileCase['role'] = 'client',
): HostileCase {
  return { name, role, bytes: Buffer.isBuffer(bytes) ? bytes : hex(bytes), code, closeCode }
}

/** Every violation of the protocol and its limits, with the close code the peer must see. */
export const HOSTILE: readonly HostileCase[] = [
  hostile('a text message', '81 01 61', 'WEBSOCKET_TEXT_REFUSED', 1003),
  hostile('an empty text message', '81 00', 'WEBSOCKET_TEXT_REFUSED', 1003),
  hostile('a text fragment', '01 01 61', 'WEBSOCKET_TEXT_REFUSED', 1003),
  hostile('RSV1, as of compression', 'c2 01 00'),
  hostile('RSV2', 'a2 01 00'),
  hostile('RSV3', '92 01 00'),
  hostile('RSV1 on a ping', 'c9 00'),
  hostile('opcode 3', '83 00'),
  hostile('opcode 7', '87 00'),
  hostile('opcode 11', '8b 00'),
  hostile('opcode 15', '8f 00'),
  hostile('a fragmented ping', '09 00'),
  hostile('a fragmented close', '08 02 03e8'),
  hostile('a ping of 126 bytes', Buffer.concat([hex('89 7e 007e'), Buffer.alloc(126)])),
  hostile('a ping that announces 2^62 bytes', '89 7f 4000000000000000'),
  hostile('a continuation without a beginning', '80 01 61'),
  hostile('a continuation behind a whole message', '82 01 61  00 01 62'),
  hostile('a message within a message', '02 01 61  82 01 62'),
  hostile('a text within a message', '02 01 61  81 01 62', 'WEBSOCKET_TEXT_REFUSED', 1003),
  hostile('a 16-bit length that fits 7', Buffer.concat([hex('82 7e 007d'), Buffer.alloc(125)])),
  hostile('a 64-bit length that fits 16', '82 7f 000000000000ffff'),
  hostile('a 64-bit length with the top bit', '82 7f 8000000000000000'),
  hostile('a frame of 16 MiB and 1', '82 7f 0000000001000001', 'WEBSOCKET_FRAME_TOO_LARGE', 1009),
  hostile('a frame of 2^62 bytes', '82 7f 4000000000000000', 'WEBSOCKET_FRAME_TOO_LARGE', 1009),
  hostile('a close with half a code', '88 01 03'),
  hostile('a close with code 999', '88 02 03e7'),
  hostile('a close with code 1005', '88 02 03ed'),
  hostile('a close with code 1006', '88 02 03ee'),
  hostile('a close with code 5000', '88 02 1388'),
  hostile('a close reason not in UTF-8', '88 04 03e8 c328', 'WEBSOCKET_REASON_INVALID', 1007),
  hostile(
    'a flood of pings',
    Buffer.concat(Array.from({ length: 101 }, () => hex('89 00'))),
    'WEBSOCKET_FRAME_RATE_EXCEEDED',
    1008,
  ),
  hostile(
    'a flood of empty fragments',
    Buffer.concat([hex('02 00'), ...Array.from({ length: 100 }, () => hex('00 00'))]),
    'WEBSOCKET_FRAME_RATE_EXCEEDED',
    1008,
  ),
  hostile('a masked message from a server', '82 81 01020304 60'),
  hostile('a message masked with zero from a server', '82 81 00000000 61'),
  hostile('a masked ping from a server', '89 80 01020304'),
  hostile('a message from a client not masked', '82 01 61', undefined, 1002, 'server'),
  hostile('a ping from a client not masked', '89 00', undefined, 1002, 'server'),
  hostile('a text from a client', '81 81 01020304 60', 'WEBSOCKET_TEXT_REFUSED', 1003, 'server'),
]
