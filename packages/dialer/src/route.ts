import { parseNoProxy } from './no-proxy.ts'
import { EnvironmentProxies, type ProxySelection, type RouteScheme } from './proxy-environment.ts'
import { ProxyServer, type ProxySettings } from './proxy-server.ts'

/** How to leave the network. */
export type ProxyOption = string | URL | ProxyServer | ProxySettings | EnvironmentProxies

/** The option `proxy`, checked. */
export type ResolvedProxy = 'direct' | ProxyServer | EnvironmentProxies

/**
 * Checks the option `proxy`. `'direct'` and `'none'` mean no proxy at all.
 * @throws {TypeError} without credentials in its text
 */
export function resolveProxy(option: ProxyOption): ResolvedProxy {
  if (option instanceof ProxyServer || option instanceof EnvironmentProxies) return option
  if (option === 'direct' || option === 'none') return 'direct'
  return new ProxyServer(option)
}

/**
 * Chooses the proxy for a target; pure. An explicit proxy serves every target that `noProxy` does
 * not name, loopback included; NO_PROXY of the environment counts only for proxies found there.
 */
export function selectProxy(
  option: ResolvedProxy,
  noProxy: string,
  scheme: RouteScheme,
  target: { readonly host: string; readonly port: number } | { readonly path: string },
): ProxySelection {
  if ('path' in target) return direct('unix sockets are local')
  if (option === 'direct') return direct('no proxy is set')
  if (option instanceof EnvironmentProxies) return option.select(scheme, target.host, target.port)
  const rules = parseNoProxy(noProxy)
  const entry = rules.match(target.host, target.port)
  if (entry !== undefined) return direct(`noProxy entry ${entry}`, rules.warnings)
  return { proxy: option, from: 'the option proxy', warnings: rules.warnings }
}

function direct(from: string, warnings: readonly string[] = []): ProxySelection {
  return { proxy: undefined, from, warnings }
}
