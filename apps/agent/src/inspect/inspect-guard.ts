/**
 * Which requests the inspector answers. It is a page on this machine that shows what visitors sent, and every
 * website that is open in the browser can send requests to it. So the host has to be ours (a page whose name
 * resolves to this machine sends its own), a browser must not say that another site asks, and the API needs the
 * token of the address that the agent prints. It is no cookie: browsers send cookies to every port of a host, so
 * the service itself would get it.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

import { isSameOrigin } from '@proj/program-kit'

import { InspectError } from './inspect-error.ts'

/** Name of the header with the token. */
export const TOKEN_HEADER = 'x-adit-token'

/** What requests are judged by. */
export interface GuardRules {
  readonly token: string
  /** Host names besides those of loopback, lower case, without port. */
  readonly hosts: readonly string[]
  /** Ports that the inspector has. */
  readonly ports: () => readonly number[]
  /** Whether any IP address is a host of it: it listens beyond loopback. */
  readonly isPublic: boolean
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/**
 * Judges a request.
 *
 * @param isApi - whether it asks for data; else for the files of the page, which have none.
 * @throws {InspectError} 401 or 403 with a code.
 */
export function guard(request: IncomingMessage, isApi: boolean, rules: GuardRules): void {
  const { headers, rawHeaders, url = '/', method = 'GET' } = request
  const { host = '', origin } = headers
  const hostLines = rawHeaders.filter((text, at) => at % 2 === 0 && text.toLowerCase() === 'host')
  if (hostLines.length !== 1 || !url.startsWith('/') || !isOwnHost(host.toLowerCase(), rules)) {
    throw new InspectError(
      'host_refused',
      403,
      'This host name is not one of the inspector.',
      'Open the address that adit printed, or put the name into inspector.hosts.',
    )
  }
  const site = headers['sec-fetch-site']
  const isPage = !isApi && headers['sec-fetch-dest'] === 'document' && method === 'GET'
  const isForeign = site !== undefined && site !== 'same-origin' && (isApi || site !== 'none')
  if (isForeign && !isPage) {
    throw new InspectError('site_refused', 403, 'The request was made by a page of another site.')
  }
  if (!isSameOrigin(origin, host)) {
    throw new InspectError('origin_refused', 403, 'The request was made by a page of another site.')
  }
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
    throw new InspectError('method_refused', 403, 'Only GET and POST are answered.')
  }
  if (!isApi) return
  if (!isSame(headers[TOKEN_HEADER], rules.token)) {
    throw new InspectError(
      'token_needed',
      401,
      'The token of this inspector is missing or wrong.',
      'Open the address that adit printed; adit inspect prints it again.',
    )
  }
  if (method === 'POST' && headers['content-type'] !== 'application/json') {
    throw new InspectError('type_refused', 415, 'The request has to be application/json.')
  }
}

function isOwnHost(host: string, { hosts, ports, isPublic }: GuardRules): boolean {
  const match = /^(\[[\d:a-f.]+\]|[^:\]]+)(?::(\d+))?$/.exec(host)
  const [, name = '', port] = match ?? []
  if (hosts.includes(name)) return true // behind a proxy of the operator, whose port is another
  if (!ports().includes(Number(port ?? 80))) return false
  if (LOOPBACK.includes(name)) return true
  return isPublic && isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
}

/** Compares in a time that does not depend on where they differ. */
function isSame(given: string | string[] | undefined, token: string): boolean {
  if (typeof given !== 'string') return false
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(token))
}
