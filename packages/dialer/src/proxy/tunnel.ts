import type { Socket } from 'node:net'

import { connectFirstHop, resolveStep } from '../connect/connect.ts'
import { type DialContext, type DialStep, timedOut } from '../dial-context.ts'
import { type DialError, isDialError } from '../errors.ts'
import { type ConnectOutcome, httpConnect } from './http-connect.ts'
import { proxyError } from './errors.ts'
import type { ProxyServer } from './proxy-server.ts'
import { holding } from '../socket-event.ts'
import { socksConnect } from './socks.ts'
import { secure } from '../tls/handshake.ts'
import { formatEndpoint } from '../endpoint.ts'

/** A target behind a proxy. */
export interface TunnelTarget {
  readonly host: string
  readonly port: number
}

/**
 * Opens a connection to a target through a proxy.
 * @throws {DialError} DIAL_BIND_*, DIAL_DNS_*, DIAL_CONNECT_* and DIAL_TLS_* with leg `proxy`, or
 * DIAL_PROXY_*
 */
export function openTunnel(
  context: DialContext,
  proxy: ProxyServer,
  target: TunnelTarget,
): Promise<Socket> {
  return proxy.protocol.startsWith('socks')
    ? throughSocks(context, proxy, target)
    : throughHttp(context, proxy, target)
}

/** Connects to the proxy itself, with TLS for an https proxy. */
export async function connectProxy(context: DialContext, proxy: ProxyServer): Promise<Socket> {
  const socket = await connectFirstHop(context, proxy, 'proxy')
  if (proxy.protocol !== 'https') return socket
  const about = formatEndpoint(proxy)
  const hop = { host: proxy.host, about, leg: 'proxy', proxied: false } as const
  return secure(context, socket, context.options.proxyTls, hop)
}

async function throughHttp(
  context: DialContext,
  proxy: ProxyServer,
  target: TunnelTarget,
): Promise<Socket> {
  const { proxyAuthorize } = context.options
  const first = await ask(context, proxy, target, undefined, proxyAuthorize !== undefined)
  if ('tunnel' in first) return first.tunnel
  // The proxy closed the connection after its challenge, so the answer needs a new connection.
  const second = await ask(context, proxy, target, first.authorization, false)
  if ('tunnel' in second) return second.tunnel
  throw new Error('a second challenge was answered')
}

async function ask(
  context: DialContext,
  proxy: ProxyServer,
  target: TunnelTarget,
  authorization: string | undefined,
  mayAuthorize: boolean,
): Promise<ConnectOutcome> {
  const socket = await connectProxy(context, proxy)
  const { proxyHeaders, proxyAuthorize } = context.options
  const request = {
    ...target,
    proxy,
    headers: proxyHeaders,
    authorization,
    authorize: mayAuthorize ? proxyAuthorize : undefined,
  }
  return proxyStep(
    context,
    proxy,
    socket,
    `CONNECT ${formatEndpoint(target)}`,
    (signal) => httpConnect(socket, request, signal),
    (outcome) => ('tunnel' in outcome ? 'tunnel open' : 'authentication required, asking again'),
  )
}

async function throughSocks(
  context: DialContext,
  proxy: ProxyServer,
  target: TunnelTarget,
): Promise<Socket> {
  const addresses = proxy.resolvesNames
    ? [target.host]
    : (await resolveStep(context, target.host, 'server'))
        .filter(({ family }) => family === 4 || proxy.protocol !== 'socks4')
        .map(({ address }) => address)
        .slice(0, MAX_SOCKS_ADDRESSES)
  if (addresses.length === 0) throw noSocks4Address(proxy, target)
  for (const [index, host] of addresses.entries()) {
    try {
      const socket = await connectProxy(context, proxy)
      const { port } = target
      return await proxyStep(
        context,
        proxy,
        socket,
        `${proxy.protocol} ${formatEndpoint({ host, port })}`,
        (signal) => socksConnect(socket, { proxy, host, port }, signal),
        () => 'tunnel open',
      )
    } catch (error) {
      // The addresses of the name are tried one after another; the proxy has no race.
      const other =
        isDialError(error, 'DIAL_PROXY_TARGET_FAILED') ||
        isDialError(error, 'DIAL_PROXY_ADDRESS_TYPE')
      if (!other || index === addresses.length - 1) throw error
    }
  }
  throw new Error('unreachable: the last address throws')
}

// Limits the addresses of a name that are tried through a proxy that does not look up names.
const MAX_SOCKS_ADDRESSES = 4

function noSocks4Address(proxy: ProxyServer, target: TunnelTarget): Error {
  return proxyError(
    'DIAL_PROXY_ADDRESS_TYPE',
    proxy,
    `cannot reach ${target.host}: SOCKS4 supports IPv4 only`,
    {
      hint: 'use socks5h, or socks4a with a name',
    },
  )
}

function proxyStep<T>(
  context: DialContext,
  proxy: ProxyServer,
  socket: Socket,
  about: string,
  run: (signal: AbortSignal) => Promise<T>,
  describe: (result: T) => string,
): Promise<T> {
  const limitMs = context.options.timeouts.proxyMs
  const message = `the proxy ${proxy.toString()} did not answer ${about}`
  const hint = proxy.protocol.startsWith('socks')
    ? 'check that it is a SOCKS proxy: an HTTP proxy waits for more bytes'
    : 'the proxy may be overloaded, or wait for a server that does not respond'
  const expired = (): DialError =>
    timedOut('DIAL_PROXY_TIMEOUT', 'proxy', 'proxy', message, limitMs, hint)
  const step: DialStep = { phase: 'proxy', leg: 'proxy', about, limitMs, expired }
  return holding(socket, () => context.step(step, run, describe))
}
