// CONNECT (RFC 9110 section 9.3.6) over a connection that stands. Every WebSocket goes this way,
// plain ones too: a proxy that is asked with an absolute URL drops the Upgrade. Written here and not
// taken from an agent package because the answer's head must be bounded, bytes behind it kept, a 407
// answered on the same connection, and each failure told apart from the server's own.

import type { Socket } from 'node:net'

import { formatHostPort } from '@proj/config/address'

import { ByteReader, describeBytes } from './byte-reader.ts'
import { abandonable } from './deadline.ts'
import type { DialError } from './dial-error.ts'
import { type ProxyAuthorize, readChallenge } from './proxy-challenge.ts'
import { connectReplyError, proxyError } from './proxy-errors.ts'
import type { ProxyServer } from './proxy-server.ts'
import { MAX_REPLY_HEAD_BYTES, parseReplyHead, type ReplyHead } from './reply-head.ts'
import { ignoreError } from './socket-event.ts'

/** What a CONNECT is about. */
export interface ConnectRequest {
  readonly proxy: ProxyServer
  readonly host: string
  readonly port: number
  /** Headers for the proxy besides our own. */
  readonly headers: Readonly<Record<string, string>>
  /** Value of Proxy-Authorization from an earlier challenge. */
  readonly authorization: string | undefined
  /** Answers challenges; undefined when none may be answered any more. */
  readonly authorize: ProxyAuthorize | undefined
}

/** A tunnel, or the demand to ask again over a new connection with this authorization. */
export type ConnectOutcome = { readonly tunnel: Socket } | { readonly authorization: string }

/**
 * Asks a proxy for a tunnel.
 * @throws {DialError} DIAL_PROXY_*; the socket is destroyed
 */
export async function httpConnect(
  socket: Socket,
  request: ConnectRequest,
  signal: AbortSignal,
): Promise<ConnectOutcome> {
  const { proxy, authorize } = request
  const reader = new ByteReader(socket, MAX_REPLY_HEAD_BYTES)
  const given = request.authorization ?? proxy.basicAuthorization()
  const head = await ask(socket, reader, request, given, signal)
  if (head.status < 300) return accepted(socket, head, request)
  if (head.status !== 407 || authorize === undefined) {
    socket.destroy()
    throw connectReplyError(head, request, given !== undefined)
  }
  const reusable = await drained(reader, head, signal)
  const answer = await authorizeOrEnd(socket, authorize, head, proxy, signal)
  if (answer === undefined) {
    socket.destroy()
    throw connectReplyError(head, request, given !== undefined)
  }
  if (!reusable) {
    socket.destroy()
    return { authorization: answer }
  }
  const second = await ask(socket, reader, request, answer, signal)
  if (second.status < 300) return accepted(socket, second, request)
  socket.destroy()
  throw connectReplyError(second, request, true)
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
  const authority = formatHostPort(request.host.split('%')[0] ?? '', request.port)
  const lines = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    // Not in any RFC, but proxies that speak HTTP/1.0 keep the connection after a 407 only with it.
    'Proxy-Connection: keep-alive',
    ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

function accepted(socket: Socket, head: ReplyHead, request: ConnectRequest): ConnectOutcome {
  const type = head.fields.get('content-type')?.[0] ?? ''
  // The body of a 2xx to CONNECT does not exist; a page behind it comes from a login portal.
  if (type.includes('text/html') && socket.readableLength > 0) {
    socket.destroy()
    throw proxyError('DIAL_PROXY_CAPTIVE', request.proxy, 'answered CONNECT with a web page', {
      hint: 'log in to this network with a browser, then try again',
      status: head.status,
    })
  }
  return { tunnel: socket }
}

async function authorizeOrEnd(
  socket: Socket,
  authorize: ProxyAuthorize,
  head: ReplyHead,
  proxy: ProxyServer,
  signal: AbortSignal,
): Promise<string | undefined> {
  // Nobody reads meanwhile; a connection that breaks is noticed by the next read.
  socket.on('error', ignoreError)
  try {
    const challenge = readChallenge(head, proxy.host)
    const answer = await abandonable(Promise.resolve(authorize(challenge)), signal)
    if (answer !== undefined && /[^\x20-\x7e]/.test(answer)) {
      throw new TypeError('proxyAuthorize must return the value of a header')
    }
    return answer
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    if (!socket.destroyed) socket.off('error', ignoreError)
  }
}

/** Reads the body of a 407 away, if that is possible and worth it. */
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
    const looks = describeBytes(received)
    return proxyError('DIAL_PROXY_PROTOCOL', proxy, `answers CONNECT with ${looks}`, {
      hint: HINTS[looks] ?? 'this port is not one of an HTTP proxy; check port and scheme',
    })
  }
  if (code === 'EMSGSIZE') {
    const limit = `more than ${MAX_REPLY_HEAD_BYTES} bytes of header`
    return proxyError('DIAL_PROXY_PROTOCOL', proxy, `answers CONNECT with ${limit}`, {
      hint: 'this port is not one of an HTTP proxy',
    })
  }
  return proxyError(
    'DIAL_PROXY_PROTOCOL',
    proxy,
    'closed the connection instead of answering CONNECT',
    {
      hint:
        proxy.protocol === 'http'
          ? 'does the proxy expect https://, or is it a SOCKS proxy?'
          : 'is this port one of an HTTP proxy?',
      cause: error,
    },
  )
}

const HINTS: Readonly<Record<string, string>> = {
  TLS: 'the port speaks TLS: begin the URL of the proxy with https://',
  'a SOCKS answer': 'this is a SOCKS proxy: begin its URL with socks5h://',
}
