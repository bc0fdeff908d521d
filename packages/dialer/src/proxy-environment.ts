// Proxies as the environment names them. Lower case goes before upper case, as curl does it, and an
// empty value counts as absent. There is no fall-back from HTTP_PROXY to TLS targets: no common tool
// but one has it, and it would send traffic where nobody expects it; it is pointed out instead.

import { DialError } from './dial-error.ts'
import { isLoopback, type NoProxyRules, parseNoProxy } from './no-proxy.ts'
import { ProxyServer } from './proxy-server.ts'

/** What a target is spoken to with; decides which variables count. */
export type RouteScheme = 'ws' | 'wss' | 'http' | 'https' | 'tcp' | 'tls'

/** Which proxy leads to a target, and why. */
export interface ProxySelection {
  /** The proxy; undefined for a direct connection. */
  readonly proxy: ProxyServer | undefined
  /** Where the choice comes from: a variable, an option, or why there is no proxy. */
  readonly from: string
  /** What a person may have meant otherwise. */
  readonly warnings: readonly string[]
}

/** Variables of an environment, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Takes the proxies of an environment, to be passed as the option `proxy`. Reads HTTPS_PROXY,
 * HTTP_PROXY, ALL_PROXY, WSS_PROXY, WS_PROXY and NO_PROXY in both cases, once, now.
 * @param env - usually `process.env`, which this package never reads by itself
 */
export function proxyFromEnvironment(env: Environment): EnvironmentProxies {
  return new EnvironmentProxies(env)
}

/** The proxies of an environment. */
export class EnvironmentProxies {
  // Holds credentials, so it is out of reach of inspection.
  readonly #variables = new Map<string, string>()
  readonly #noProxy: NoProxyRules
  readonly #noProxyName: string
  readonly #isCgi: boolean

  constructor(env: Environment) {
    for (const name of VARIABLES) {
      for (const key of [name, name.toUpperCase()]) {
        const value = env[key]?.trim()
        if (value !== undefined && value !== '') this.#variables.set(key, value)
      }
    }
    const key = this.#first(['no_proxy'], false)
    this.#noProxyName = key ?? 'NO_PROXY'
    this.#noProxy = parseNoProxy(key === undefined ? '' : (this.#variables.get(key) ?? ''))
    this.#isCgi = env['REQUEST_METHOD'] !== undefined
  }

  /** Names of the variables that are set, without their values. */
  get names(): readonly string[] {
    return [...this.#variables.keys()]
  }

  /**
   * Chooses for one target; touches nothing.
   * @throws {DialError} DIAL_PROXY_INVALID naming the variable
   */
  select(scheme: RouteScheme, host: string, port: number): ProxySelection {
    const warnings = [...this.#noProxy.warnings]
    // A CGI parent turns a request header "Proxy" into HTTP_PROXY (httpoxy, CVE-2016-5385).
    const cgi = this.#isCgi && this.#variables.has('HTTP_PROXY')
    if (cgi) warnings.push('HTTP_PROXY is ignored because REQUEST_METHOD is set (CGI)')
    const name = this.#first(VARIABLES_OF[scheme], cgi)
    if (name === undefined) {
      const other = this.#first(['https_proxy', 'http_proxy'], cgi)
      if (other !== undefined) {
        warnings.push(`${other} is set, but does not count for ${scheme}: targets`)
      }
      return { proxy: undefined, from: 'no proxy in the environment', warnings }
    }
    if (isLoopback(host)) {
      return { proxy: undefined, from: `loopback targets do not use ${name}`, warnings }
    }
    const entry = this.#noProxy.match(host, port)
    if (entry !== undefined) {
      return { proxy: undefined, from: `${this.#noProxyName} entry ${entry}`, warnings }
    }
    const value = this.#variables.get(name) ?? ''
    if (!value.includes('://')) warnings.push(`${name} has no scheme; http:// is assumed`)
    return { proxy: parseVariable(name, value), from: name, warnings }
  }

  #first(names: readonly string[], withoutHttpUpper: boolean): string | undefined {
    return names
      .flatMap((name) => [name, name.toUpperCase()])
      .find((key) => this.#variables.has(key) && !(withoutHttpUpper && key === 'HTTP_PROXY'))
  }
}

const VARIABLES = ['wss_proxy', 'ws_proxy', 'https_proxy', 'http_proxy', 'all_proxy', 'no_proxy']

const VARIABLES_OF: Readonly<Record<RouteScheme, readonly string[]>> = {
  wss: ['wss_proxy', 'https_proxy', 'all_proxy'],
  https: ['https_proxy', 'all_proxy'],
  tls: ['https_proxy', 'all_proxy'],
  ws: ['ws_proxy', 'http_proxy', 'all_proxy'],
  http: ['http_proxy', 'all_proxy'],
  tcp: ['all_proxy'],
}

function parseVariable(name: string, value: string): ProxyServer {
  try {
    return new ProxyServer(value)
  } catch (error) {
    const why = error instanceof Error ? error.message : ''
    throw new DialError(
      'DIAL_PROXY_INVALID',
      `the environment variable ${name} is no use: ${why}`,
      {
        phase: 'proxy',
        leg: 'local',
        hint: 'form: http://user:password@host:port, special characters percent-encoded',
      },
    )
  }
}
