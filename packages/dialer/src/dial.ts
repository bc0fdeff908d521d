import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { connectFirstHop } from './connect/connect.ts'
import { DialContext } from './dial-context.ts'
import { checkOptionNames } from './option-names.ts'
import { DIAL_OPTION_NAMES, type DialOptions, resolveDialOptions } from './options.ts'
import { isDialError } from './errors.ts'
import type { ProxySelection, RouteScheme } from './proxy/environment.ts'
import { chooseProxies } from './proxy/choose-proxies.ts'
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
  const { tls, targetName: leg } = context.options
  const { socket, proxied } = await openFirst(
    context,
    endpoint,
    await chooseProxies(context, scheme, endpoint),
  )
  if (tls === undefined) return socket
  const host = 'path' in endpoint ? 'localhost' : endpoint.host
  const about = formatEndpoint(endpoint)
  return secure(context, socket, tls, { host, about, leg, proxied })
}

/** Connects by the first choice; by the next one when the proxy of a choice cannot be reached. */
async function openFirst(
  context: DialContext,
  endpoint: Endpoint,
  choices: readonly ProxySelection[],
): Promise<{ readonly socket: Socket; readonly proxied: boolean }> {
  for (const [index, { proxy }] of choices.entries()) {
    if (proxy === undefined || 'path' in endpoint) break
    try {
      return { socket: await openTunnel(context, proxy, endpoint), proxied: true }
    } catch (error) {
      if (index === choices.length - 1 || !isProxyUnreachable(error)) throw error
    }
  }
  return {
    socket: await connectFirstHop(context, endpoint, context.options.targetName),
    proxied: false,
  }
}

/** Whether the proxy itself could not be reached, so that another one may do. */
function isProxyUnreachable(error: unknown): boolean {
  if (!isDialError(error) || error.leg !== 'proxy') return false
  return error.phase === 'dns' || error.phase === 'connect'
}
