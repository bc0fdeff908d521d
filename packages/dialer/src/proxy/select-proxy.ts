import type { NoProxyRules } from './no-proxy.ts'
import { EnvironmentProxies, type ProxySelection, type RouteScheme } from './environment.ts'
import { ProxyServer, type ProxySettings } from './proxy-server.ts'

/** The option `proxy`. */
export type ProxyOption = string | URL | ProxyServer | ProxySettings | EnvironmentProxies

/** The option `proxy` after its check. */
export type ResolvedProxy = 'direct' | ProxyServer | EnvironmentProxies

/**
 * Checks the option `proxy`. `'direct'` and `'none'` mean no proxy.
 * @throws {TypeError} for a URL that is not valid; the text never contains credentials
 */
export function resolveProxy(option: ProxyOption): ResolvedProxy {
  if (option instanceof ProxyServer || option instanceof EnvironmentProxies) return option
  if (option === 'direct' || option === 'none') return 'direct'
  return new ProxyServer(option)
}

/**
 * Chooses the proxy for a target. An explicit proxy is used for every target that is not in `noProxy`,
 * also for loopback; NO_PROXY of the environment is used only with proxies of the environment.
 */
export function selectProxy(
  option: ResolvedProxy,
  noProxy: NoProxyRules,
  scheme: RouteScheme,
  target: { readonly host: string; readonly port: number } | { readonly path: string },
): ProxySelection {
  if ('path' in target) return direct('unix sockets use no proxy')
  if (option === 'direct') return direct('no proxy is set')
  if (option instanceof EnvironmentProxies) return option.select(scheme, target.host, target.port)
  const entry = noProxy.match(target.host, target.port)
  if (entry !== undefined) return direct(`noProxy entry ${entry}`)
  return { proxy: option, from: 'the option proxy', warnings: [] }
}

function direct(from: string): ProxySelection {
  return { proxy: undefined, from, warnings: [] }
}
