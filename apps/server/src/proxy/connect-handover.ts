import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'

import type { RequestHead, VisitorConnection } from '@proj/http1'
import type { ConnectRequest } from '@proj/tunnel/server'
import { clientAddress } from '@proj/auth'

import { peerFacts } from '../tls/client-certificate.ts'
import type { EdgeContext } from './edge-context.ts'

/**
 * A request for the connect route as the tunnel takes it: the first of each header, lower case.
 *
 * @param socket - it came by.
 * @returns undefined for every other request.
 */
export function connectRequest(
  edge: EdgeContext,
  head: RequestHead,
  source: VisitorConnection,
  socket: Socket,
): ConnectRequest | undefined {
  const path = pathOf(head.target)
  if (!edge.connect.matches(head.method, path)) return undefined
  const headers: IncomingHttpHeaders = {}
  for (let at = 0; at < head.headers.length; at += 2) {
    headers[(head.headers[at] ?? '').toLowerCase()] ??= head.headers[at + 1]
  }
  const peer = source.clientAddress
  const remoteAddress = clientAddress(head.headers, peer, edge.options.trustedHops)
  // The port is that of the peer: of a client behind a proxy of ours only the address is known.
  const remotePort = remoteAddress === peer ? socket.remotePort : undefined
  const from = { remoteAddress, remotePort, ...peerFacts(socket) }
  return { method: head.method, path, headers, ...from }
}

/** The path of a request target, without its query. */
function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
