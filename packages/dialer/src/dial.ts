import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { connectFirstHop, formatEndpoint, type Endpoint } from './connect.ts'
import { DialContext } from './dial-context.ts'
import { resolveDialOptions, type DialOptions } from './options.ts'
import { checkTarget } from './target.ts'
import { secure } from './tls.ts'

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
    const socket = await openRoute(context, endpoint)
    if (!signal.aborted) return socket
    socket.destroy()
    throw signal.reason
  })
}

/** Runs the steps of a dial up to the socket that speaks to the server. */
export async function openRoute(
  context: DialContext,
  endpoint: Endpoint,
): Promise<Socket | TLSSocket> {
  const { tls } = context.options
  const socket = await connectFirstHop(context, endpoint, 'server')
  if (tls === undefined) return socket
  const host = 'path' in endpoint ? 'localhost' : endpoint.host
  const about = formatEndpoint(endpoint)
  return secure(context, socket, tls, { host, about, leg: 'server', proxied: false })
}
