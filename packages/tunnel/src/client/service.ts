/** What `listener.serve` takes: a server, the app of a framework, or a function, none of which needs a port. */
import { createServer, type RequestListener, Server as HttpServer } from 'node:http'
import { Server } from 'node:net'
import type { Duplex } from 'node:stream'

import { type FetchHandler, fetchListener } from './fetch-listener.ts'
import { nameVisitorsOfRequests } from './visitor-of-stream.ts'

/** How long a stream between two requests is kept, ms: longer than a visitor looks at a page. */
const KEEP_ALIVE_MS = 65_000

/**
 * What can be served: a server of `node:http` or `node:net`; a request listener of two parameters or more, such as an
 * express app, `app.callback()` of Koa or `app.getRequestHandler()` of Next; a fetch handler of one or none; an object
 * with such a `fetch`, as an app of Hono is; an app of fastify.
 */
export type Service =
  | Server
  | RequestListener
  | FetchHandler
  | { readonly fetch: FetchHandler }
  | { readonly server: Server; readonly ready: () => PromiseLike<unknown> }

/**
 * Makes what takes the connections of a service.
 *
 * @throws {TypeError} for something else.
 */
export function connectionsOf(service: Service): (stream: Duplex) => void {
  if (service instanceof Server) return toServer(service)
  if (typeof service === 'function') {
    const isFetch = service.length < 2
    const listener = isFetch ? fetchListener(service as FetchHandler) : (service as RequestListener)
    return toServer(serverOf(listener))
  }
  if (typeof service === 'object' && service !== null) {
    if ('fetch' in service && typeof service.fetch === 'function') {
      return toServer(serverOf(fetchListener((...args) => service.fetch(...args))))
    }
    if ('server' in service && 'ready' in service && service.server instanceof Server) {
      return whenReady(service.ready(), toServer(service.server))
    }
  }
  throw new TypeError(
    'serve takes a server of node:http or node:net, a request listener, a fetch handler, or an app with fetch or server',
  )
}

function serverOf(listener: RequestListener): HttpServer {
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, listener)
}

function toServer(server: Server): (stream: Duplex) => void {
  if (server instanceof HttpServer) nameVisitorsOfRequests(server)
  return (stream) => void server.emit('connection', stream)
}

/** Connections wait until the app has loaded its plugins; where that fails, they end. */
function whenReady(
  ready: PromiseLike<unknown>,
  take: (stream: Duplex) => void,
): (stream: Duplex) => void {
  const state = Promise.resolve(ready)
  state.catch((error: unknown) => process.emitWarning(error as Error))
  return (stream) => {
    stream.on('error', () => {}) // a visitor may go before the app is ready
    state.then(
      () => stream.destroyed || take(stream),
      () => stream.destroy(),
    )
  }
}
