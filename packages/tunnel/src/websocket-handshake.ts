import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/**
 * Server half of the WebSocket opening handshake (RFC 6455 section 4.2) with Piko's answers: the
 * texts and statuses below are what its agents were built against. Extensions and subprotocols are
 * never negotiated, for the connection carries an unframed byte pipe.
 */

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** A request that can be answered with 101, or the answer that refuses it. */
export type HandshakeCheck =
  | { readonly ok: true; readonly accept: string }
  | { readonly ok: false; readonly response: string }

/** Header that negotiates our protocol in both directions; never a subprotocol. */
export const PROTOCOL_HEADER = 'adit-protocol'

/** The version this package speaks. */
export const PROTOCOL_VERSION = '1'

/** Whether the peer offered (or echoed) the protocol version this package speaks. */
export function speaksAdit(headers: IncomingHttpHeaders): boolean {
  const offered = headers[PROTOCOL_HEADER]
  return (
    typeof offered === 'string' && offered.split(',').some((one) => one.trim() === PROTOCOL_VERSION)
  )
}

/**
 * Checks a request as Piko does: case-insensitive tokens, version 13, a 16-byte key, and an Origin,
 * where a browser sent one, of the same host.
 */
export function checkHandshake(method: string, headers: IncomingHttpHeaders): HandshakeCheck {
  const key = headers['sec-websocket-key']
  const sound =
    method === 'GET' &&
    hasToken(headers.connection, 'upgrade') &&
    hasToken(headers.upgrade, 'websocket') &&
    headers['sec-websocket-version'] === '13' &&
    typeof key === 'string' &&
    Buffer.from(key, 'base64').length === 16
  if (!sound) {
    return {
      ok: false,
      response: textResponse(400, 'Bad Request', { 'sec-websocket-version': '13' }),
    }
  }
  if (headers.origin !== undefined && originHost(headers.origin) !== headers.host?.toLowerCase()) {
    return { ok: false, response: textResponse(403, 'Forbidden') }
  }
  return {
    ok: true,
    accept: createHash('sha1')
      .update(key + GUID)
      .digest('base64'),
  }
}

/** The 101 that opens the pipe; echoes our protocol where it was agreed. */
export function switchingProtocols(accept: string, adit: boolean): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
  ]
  if (adit) lines.push(`${PROTOCOL_HEADER}: ${PROTOCOL_VERSION}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** A refusal as Piko words it: `{"error": text}`, and the stable code in a header of ours. */
export function jsonRefusal(
  status: number,
  error: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  return response(status, `${JSON.stringify({ error })}\n`, {
    'content-type': 'application/json; charset=utf-8',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
}

/** A refusal in plain text. */
export function textResponse(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): string {
  return response(status, `${text}\n`, { 'content-type': 'text/plain; charset=utf-8', ...headers })
}

const REASONS: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

function response(status: number, body: string, headers: Readonly<Record<string, string>>): string {
  const lines = [`HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  lines.push(`content-length: ${Buffer.byteLength(body)}`, 'connection: close')
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

function hasToken(value: string | undefined, token: string): boolean {
  return value?.split(',').some((one) => one.trim().toLowerCase() === token) ?? false
}

function originHost(origin: string): string | undefined {
  try {
    return new URL(origin).host
  } catch {
    return undefined
  }
}
