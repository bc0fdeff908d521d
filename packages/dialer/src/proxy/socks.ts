// The package socks does the SOCKS handshake over a connection that we dialed. It does not get the
// socket but a substitute stream, which receives one byte at a time, for three reasons: the package
// never gets a byte after the last reply, which it would emit before anything listens; we keep the
// reply and can use its codes, because the errors of the package contain only text; and these errors,
// which contain the options with the password, are not passed on.

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'

import { formatHostPort } from '@proj/config/address'

import { ByteReader, describeBytes } from './byte-reader.ts'
import { DialError, type DialErrorCode } from '../errors.ts'
import { portHint, proxyError, type ProxyTarget } from './errors.ts'
import { withoutZone } from '../endpoint.ts'
import { ignoreError } from '../socket-event.ts'

// The longest exchange is 2 (method) + 2 (RFC 1929 status) + 262 (RFC 1928 reply with a name).
const MAX_EXCHANGE_BYTES = 512

/**
 * Asks a SOCKS proxy for a connection.
 * @param target - its host is an address, unless the proxy looks up names
 * @throws {DialError} DIAL_PROXY_*; the socket is destroyed
 */
export async function socksConnect(
  socket: Socket,
  target: ProxyTarget,
  signal: AbortSignal,
): Promise<Socket> {
  const { proxy } = target
  const host = withoutZone(target.host)
  const handshake = new HandshakeStream(socket)
  // The next read notices a connection that breaks between two reads.
  socket.on('error', ignoreError)
  // On demand: with what it brings it is half of a bundle, and most programs dial through no SOCKS proxy.
  const { SocksClient } = await import('socks')
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
  const reader = new ByteReader(socket, MAX_EXCHANGE_BYTES)
  try {
    client.connect(handshake)
    while (!state.established && !state.failed) {
      await reader.read((bytes) => ({ value: handshake.receive(bytes), used: 1 }), signal)
      // After the reply to a password the package continues in a later microtask.
      await setImmediate()
    }
    if (state.established) {
      socket.off('error', ignoreError)
      return socket
    }
    throw socksReplyError(handshake.lastRequest, handshake.reply, target)
  } catch (error) {
    socket.destroy()
    if (signal.aborted) throw signal.reason
    if (error instanceof DialError) throw error
    throw closedDuring(handshake, target, error)
  }
}

/** The stream between the package and the connection. Keeps the last request and the reply to it. */
class HandshakeStream extends Duplex {
  readonly #socket: Socket
  #lastRequest: Buffer = Buffer.alloc(0)
  #reply: number[] = []

  constructor(socket: Socket) {
    super()
    this.#socket = socket
  }

  /** The last message sent. */
  get lastRequest(): Buffer {
    return this.#lastRequest
  }

