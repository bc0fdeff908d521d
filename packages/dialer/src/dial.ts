import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { connectFirstHop } from './connect/connect.ts'
import { DialContext } from './dial-context.ts'
import { checkOptionNames } from './option-names.ts'
import { DIAL_OPTION_NAMES, type DialOptions, resolveDialOptions } from './options.ts'
import type { RouteScheme } from './proxy/environment.ts'
import { selectProxy } from './proxy/select-proxy.ts'
import { holding } from './socket-event.ts'
import { secure } from './tls/handshake.ts'
import { openTunnel } from './proxy/tunnel.ts'
import { type Endpoint, formatEndpoint, checkEndpoint } from './endpoint.ts'

/**
 * Opens a connection to a target; the options choose source address, proxy, race of addresses and TLS.
 * The socket is connected, paused, and has noDelay and keep-alive set. The caller owns it and must
 * listen for its `error` at once.
 * @throws {TypeError | RangeError} at once, for a wrong argument
 * @returns rejects with a DialError, or with the reason of the signal
 */
export function dial(target: Endpoint, options: DialOptions = {}): Promise<Socket | TLSSocket> {
  checkOptionNames('', options, DIAL_OPTION_NAMES)
  const endpoint = checkEndpoint(target)
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
 * Runs the steps of a dial up to a socket that is connected to the server.
 * @param scheme - the protocol on the socket; decides which environment variables are used
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
