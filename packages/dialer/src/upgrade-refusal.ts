import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

import { DialError } from './dial-error.ts'
import { parseRetryAfter } from './retry-after.ts'

// Enough for an error page's first words; protects against an endless body.
const MAX_BODY_BYTES = 1024
// The status is known; a body that dawdles must not turn the refusal into a timeout.
const BODY_WAIT_MS = 1_000
const MAX_HEADERS = 64
const MAX_HEADER_CHARS = 1024
// Statuses after which the same request may well be accepted later; every other one is final.
const RETRYABLE_STATUS: readonly number[] = [408, 429, 500, 502, 503, 504]
// Statuses that say "there is no WebSocket here", which a middlebox causes by dropping the Upgrade.
const STRIPPED_STATUS: readonly number[] = [200, 426, 501]

/**
 * Reads a refused upgrade and makes the error for it. The connection is of no more use.
 * @param about - the URL without credentials
 */
export async function refusal(response: IncomingMessage, about: string): Promise<DialError> {
  const bodyText = await readStart(response)
  const status = response.statusCode ?? 0
  const headers = boundHeaders(response.headers)
  const said = errorText(bodyText)
  const retryAfterMs = parseRetryAfter(headers['retry-after'], Date.now())
  if (wantsClientCertificate(headers, bodyText)) {
    return new DialError(
      'DIAL_TLS_CLIENT_CERT',
      `the server ${about} does not accept our client certificate: ${said ?? status}`,
      {
        phase: 'upgrade',
        leg: 'server',
        status,
        headers,
        bodyText,
        retryAfterMs,
        retry: 'no',
        hint: 'set tls.cert and tls.key to a certificate that the server knows the issuer of',
      },
    )
  }
  return new DialError(
    'DIAL_UPGRADE_REFUSED',
    `the server refused the WebSocket upgrade of ${about}: ${status} ${response.statusMessage ?? ''}`.trimEnd() +
      (said === undefined ? '' : ` (${said})`),
    {
      phase: 'upgrade',
      leg: 'server',
      status,
      headers,
      bodyText,
      retryAfterMs,
      retry: RETRYABLE_STATUS.includes(status) ? 'yes' : 'no',
      hint: hintFor(status),
    },
  )
}

/** A server of ours, and nginx, say it in HTTP, for an alert in the handshake may be lost. */
function wantsClientCertificate(
  headers: Readonly<Record<string, string>>,
  bodyText: string,
): boolean {
  return (
    headers['adit-error']?.startsWith('client_certificate_') === true ||
    /No required SSL certificate was sent|The SSL certificate error/.test(bodyText)
  )
}

/** Reads the first bytes of a body; what ends it early does not matter. */
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
    // The status counts; a body that breaks off is shown as far as it came.
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

/** Finds the reason in a JSON body of the form {"error": "..."}; it goes into one line of text. */
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
  if (status === 401 || status === 403) return 'the server wants another token'
  if (status === 404) return 'check the path, and that the port is the one for agents'
  if (STRIPPED_STATUS.includes(status)) {
    return 'something on the way may drop WebSocket upgrades; use wss:// or ask for an exception'
  }
  return undefined
}
