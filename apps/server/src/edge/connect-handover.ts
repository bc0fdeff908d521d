import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'

import type { RequestHead } from '@proj/http1'
import type { ConnectRequest } from '@proj/tunnel'

import { peerFacts } from '../tls/client-certificate.ts'

/**
 * A request for the connect route as the tunnel takes it: the first of each header, lower case.
 *
 * @param socket - it came by.
 * @param remoteAddress - the peer's, normalised.
 */
export function connectRequest(
  head: RequestHead,
  path: string,
  socket: Socket,
  remoteAddress: string,
): ConnectRequest {
  const headers: IncomingHttpHeaders = {}
  for (let at = 0; at < head.headers.length; at += 2) {
    headers[(head.headers[at] ?? '').toLowerCase()] ??= head.headers[at + 1]
  }
  const from = { remoteAddress, remotePort: socket.remotePort, ...peerFacts(socket) }
  return { method: head.method, path, headers, ...from }
}

/** The path of a request target, without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
