import * as http from 'node:http'
import * as https from 'node:https'

import { createAgent, isDialError } from '@proj/dialer'

import { underSignals } from '../abortable.ts'
import { checkEndpointName } from '../protocol/endpoint.ts'
import { TunnelError } from '../errors.ts'
import { RESERVATIONS_ROUTE, routeTo } from '../protocol/routes.ts'
import { otherPort } from './handshake-request.ts'
import { serverName } from './server-list.ts'
import { handshakeTo, type ServerOptions, serverUrls } from './server-options.ts'

/** A name that is reserved for the identity that asked. */
export interface ReservedName {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** What it is meant to carry. */
  readonly kind: 'http' | 'tcp'
  /** The identity it is reserved for. */
  readonly identity: string
  /** Since when, ISO 8601. */
  readonly since: string
  /** Agent sessions that serve it now. */
  readonly sessions: number
  /** Public port of the server that is held with it. */
  readonly port?: number
}

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
 * Holds a name for the identity of the token, until it is released. The server has it on its disk
 * when this resolves.
 *
 * @throws {TunnelError} TUNNEL_NAME_TAKEN, TUNNEL_UNAUTHORIZED, TUNNEL_RESERVATION_REFUSED with the
 *   server's reason, TUNNEL_ENDPOINT_INVALID.
 * @throws {DialError} when the server could not be reached.
 */
export async function reserveName(
  server: ServerOptions,
  endpoint: string,
  options: ReservationOptions & { readonly kind?: 'http' | 'tcp' } = {},
): Promise<ReservedName> {
  const { kind = 'http', ...rest } = options
  const route = routeTo(`${RESERVATIONS_ROUTE}/`, checkEndpointName(endpoint))
  return (await ask(server, 'PUT', route, { kind }, rest)) as ReservedName
}

/**
 * Releases a name.
 *
 * @throws {TunnelError} as `reserveName`; TUNNEL_RESERVATION_REFUSED when it is not held.
 */
export async function releaseName(
  server: ServerOptions,
  endpoint: string,
  options: ReservationOptions = {},
): Promise<void> {
  const route = routeTo(`${RESERVATIONS_ROUTE}/`, checkEndpointName(endpoint))
  await ask(server, 'DELETE', route, undefined, options)
}

/** Names held for the identity of the token. */
export async function reservedNames(
  server: ServerOptions,
  options: ReservationOptions = {},
): Promise<readonly ReservedName[]> {
  const answer = await ask(server, 'GET', RESERVATIONS_ROUTE, undefined, options)
  return (answer as { readonly reservations: readonly ReservedName[] }).reservations
}

async function ask(
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
      request.end(content)
    })
    const text = await readText(response)
    const port = otherPort(response.headers)
    if (port !== undefined) {
      const error = `${serverName(url)} is the port for ${port} of a server, not its port for agents`
      throw new TunnelError('TUNNEL_WRONG_PORT', error, { status: response.statusCode ?? 0 })
    }
    return judge(response.statusCode ?? 0, parsed(text))
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
  const message = error ?? `the server does not reserve names: it answered ${status}`
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
