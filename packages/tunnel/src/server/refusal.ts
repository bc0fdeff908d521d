import type { Duplex } from 'node:stream'

/** An HTTP answer that refuses a request. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Time a refused peer has to take the answer and close, ms. */
const LINGER_MS = 2_000

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

/** A refusal as Piko words it: `{"error": text}`, with what programs may want to know beside it. */
export function jsonRefusal(
  status: number,
  error: string,
  headers: Readonly<Record<string, string>> = {},
  details: object = {},
): Refusal {
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

/** A refusal in plain text. */
export function textRefusal(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
    body: `${text}\n`,
  }
}

/** The refusal as HTTP/1.1 text, for a connection that ends with it. */
export function formatRefusal({ status, headers, body }: Refusal): string {
  const lines = [`HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  lines.push(`content-length: ${Buffer.byteLength(body)}`, 'connection: close')
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/**
 * Sends a refusal and lets go of the connection. A socket taken from an HTTP server has no timeout
 * left and may stay half-open, so a peer that does not close is cut; what it still sends is dropped,
 * because closing over unread bytes would reset the answer away.
 */
export function sendRefusal(socket: Duplex, refusal: Refusal): void {
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  timer.unref() // ending the process ends the socket just as well
  socket.once('close', () => clearTimeout(timer))
  socket.on('error', () => {})
  socket.end(formatRefusal(refusal))
  socket.resume()
}