  /** The bytes received since that message. */
  get reply(): Buffer {
    return Buffer.from(this.#reply)
  }

  /** Passes the first byte to the package. */
  receive(bytes: Buffer): void {
    this.#reply.push(bytes[0] ?? 0)
    this.emit('data', bytes.subarray(0, 1))
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#lastRequest = chunk
    this.#reply = []
    this.#socket.write(chunk)
    done()
  }

  override _read(): void {
    // receive() emits the bytes; nothing is read on demand.
  }
}

function closedDuring(handshake: HandshakeStream, target: ProxyTarget, error: unknown): DialError {
  const { lastRequest, reply } = handshake
  // Some proxies send a shortened reply before they close.
  if (reply.length >= 2) return socksReplyError(lastRequest, reply, target)
  const said =
    reply.length === 0
      ? 'closed the connection'
      : `sent ${describeBytes(reply)} and closed the connection`
  return proxyError('DIAL_PROXY_PROTOCOL', target.proxy, `${said} during the SOCKS handshake`, {
    hint: 'check that this port belongs to a SOCKS proxy, and the version of SOCKS',
    cause: error,
  })
}

/**
 * Explains a SOCKS reply that ended the handshake.
 * @param request - the message before the reply
 */
function socksReplyError(request: Buffer, reply: Buffer, target: ProxyTarget): DialError {
  const [version, code = 0xff] = reply
  const socks4 = request[0] === 0x04
  if (socks4) return version === 0x00 ? socks4Error(code, target) : notSocks(reply, target)
  // RFC 1929: the password message begins with its own version, 1.
  if (request[0] === 0x01) return passwordRejected(target)
  if (version !== 0x05) return notSocks(reply, target)
  // A greeting is version, count, methods; a request is at least seven bytes long.
  return request.length < 7 ? methodError(code, target) : socks5Error(code, target)
}

// RFC 1928 section 6.
const SOCKS5_REPLIES: Readonly<Record<number, readonly [DialErrorCode, string]>> = {
  0x01: ['DIAL_PROXY_TARGET_FAILED', 'general failure'],
  0x02: ['DIAL_PROXY_DENIED', 'denied by its rules'],
  0x03: ['DIAL_PROXY_TARGET_FAILED', 'network unreachable'],
  0x04: ['DIAL_PROXY_TARGET_FAILED', 'host unreachable'],
  0x05: ['DIAL_PROXY_TARGET_FAILED', 'connection refused'],
  0x06: ['DIAL_PROXY_TARGET_FAILED', 'time to live expired'],
  0x07: ['DIAL_PROXY_PROTOCOL', 'command not supported'],
  0x08: ['DIAL_PROXY_ADDRESS_TYPE', 'address type not supported'],
}

function socks5Error(reply: number, target: ProxyTarget): DialError {
  const known = Object.hasOwn(SOCKS5_REPLIES, reply) ? SOCKS5_REPLIES[reply] : undefined
  const [code, text] = known ?? (['DIAL_PROXY_TARGET_FAILED', 'unknown reason'] as const)
  // A general failure can be anything from a wrong name to a crash.
  const vague = reply === 0x01 || known === undefined
  return failed(code, `SOCKS reply ${reply}, ${text}`, target, vague ? 'slow' : undefined)
}

// The SOCKS4 protocol note, "CONNECT".
function socks4Error(reply: number, target: ProxyTarget): DialError {
  if (reply === 0x5c || reply === 0x5d) {
    return proxyError(
      'DIAL_PROXY_AUTH_FAILED',
      target.proxy,
      `rejected the user (SOCKS4 reply ${reply})`,
      {
        hint: 'the proxy requires another user name, or an ident service on this host',
      },
    )
  }
  return failed('DIAL_PROXY_TARGET_FAILED', `SOCKS4 reply ${reply}`, target, 'slow')
}

function failed(
  code: DialErrorCode,
  said: string,
  target: ProxyTarget,
  retry: 'slow' | undefined,
): DialError {
  const { proxy, host, port } = target
  return proxyError(code, proxy, `did not connect to ${formatHostPort(host, port)} (${said})`, {
    retry,
    hint: hintFor(code, target),
  })
}

function hintFor(code: DialErrorCode, { port, proxy }: ProxyTarget): string {
  if (code === 'DIAL_PROXY_DENIED') return portHint(port)
  if (code === 'DIAL_PROXY_ADDRESS_TYPE') {
    return 'the proxy does not support this address family: use a name with socks5h, or an address of the other family'
  }
  return proxy.resolvesNames
    ? 'check the name of the server, and that the proxy can reach it'
    : 'if only the proxy can look up the name of the server, use socks5h or socks4a'
}

function methodError(method: number, target: ProxyTarget): DialError {
  if (method !== 0xff) {
    return proxyError(
      'DIAL_PROXY_AUTH_UNSUPPORTED',
      target.proxy,
      `requires SOCKS authentication method ${method}`,
      {
        hint: 'only user name and password, or no authentication, are supported',
      },
    )
  }
  if (target.proxy.username === undefined) {
    return proxyError(
      'DIAL_PROXY_AUTH_REQUIRED',
      target.proxy,
      'requires a user name and a password',
      {
        hint: 'add them to the proxy URL: socks5h://user:password@host:port',
      },
    )
  }
  return proxyError(
    'DIAL_PROXY_AUTH_UNSUPPORTED',
    target.proxy,
    'accepts neither a password nor a connection without one',
    {
      hint: 'only user name and password, or no authentication, are supported; GSSAPI is not',
    },
  )
}

function passwordRejected(target: ProxyTarget): DialError {
  return proxyError('DIAL_PROXY_AUTH_FAILED', target.proxy, 'rejected the credentials', {
    hint: 'check user name and password; special characters in a proxy URL must be percent-encoded',
  })
}

function notSocks(reply: Buffer, target: ProxyTarget): DialError {
  const looks = describeBytes(reply)
  return proxyError(
    'DIAL_PROXY_PROTOCOL',
    target.proxy,
    `did not respond with SOCKS but with ${looks}`,
    {
      hint: 'if this is an HTTP proxy, its URL starts with http://',
    },
  )
}
