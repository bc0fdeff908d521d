// Proxies from environment variables. Lower case is used before upper case, as in curl, and an empty
// value is ignored. HTTP_PROXY is not used for TLS targets: only one common tool does that, and
// traffic would go to an unexpected proxy. There is a warning instead.

import { DialError } from '../errors.ts'
import { NO_PROXY_FORMS, isThisHost, type NoProxyRules, parseNoProxy } from './no-proxy.ts'
import { ProxyServer } from './proxy-server.ts'

/** Protocol to the target; decides which variables are used. */
export type RouteScheme = 'ws' | 'wss' | 'http' | 'https' | 'tcp' | 'tls'

/** The proxy for a target, and the reason for it. */
export interface ProxySelection {
  /** The proxy; undefined for a direct connection. */
  readonly proxy: ProxyServer | undefined
  /** The source of the choice: a variable, an option, or the reason why there is no proxy. */
  readonly from: string
  /** Settings that may be a mistake. */
  readonly warnings: readonly string[]
}

/** Variables of an environment, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads the proxies from environment variables, for the option `proxy`: HTTPS_PROXY, HTTP_PROXY,
 * ALL_PROXY, WSS_PROXY, WS_PROXY and NO_PROXY, in upper and lower case. Reads them once.
 * @param env - usually `process.env`, which this package does not read by itself
 */
export function proxyFromEnvironment(env: Environment): EnvironmentProxies {
  return new EnvironmentProxies(env)
}

/** The proxies of an environment. */
export class EnvironmentProxies {
  // Private, because the values contain credentials and must not appear in an inspection.
  readonly #variables = new Map<string, string>()
  /** By variable, so that each proxy stays one object. */
  readonly #proxies = new Map<string, ProxyServer>()
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

  /** Names of the variables that are set. */
  get names(): readonly string[] {
    return [...this.#variables.keys()]
  }

  /**
   * Chooses the proxy for one target.
   * @throws {DialError} DIAL_PROXY_INVALID naming the variable
   */
  select(scheme: RouteScheme, host: string, port: number): ProxySelection {
    const warnings: string[] = []
    // A CGI parent turns a request header "Proxy" into HTTP_PROXY (httpoxy, CVE-2016-5385).
    const cgi = this.#isCgi && this.#variables.has('HTTP_PROXY')
    if (cgi) warnings.push('HTTP_PROXY is ignored because REQUEST_METHOD is set (CGI)')
    const name = this.#first(VARIABLES_OF[scheme], cgi)
    if (name === undefined) {
      const other = this.#first(['https_proxy', 'http_proxy'], cgi)
      if (other !== undefined) {
        warnings.push(`${other} is set, but is not used for ${scheme}: targets`)
      }
      return { proxy: undefined, from: 'no proxy in the environment', warnings }
    }
    if (isThisHost(host)) {
      return { proxy: undefined, from: `loopback targets do not use ${name}`, warnings }
    }
    const entry = this.#noProxy.match(host, port)
    if (entry !== undefined) {
      return { proxy: undefined, from: `${this.#noProxyName} entry ${entry}`, warnings }
    }
    this.#refuseWrongEntries()
    const value = this.#variables.get(name) ?? ''
    if (!value.includes('://')) warnings.push(`${name} has no scheme; http:// is assumed`)
    const proxy = this.#proxies.get(name) ?? parseVariable(name, value)
    this.#proxies.set(name, proxy)
    return { proxy, from: name, warnings }
  }

  /**
   * An entry that cannot be read could be meant for this target, so the proxy is not used in spite of it.
   */
  #refuseWrongEntries(): void {
    const [wrong] = this.#noProxy.wrong
    if (wrong === undefined) return
    throw new DialError(
      'DIAL_PROXY_INVALID',
      `the environment variable ${this.#noProxyName} has the entry ${JSON.stringify(wrong)}, which has no known form`,
      {
        phase: 'proxy',
        leg: 'local',
        hint: `use ${NO_PROXY_FORMS}`,
      },
    )
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
      `the environment variable ${name} is not valid: ${why}`,
      {
        phase: 'proxy',
        leg: 'local',
        hint: 'use the form http://user:password@host:port, with special characters percent-encoded',
      },
    )
  }
}
