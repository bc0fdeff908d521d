// CONNECT (RFC 9110 section 9.3.6) over an open connection to a proxy. WebSockets without TLS use it
// too, because a proxy removes Upgrade from a request with an absolute URL. The agent packages do not
// limit the head of the reply, keep the bytes after it, answer a 407 on the same connection, or
// separate the errors of the proxy from those of the server.

import type { Socket } from 'node:net'

import { formatHostPort } from '@proj/config/address'

import { ByteReader, describeBytes, guessProtocol } from './byte-reader.ts'
import type { DialError } from '../errors.ts'
import { MAX_REPLY_HEAD_BYTES, parseReplyHead, type ReplyHead } from './connect-reply.ts'
import { connectReplyError, proxyError } from './errors.ts'
import type { ProxyLogin } from './proxy-login.ts'
import type { ProxyServer } from './proxy-server.ts'
import { withoutZone } from '../endpoint.ts'
import { ignoreError } from '../socket-event.ts'

export interface ConnectRequest {
  readonly proxy: ProxyServer
  readonly host: string
  readonly port: number
  /** More headers for the proxy. */
  readonly headers: Readonly<Record<string, string>>
  /** Credentials, and answers to challenges. */
  readonly login: ProxyLogin
}

/** A tunnel; undefined when the request has to be repeated over a new connection. */
export type ConnectOutcome = Socket | undefined

/**
 * Asks a proxy for a tunnel to the target.
 * @throws {DialError} DIAL_PROXY_*; the socket is destroyed
 */
export async function httpConnect(
  socket: Socket,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<ConnectOutcome> {
  const { login } = request
  const reader = new ByteReader(socket, MAX_REPLY_HEAD_BYTES)
  login.connected()
  // Ends, because the number of answers of a login is limited.
  for (;;) {
    const head = await ask(socket, reader, request, login.value, signal)
    if (head.status < 300) return accepted(socket, head, request)
    if (head.status !== 407 || !login.mayAnswer) {
      socket.destroy()
      throw connectReplyError(head, request, login.value)
    }
    const before = login.value
    if (!(await answerOrEnd(socket, request, head, signal))) {
      socket.destroy()
      throw connectReplyError(head, request, before)
    }
    if (await drained(reader, head, signal)) continue
    socket.destroy()
    return undefined
  }
}

async function ask(
  socket: Socket,
  reader: ByteReader,
  request: ConnectRequest,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<ReplyHead> {
  const { proxy } = request
  socket.write(formatRequest(request, authorization), 'latin1')
  try {
    return await reader.read(parseReplyHead, signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw noReply(error, reader.received, proxy)
  }
}

function formatRequest(request: ConnectRequest, authorization: string | undefined): string {
  const authority = authorityOf(request)
  const lines = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    // Not in an RFC, but without it proxies with HTTP/1.0 close the connection after a 407.
    'Proxy-Connection: keep-alive',
    ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

function authorityOf({ host, port }: ConnectRequest): string {
  return formatHostPort(withoutZone(host), port)
}

function accepted(socket: Socket, head: ReplyHead, request: ConnectRequest): ConnectOutcome {
  const type = head.fields.get('content-type')?.[0] ?? ''
  // A 2xx to CONNECT has no body; a page after it comes from a login portal.
  if (type.includes('text/html') && socket.readableLength > 0) {
    socket.destroy()
    throw proxyError('DIAL_PROXY_CAPTIVE', request.proxy, 'answered CONNECT with a web page', {
      hint: 'log in to this network with a browser, then retry',
      status: head.status,
    })
  }
  return socket
}

async function answerOrEnd(
  socket: Socket,
  request: ConnectRequest,
  head: ReplyHead,
  signal: AbortSignal,
): Promise<boolean> {
  // Nothing reads during this time; the next read notices a connection that breaks.
  socket.on('error', ignoreError)
  try {
    const lines = head.fields.get('proxy-authenticate') ?? []
    const challenged = { method: 'CONNECT', target: authorityOf(request), lines }
    return await request.login.answer(challenged, signal)
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    if (!socket.destroyed) socket.off('error', ignoreError)
  }
}

/** Reads and drops the body of a 407, unless a new connection is cheaper. */
async function drained(reader: ByteReader, head: ReplyHead, signal: AbortSignal): Promise<boolean> {
  const first = (name: string): string => (head.fields.get(name)?.[0] ?? '').toLowerCase()
  const options = `${first('connection')},${first('proxy-connection')}`
  if (options.includes('close')) return false
  if (head.versionMinor === 0 && !options.includes('keep-alive')) return false
  const length = Number(head.fields.get('content-length')?.[0] ?? Number.NaN)
  // A longer body costs more than a new connection.
  if (head.fields.has('transfer-encoding') || !(length <= MAX_REPLY_HEAD_BYTES)) return false
  if (length === 0) return true
  try {
    await reader.read(
      (bytes) => (bytes.length < length ? undefined : { value: true, used: length }),
      signal,
    )
    return true
  } catch {
    signal.throwIfAborted()
    return false
  }
}

function noReply(error: unknown, received: Buffer, proxy: ProxyServer): DialError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (error instanceof SyntaxError) {
    const protocol = guessProtocol(received)
    return proxyError(
      'DIAL_PROXY_PROTOCOL',
      proxy,
      `answered CONNECT with ${describeBytes(received)}`,
      { hint: HINTS[protocol ?? 'HTTP'] },
    )
  }
  if (code === 'EMSGSIZE') {
    const limit = `more than ${MAX_REPLY_HEAD_BYTES} bytes of header`
    return proxyError('DIAL_PROXY_PROTOCOL', proxy, `answered CONNECT with ${limit}`, {
      hint: 'this port does not belong to an HTTP proxy',
    })
  }
  return proxyError(
    'DIAL_PROXY_PROTOCOL',
    proxy,
    'closed the connection instead of answering CONNECT',
    {
      hint:
        proxy.protocol === 'http'
          ? 'check whether the proxy expects https://, or is a SOCKS proxy'
          : 'check that this port belongs to an HTTP proxy',
      cause: error,
    },
  )
}

const HINTS = {
  TLS: 'the port uses TLS: start the URL of the proxy with https://',
  SOCKS: 'this is a SOCKS proxy: start its URL with socks5h://',
  HTTP: 'this port does not belong to an HTTP proxy; check port and scheme',
} as const
