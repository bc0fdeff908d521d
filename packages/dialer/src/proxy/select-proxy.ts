import type { NoProxyRules } from './no-proxy.ts'
import { EnvironmentProxies, type ProxySelection, type RouteScheme } from './environment.ts'
import { askAtOnce, type FindProxy } from './find-proxy.ts'
import { ProxyServer, type ProxySettings } from './proxy-server.ts'

/** The option `proxy`. */
export type ProxyOption =
  | string
  | URL
  | ProxyServer
  | ProxySettings
  | EnvironmentProxies
  | FindProxy

/** The option `proxy` after its check. */
export type ResolvedProxy = 'direct' | ProxyServer | EnvironmentProxies | FindProxy

/**
 * Checks the option `proxy`. `'direct'` and `'none'` mean no proxy.
 * @throws {TypeError} for a URL that is not valid; the text never contains credentials
 */
export function resolveProxy(option: ProxyOption): ResolvedProxy {
  if (option instanceof ProxyServer || option instanceof EnvironmentProxies) return option
  if (option === 'direct' || option === 'none') return 'direct'
  if (typeof option === 'function') return option
  return new ProxyServer(option)
}

/** A target of a dial. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string }

/**
 * Chooses the proxy for a request while it is being made.
 * @returns undefined for no proxy, and when a function answers later
 * @throws {DialError} DIAL_PROXY_INVALID
 */
export function selectProxyAtOnce(
  option: ResolvedProxy,
  noProxy: NoProxyRules,
  scheme: RouteScheme,
  target: Target,
): ProxyServer | undefined {
  const selection = withoutAsking(option, noProxy, scheme, target)
  if (selection !== undefined) return selection.proxy
  if (typeof option !== 'function' || 'path' in target) return undefined
  return askAtOnce(option, scheme, target)
}

/** The choice where no function has to be asked; otherwise undefined. */
export function withoutAsking(
  option: ResolvedProxy,
  noProxy: NoProxyRules,
  scheme: RouteScheme,
  target: Target,
): ProxySelection | undefined {
  if ('path' in target) return direct('unix sockets use no proxy')
  if (option === 'direct') return direct('no proxy is set')
  if (option instanceof EnvironmentProxies) return option.select(scheme, target.host, target.port)
  const entry = noProxy.match(target.host, target.port)
  if (entry !== undefined) return direct(`noProxy entry ${entry}`)
  if (typeof option === 'function') return undefined
  return { proxy: option, from: 'the option proxy', warnings: [] }
}

function direct(from: string): ProxySelection {
  return { proxy: undefined, from, warnings: [] }
}
