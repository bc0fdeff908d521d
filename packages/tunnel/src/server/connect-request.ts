import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

import type { ClientCertificate } from './authorization.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'

/** A handshake for the connect route, read by whoever owns the proxy port. */
export interface ConnectRequest {
  /** As sent; only GET is accepted. */
  readonly method: string
  /** Path without the query. */
  readonly path: string
  /** Lower-case names. */
  readonly headers: IncomingHttpHeaders
  /** Peer's address, as it shall be shown. */
  readonly remoteAddress: string | undefined
  /** Peer's port. */
  readonly remotePort: number | undefined
  /** What the peer has shown on TLS. */
  readonly certificate?: ClientCertificate
  /** TLS version and server name of its connection, `TLSv1.3 name`; absent when plain. */
  readonly tls?: string
}

/**
 * The record of a connection that came by this request. Its identifier is made here and is the same
 * in the logs of server and agent, and in the PROXY header a service may get.
 */
export function connectRecord(
  endpoint: string,
  request: Pick<ConnectRequest, 'remoteAddress' | 'remotePort' | 'tls'>,
): StreamRecord {
  return {
    kind: 'tcp',
    endpoint,
    ...(request.remoteAddress !== undefined && { visitorAddress: request.remoteAddress }),
    ...(request.remotePort !== undefined && { visitorPort: request.remotePort }),
    ...(request.tls !== undefined && { visitorTls: request.tls }),
    requestId: randomBytes(8).toString('hex'),
  }
}
