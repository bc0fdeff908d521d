/** Requests about what the identity of the token has at a server: names and domains. */
import * as http from 'node:http'
import * as https from 'node:https'

import { createAgent, isDialError } from '@proj/dialer'

import { underSignals } from '../abortable.ts'
import { TunnelError } from '../errors.ts'
import { wrongPort } from './handshake-request.ts'
import { handshakeTo, type ServerOptions, serverUrls } from './server-options.ts'

/** Options of a request. */
export interface ReservationOptions {
  /** Ends the wait; 30 s without an answer end it as well. */
  readonly signal?: AbortSignal
}

/** From the request to the whole answer, ms. */
const ANSWER_TIMEOUT_MS = 30_000

/** Largest answer that is read: the list of as many names as one identity can reserve. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

/**
 * Asks the server.
 *
 * @throws {TunnelError} TUNNEL_NAME_TAKEN, TUNNEL_UNAUTHORIZED, TUNNEL_WRONG_PORT, TUNNEL_RESERVATION_REFUSED with the
 *   server's reason.
 * @throws {DialError} when the server could not be reached.
 */
export async function askServer(
  server: ServerOptions,
  method: 'GET' | 'PUT' | 'DELETE',
  route: string,
  body: object | undefined,
  { signal: stop }: ReservationOptions,
): Promise<unknown> {
  stop?.throwIfAborted()
  return await underSignals([stop, AbortSignal.timeout(ANSWER_TIMEOUT_MS)], async (signal) => {
    return await exchange(server, method, route, body, signal, stop)
  })
}

async function exchange(
  server: ServerOptions,
  method: 'GET' | 'PUT' | 'DELETE',
  route: string,
  body: object | undefined,
  signal: AbortSignal,
  stop: AbortSignal | undefined,
): Promise<unknown> {
  const [url = ''] = serverUrls(server.url)
  const handshake = await handshakeTo({ ...server, url }, route, signal)
  // The scheme of a WebSocket is that of HTTP under another name.
  const target = new URL(handshake.url.replace(/^ws/, 'http'))
  const isSecure = target.protocol === 'https:'
  const agent = createAgent(server.connect)
  try {
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const request = (isSecure ? https : http).request(target, {
      agent,
      method,
      signal,
      headers: {
        ...handshake.headers,
        accept: 'application/json',
        ...(content && { 'content-type': 'application/json', 'content-length': content.length }),
      },
    })
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', reject)
      // A connection that switches protocols is closed with neither an answer nor an error.
      request.on('close', () => reject(new Error('closed without an answer')))
      request.end(content)
    })
    const text = await readText(response)
    const { statusCode: status = 0, headers } = response
    const wrong = wrongPort(url, headers, { status })
    if (wrong !== undefined) throw wrong
    return judge(status, parsed(text))
  } catch (error) {
    stop?.throwIfAborted()
    if (error instanceof TunnelError || isDialError(error)) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new TunnelError('TUNNEL_RESERVATION_REFUSED', `no answer from the server: ${why}`, {
      cause: error,
    })
  } finally {
    agent.destroy()
  }
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`it is longer than ${MAX_ANSWER_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // not JSON: the answer of another program, or of an intermediary
  }
  return {}
}

function judge(status: number, body: Record<string, unknown>): Record<string, unknown> {
  if (status >= 200 && status < 300) return body
  const text = (name: string): string | undefined => {
    const value = body[name]
    return typeof value === 'string' ? value.slice(0, 500) : undefined
  }
  const delay = body['retryAfterMs']
  const retry = typeof delay === 'number' ? { retryAfterMs: delay } : {}
  const error = text('error')
  const message = error ?? `the server does not keep names and domains: it answered ${status}`
  if (status === 401) {
    throw new TunnelError('TUNNEL_UNAUTHORIZED', `401: ${message}`, { status })
  }
  const taken = text('code') === 'name-taken'
  throw new TunnelError(taken ? 'TUNNEL_NAME_TAKEN' : 'TUNNEL_RESERVATION_REFUSED', message, {
    status,
    ...retry,
    ...(taken && { holder: text('holder'), since: text('since') }),
  })
}
