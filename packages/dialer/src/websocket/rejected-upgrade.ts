import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

import { DialError } from '../errors.ts'

// Enough for the start of an error page; limits an endless body.
const MAX_BODY_BYTES = 1024
// The status is known; a slow body must not turn the rejection into a timeout.
const BODY_WAIT_MS = 1_000
const MAX_HEADERS = 64
const MAX_HEADER_CHARS = 1024
// Statuses after which the same request can succeed soon. Every other status may come from a proxy in
// front of a server that restarts, so it is retried too, more slowly.
const RETRYABLE_STATUS: readonly number[] = [408, 429, 500, 502, 503, 504]
// Statuses of a server that saw no upgrade, for example because a device in the network removed it.
const STRIPPED_STATUS: readonly number[] = [200, 426, 501]

/**
 * Reads the response that rejected an upgrade and makes the error. The connection cannot be used again.
 * @param about - the URL without credentials
 */
export async function rejectedUpgradeError(
  response: IncomingMessage,
  about: string,
): Promise<DialError> {
  const bodyText = await readStart(response)
  const status = response.statusCode ?? 0
  const headers = boundHeaders(response.headers)
  const said = errorText(bodyText)
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now())
  if (wantsClientCertificate(headers, bodyText)) {
    return new DialError(
      'DIAL_TLS_CLIENT_CERT',
      `the server ${about} rejected the client certificate, or requires one: ${said ?? status}`,
      {
        phase: 'upgrade',
        leg: 'server',
        status,
        headers,
        bodyText,
        retryAfterMs,
        // nginx in front says nothing about the rights at the server behind it.
        retry: headers['adit-error'] === undefined ? 'slow' : 'no',
        hint: 'set tls.cert and tls.key to a certificate from an issuer that the server trusts',
      },
    )
  }
  return new DialError(
    'DIAL_UPGRADE_REFUSED',
    `the server rejected the WebSocket upgrade of ${about}: ${status} ${response.statusMessage ?? ''}`.trimEnd() +
      (said === undefined ? '' : ` (${said})`),
    {
      phase: 'upgrade',
      leg: 'server',
      status,
      headers,
      bodyText,
      retryAfterMs,
      retry: RETRYABLE_STATUS.includes(status) ? 'yes' : 'slow',
      hint: hintFor(status),
    },
  )
}

/**
 * Tells whether the server requires a client certificate. Adit and nginx answer with HTTP, because an
 * alert during the handshake can be lost. nginx has no header or status for it, only this text.
 */
function wantsClientCertificate(
  headers: Readonly<Record<string, string>>,
  bodyText: string,
): boolean {
  return (
    headers['adit-error']?.startsWith('client_certificate_') === true ||
    /No required SSL certificate was sent|The SSL certificate error/.test(bodyText)
  )
}

/** Reads the first bytes of a body; an incomplete body is not an error. */
async function readStart(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => response.destroy(), BODY_WAIT_MS)
  try {
    for await (const chunk of response) {
      if (!Buffer.isBuffer(chunk)) break
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= MAX_BODY_BYTES) break
    }
  } catch {
    // The status is enough; the part of the body that arrived is kept.
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES).toString('utf8')
}

function boundHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).slice(0, MAX_HEADERS)
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      [value ?? ''].flat().join(', ').slice(0, MAX_HEADER_CHARS),
    ]),
  )
}

/** Returns the text of a JSON body of the form {"error": "..."} as one line. */
function errorText(bodyText: string): string | undefined {
  try {
    const body: unknown = JSON.parse(bodyText)
    if (typeof body !== 'object' || body === null || !('error' in body)) return undefined
    if (typeof body.error !== 'string') return undefined
    return body.error.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ').slice(0, 200)
  } catch {
    return undefined
  }
}

function hintFor(status: number): string | undefined {
  if (status === 401 || status === 403) return 'the server requires another token'
  if (status === 404) return 'check the path, and that this is the port for agents'
  if (STRIPPED_STATUS.includes(status)) {
    return 'a device in the network may remove WebSocket upgrades: use wss:// or ask for an exception'
  }
  return undefined
}

// Limits the delay that a server can ask for.
const MAX_RETRY_AFTER_MS = 5 * 60_000

/**
 * Reads a Retry-After header (RFC 9110 section 10.2.3): seconds or a date.
 * @param nowMs - time of the caller's clock, ms since the epoch
 * @returns the delay in ms, between 0 and five minutes; undefined for any other value
 */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  // Date.parse also accepts texts that are not an HTTP date, such as "-5".
  if (Number.isNaN(waitMs) || !/^\d+$|GMT$/.test(text)) return undefined
  return Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS)
}
