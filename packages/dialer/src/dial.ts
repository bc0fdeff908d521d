import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { connectFirstHop, type Endpoint, formatEndpoint } from './connect.ts'
import { DialContext } from './dial-context.ts'
import { type DialOptions, resolveDialOptions } from './options.ts'
import type { RouteScheme } from './proxy-environment.ts'
import { selectProxy } from './route.ts'
import { holding } from './socket-event.ts'
import { checkTarget } from './target.ts'
import { secure } from './tls.ts'
import { openTunnel } from './tunnel.ts'

/**
 * Opens a connection to a target: source address, proxy, racing of addresses and TLS as the options
 * say. The socket is connected, paused, has noDelay and keep-alive set, and belongs to the caller,
 * who must listen for its `error` from the first moment on.
 * @throws {TypeError | RangeError} at once, for a mistake in the arguments
 * @returns rejects with a DialError, or with the reason of the signal
 */
export function dial(target: Endpoint, options: DialOptions = {}): Promise<Socket | TLSSocket> {
  const endpoint = checkTarget(target)
  const resolved = resolveDialOptions(options)
  return DialContext.run(resolved, async (context, signal) => {
    const socket = await openRoute(context, endpoint, resolved.tls === undefined ? 'tcp' : 'tls')
    return holding(socket, async () => {
      signal.throwIfAborted()
      return socket
    })
  })
}

/**
 * Runs the steps of a dial up to the socket that speaks to the server.
 * @param scheme - what will be spoken; decides which variables of an environment count
 */
export async function openRoute(
  context: DialContext,
  endpoint: Endpoint,
  scheme: RouteScheme,
): Promise<Socket | TLSSocket> {
  const { tls, proxy: option, noProxy } = context.options
  const { proxy } = selectProxy(option, noProxy, scheme, endpoint)
  const socket =
    proxy === undefined || 'path' in endpoint
      ? await connectFirstHop(context, endpoint, 'server')
      : await openTunnel(context, proxy, endpoint)
  if (tls === undefined) return socket
  const host = 'path' in endpoint ? 'localhost' : endpoint.host
  const about = formatEndpoint(endpoint)
  return secure(context, socket, tls, { host, about, leg: 'server', proxied: proxy !== undefined })
}
