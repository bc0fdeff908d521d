import type { Socket } from 'node:net'

import { connectFirstHop, resolveStep } from '../connect/connect.ts'
import { type DialContext, type DialStep, timedOut } from '../dial-context.ts'
import { type DialError, type DialErrorCode, isDialError } from '../errors.ts'
import { DIAL_LIMITS } from '../options.ts'
import { httpConnect } from './http-connect.ts'
import { proxyError } from './errors.ts'
import { ProxyLogin } from './proxy-login.ts'
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
  const { proxyHeaders, proxyAuthorize } = context.options
  const login = new ProxyLogin(proxy, proxyAuthorize)
  const request = { ...target, proxy, headers: proxyHeaders, login }
  // A proxy can close the connection after its challenge, so the answer needs a new connection. Ends,
  // because the number of answers of a login is limited.
  for (;;) {
    const socket = await connectProxy(context, proxy)
    const tunnel = await proxyStep(
      context,
      proxy,
      socket,
      `CONNECT ${formatEndpoint(target)}`,
      context.options.timeouts.proxyMs,
      (signal) => httpConnect(socket, request, signal),
      (outcome) =>
        outcome === undefined ? 'authentication required, asking again' : 'tunnel open',
    )
    if (tunnel !== undefined) return tunnel
  }
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
  const { proxyMs } = context.options.timeouts
  const longest = proxyMs === Infinity ? DIAL_LIMITS.proxyMs.default : proxyMs
  // Every address gets a part of the time, so that a silent one does not use up the whole.
  const partMs = longest / Math.min(addresses.length, MAX_PARTS)
  let useful: DialError | undefined
  for (const [index, host] of addresses.entries()) {
    const { port } = target
    const socket = await connectProxy(context, proxy)
    try {
      return await proxyStep(
        context,
        proxy,
        socket,
        `${proxy.protocol} ${formatEndpoint({ host, port })}`,
        index === addresses.length - 1 ? proxyMs : partMs,
        (signal) => socksConnect(socket, { proxy, host, port }, signal),
        () => 'tunnel open',
      )
    } catch (error) {
      if (!isDialError(error) || rankOf(error) < 0) throw error
      // Twice means that the peer is not a SOCKS proxy; once can be a proxy that knows one family only.
      if (error.code === 'DIAL_PROXY_PROTOCOL' && useful?.code === error.code) throw error
      if (useful === undefined || rankOf(error) < rankOf(useful)) useful = error
    }
  }
  throw useful ?? new Error('unreachable: each address returns or throws')
}

// Limits the addresses of a name that are tried through a proxy that does not look up names.
const MAX_SOCKS_ADDRESSES = 16
// A silent address gets at least this part of the time limit, also when there are many addresses.
const MAX_PARTS = 4

// After one of these errors another address of the name can still work, for example an IPv4 address
// where the rules of the proxy deny IPv6, or where it closes the connection instead of a reply. The
// most useful one is first: it is the error of the dial when no address works.
const OTHER_ADDRESS_MAY_WORK: readonly DialErrorCode[] = [
  'DIAL_PROXY_TARGET_FAILED',
  'DIAL_PROXY_DENIED',
  'DIAL_PROXY_TIMEOUT',
  'DIAL_PROXY_PROTOCOL',
  'DIAL_PROXY_ADDRESS_TYPE',
]

function rankOf(error: DialError): number {
  return OTHER_ADDRESS_MAY_WORK.indexOf(error.code)
}

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
  limitMs: number,
  run: (signal: AbortSignal) => Promise<T>,
  describe: (result: T) => string,
): Promise<T> {
  const message = `the proxy ${proxy.toString()} did not answer ${about}`
  const hint = proxy.protocol.startsWith('socks')
    ? 'check that it is a SOCKS proxy: an HTTP proxy waits for more bytes'
    : 'the proxy may be overloaded, or wait for a server that does not respond'
  const expired = (): DialError =>
    timedOut('DIAL_PROXY_TIMEOUT', 'proxy', 'proxy', message, limitMs, hint)
  const step: DialStep = { phase: 'proxy', leg: 'proxy', about, limitMs, expired }
  return holding(socket, () => context.step(step, run, describe))
}
