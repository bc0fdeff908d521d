// The package socks carries the SOCKS handshake, over a connection that we dialled. It gets a
// stand-in instead of the socket, fed byte by byte, for three reasons: it never sees a byte behind
// the last reply, which it would otherwise emit once and lose when nobody listens yet; the reply is
// here to be classified by its codes, where its errors are texts only; and its errors, which carry
// the options with the password in clear, go no further.

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'

import { SocksClient } from 'socks'

import { ByteReader, describeBytes } from './byte-reader.ts'
import { DialError } from './dial-error.ts'
import { proxyError, type ProxyTarget } from './proxy-errors.ts'
import { ignoreError } from './socket-event.ts'
import { socksReplyError } from './socks-errors.ts'

// The longest exchange is 2 (method) + 2 (RFC 1929 status) + 262 (RFC 1928 reply with a name).
const MAX_EXCHANGE_BYTES = 512

/**
 * Asks a SOCKS proxy for a connection.
 * @param target - its host is an address, unless the proxy looks names up
 * @throws {DialError} DIAL_PROXY_*; the socket is destroyed
 */
export async function socksConnect(
  socket: Socket,
  target: ProxyTarget,
  signal: AbortSignal,
): Promise<Socket> {
  const { proxy } = target
  const host = target.host.split('%')[0] ?? ''
  const standIn = new StandIn(socket)
  const version = proxy.protocol.startsWith('socks4') ? 4 : 5
  const client = new SocksClient({
    command: 'connect',
    destination: { host, port: target.port },
    proxy: {
      host: proxy.host,
      port: proxy.port,
      type: version,
      ...(proxy.username === undefined ? {} : { userId: proxy.username }),
      ...(proxy.password === undefined ? {} : { password: proxy.password }),
    },
  })
  const state = { established: false, failed: false }
  client.on('established', () => (state.established = true))
  client.on('error', () => (state.failed = true))
  // Between two reads a connection that breaks is noticed by the next one.
  socket.on('error', ignoreError)
  const reader = new ByteReader(socket, MAX_EXCHANGE_BYTES)
  try {
    client.connect(standIn)
    while (!state.established && !state.failed) {
      await reader.read((bytes) => ({ value: standIn.feed(bytes), used: 1 }), signal)
      // After the answer to a password socks goes on in a later microtask.
      await setImmediate()
    }
    if (state.established) {
      socket.off('error', ignoreError)
      return socket
    }
    throw socksReplyError(standIn.question, standIn.reply, target)
  } catch (error) {
    socket.destroy()
    if (signal.aborted) throw signal.reason
    if (error instanceof DialError) throw error
    throw closedDuring(standIn, target, error)
  }
}

/** Stands between socks and the connection; keeps the last question and the reply to it. */
class StandIn extends Duplex {
  readonly #socket: Socket
  #question: Buffer = Buffer.alloc(0)
  #reply: number[] = []

  constructor(socket: Socket) {
    super()
    this.#socket = socket
  }

  /** The last message sent. */
  get question(): Buffer {
    return this.#question
  }

  /** What came in answer to it. */
  get reply(): Buffer {
    return Buffer.from(this.#reply)
  }

  /** Hands the first byte to socks. */
  feed(bytes: Buffer): void {
    this.#reply.push(bytes[0] ?? 0)
    this.emit('data', bytes.subarray(0, 1))
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#question = chunk
    this.#reply = []
    this.#socket.write(chunk)
    done()
  }

  override _read(): void {
    // Bytes are emitted by feed(), never pulled.
  }
}

function closedDuring(standIn: StandIn, target: ProxyTarget, error: unknown): DialError {
  const { reply } = standIn
  // A proxy may send a refusal shorter than the format wants and close.
  if (reply.length >= 2) return socksReplyError(standIn.question, reply, target)
  const said =
    reply.length === 0 ? 'closed the connection' : `answers with ${describeBytes(reply)} and closes`
  return proxyError('DIAL_PROXY_PROTOCOL', target.proxy, `${said} during the SOCKS handshake`, {
    hint: 'is this port one of a SOCKS proxy, and of this version of SOCKS?',
    cause: error,
  })
}
