import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

import { protocolHeader } from '../protocol/protocol-version.ts'
import { type HttpAnswer, textAnswer } from '../protocol/http-answer.ts'

/**
 * Server half of the WebSocket opening handshake (RFC 6455 section 4.2) with Piko's answers: the
 * texts and statuses below are what its agents were built against. Extensions and subprotocols are
 * never negotiated, for the connection carries an unframed byte pipe.
 */

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** A request that can be answered with 101, or the answer that refuses it. */
export type HandshakeCheck =
  | { readonly ok: true; readonly accept: string }
  | { readonly ok: false; readonly answer: HttpAnswer }

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
    const version = { 'sec-websocket-version': '13' }
    return { ok: false, answer: textAnswer(400, 'Bad Request', version) }
  }
  if (headers.origin !== undefined && originHost(headers.origin) !== headers.host?.toLowerCase()) {
    return { ok: false, answer: textAnswer(403, 'Forbidden') }
  }
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64')
  return { ok: true, accept }
}

/** The 101 that opens the pipe; echoes our protocol where it was agreed. */
export function switchingProtocols(accept: string, adit: boolean): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...Object.entries(protocolHeader(adit)).map(([name, value]) => `${name}: ${value}`),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
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
