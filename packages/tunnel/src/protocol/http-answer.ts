import type { Duplex } from 'node:stream'

import { lingerSocket } from '../io/linger-socket.ts'

/** An HTTP answer that ends a connection. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const REASONS: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

/** Texts of Piko's error bodies that clients read; part of its wire (docs/protocol.md, "Handshake"). */
export const ANSWER_TEXTS = {
  noUpstream: 'no available upstreams',
  notPermitted: 'endpoint not permitted',
} as const

/** An error as Piko words it: `{"error": text}`, with what programs may want to know beside it. */
export function jsonAnswer(
  status: number,
  error: string,
  headers: Readonly<Record<string, string>> = {},
  details: object = {},
): HttpAnswer {
  return {
    status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
    body: `${JSON.stringify({ error, ...details })}\n`,
  }
}

/** The value of `Retry-After`: whole seconds, and never earlier than the delay. */
export function retryAfterSeconds(delayMs: number): string {
  return String(Math.max(1, Math.ceil(delayMs / 1000)))
}

/** An answer in plain text. */
export function textAnswer(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
    body: `${text}\n`,
  }
}

/** The answer as HTTP/1.1 text, for a connection that ends with it. */
export function formatAnswer({ status, headers, body }: HttpAnswer): string {
  const lines = [`HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  lines.push(`content-length: ${Buffer.byteLength(body)}`, 'connection: close')
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/**
 * Sends an answer and closes the connection. A socket taken from an HTTP server has no timeout left and
 * may stay half-open, so a peer that does not close is cut.
 */
export function sendAnswer(socket: Duplex, answer: HttpAnswer): void {
  if (socket.destroyed) return
  socket.on('error', () => {})
  lingerSocket(socket, formatAnswer(answer))
}
