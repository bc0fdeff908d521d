/** Names the visitor where servers look for the peer of a connection: `socket.remoteAddress`, so `req.ip`. */
import type { IncomingMessage, Server as HttpServer } from 'node:http'
import { isIPv6, type Server } from 'node:net'
import type { Duplex } from 'node:stream'

import type { StreamRecord } from '../protocol/stream-record.ts'

interface Visitor {
  address: string | undefined
  port: number | undefined
  isEncrypted: boolean
}

const VISITORS = new WeakMap<object, Visitor>()
const NAMED = new WeakSet<Server>()

/**
 * Gives a stream the address of its visitor in place of the server's. Without a record, from a Piko server, the
 * visitor is not known, and it has none.
 */
export function nameVisitor(stream: Duplex, record: StreamRecord | undefined): void {
  const visitor: Visitor = {
    address: record?.visitorAddress,
    port: record?.visitorPort,
    isEncrypted: record?.visitorTls !== undefined,
  }
  const property = (get: () => unknown): PropertyDescriptor => ({ get, configurable: true })
  Object.defineProperties(stream, {
    remoteAddress: property(() => visitor.address),
    remoteFamily: property(() => familyOf(visitor.address)),
    remotePort: property(() => visitor.port),
  })
  if (record?.kind !== 'http') return
  // What tells `req.protocol` of express that the visitor came by TLS.
  Object.defineProperty(
    stream,
    'encrypted',
    property(() => visitor.isEncrypted),
  )
  VISITORS.set(stream, visitor)
}

/**
 * Names the visitor of each request anew: one stream carries requests of many visitors, one after the other. An Adit
 * server writes X-Forwarded-For itself, the visitor first.
 */
export function nameVisitorsOfRequests(server: Server): void {
  if (NAMED.has(server)) return
  NAMED.add(server)
  const name = (request: IncomingMessage): void => {
    const visitor = VISITORS.get(request.socket)
    if (visitor === undefined) return
    const { 'x-forwarded-for': addresses, 'x-forwarded-proto': scheme } = request.headers
    if (typeof addresses === 'string') {
      visitor.address = addresses.split(',', 1)[0]?.trim()
      visitor.port = undefined
    }
    if (typeof scheme === 'string') visitor.isEncrypted = scheme === 'https'
  }
  const http = server as HttpServer
  http.prependListener('request', name)
  // A listener for upgrades makes Node hand over the socket, so there is one only beside the user's.
  const watchUpgrades = (): void => void http.prependListener('upgrade', name)
  if (http.listenerCount('upgrade') > 0) watchUpgrades()
  else {
    const onNew = (event: string | symbol): void => {
      if (event !== 'upgrade') return
      http.off('newListener', onNew)
      watchUpgrades()
    }
    http.on('newListener', onNew)
  }
}

function familyOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  return isIPv6(address) ? 'IPv6' : 'IPv4'
}
