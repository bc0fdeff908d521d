import type { IncomingHttpHeaders } from 'node:http'

import type { RequestHead, VisitorConnection } from '@proj/http1'
import { clientAddress } from '@proj/auth'
import type { Endpoint } from '@proj/tunnel/server'

import { EDGE_ANSWERS, type EdgeAnswer } from './edge-answer.ts'
import type { EdgeContext } from './edge-context.ts'

/** A visitor who may pass, as far as the port is concerned. */
export interface Admitted {
  /** Whose names the visitor uses. */
  readonly tenant: string
  /** Whether `authorization` was for us, so that nobody behind us may see it. */
  readonly consumed: boolean
}

/** Headers that say who somebody is. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'x-piko-authorization'])

/** Codes of `adit-error` by status. */
const CODES: Readonly<Record<number, string>> = {
  401: 'unauthorized',
  429: 'too_many_failures',
  503: 'token_keys_unavailable',
}

/**
 * Asks a visitor for the token that the proxy port demands, where it demands one; `undefined` where it
 * does not.
 */
export function admitVisitor(
  edge: EdgeContext,
  head: RequestHead,
  { tenant, name: endpoint }: Endpoint,
  connection: VisitorConnection,
): Promise<Admitted | EdgeAnswer> | undefined {
  const { authenticator } = edge
  if (authenticator?.asksVisitors !== true) return undefined
  const { trustedHops } = edge.options
  const remoteAddress = clientAddress(head.headers, connection.clientAddress, trustedHops)
  const request = { headers: credentialsOf(head.headers, tenant), remoteAddress }
  return authenticator.admitVisitor(request, endpoint).then(
    (verdict) => {
      if (!('status' in verdict)) return verdict
      const { status, error, retryAfterMs } = verdict
      const code = CODES[status] ?? 'unauthorized'
      // RFC 9110 section 15.5.2: a 401 says what it wants.
      const headers = status === 401 ? ['www-authenticate', 'Bearer'] : []
      if (retryAfterMs !== undefined) {
        headers.push('retry-after', String(Math.ceil(retryAfterMs / 1000)))
      }
      return { status, error, code, headers }
    },
    (error: unknown) => {
      edge.logger.error({ err: error, endpoint }, 'visitor could not be judged')
      return EDGE_ANSWERS.judgeFailed
    },
  )
}

/** What is sent twice is joined, and so no credential at all: two readers could take either. */
function credentialsOf(list: readonly string[], tenant: string): IncomingHttpHeaders {
  const headers: Record<string, string> = {}
  // By whatever the visitor named it.
  if (tenant !== '') headers['x-piko-tenant-id'] = tenant
  for (let at = 0; at < list.length; at += 2) {
    const name = (list[at] ?? '').toLowerCase()
    const value = list[at + 1] ?? ''
    if (!CREDENTIALS.has(name)) continue
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return headers
}
