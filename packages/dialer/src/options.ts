import { validateHeaderName, validateHeaderValue } from 'node:http'

import type { DialLeg, DialPhase } from './errors.ts'
import type { Lookup } from './connect/lookup.ts'
import type { ProxyAuthorize } from './proxy/challenge.ts'
import { type NoProxyRules, parseNoProxy } from './proxy/no-proxy.ts'
import { type ProxyOption, type ResolvedProxy, resolveProxy } from './proxy/select-proxy.ts'
import { resolveSources, type SourceOptions, type SourcePlan } from './connect/source-options.ts'
import {
  DEFAULT_TLS,
  HTTP_ALPN,
  type ResolvedTls,
  resolveTls,
  type TlsOptions,
} from './tls/options.ts'
import { checkOptionNames, type OptionNames } from './option-names.ts'
import { type DialLimit, limitOf, MAX_TIMER_MS } from './limit.ts'
import { trustingContext } from './tls/trust.ts'

/**
 * Time limits of a dial. Each is absolute: bytes from a peer do not extend it. Defaults and ranges are
 * in DIAL_LIMITS; Infinity means no limit.
 */
export interface DialTimeouts {
  /** The whole dial, ms. */
  readonly totalMs?: number | undefined
  /** The lookup of a name, ms. */
  readonly dnsMs?: number | undefined
  /** The connection to one of the addresses, ms. */
  readonly connectMs?: number | undefined
  /** The response of a proxy to CONNECT, or the SOCKS exchange, ms. */
  readonly proxyMs?: number | undefined
  /** One TLS handshake, ms. */
  readonly tlsMs?: number | undefined
  /** The WebSocket upgrade, ms. */
  readonly upgradeMs?: number | undefined
}

/** One event of a dial: a step that started, or its result. */
export interface DialEvent {
  /** The step that took this time. */
  readonly phase: DialPhase
  /** The other end of the step. */
  readonly leg: DialLeg
  /** Whether the step started, or how it ended. */
  readonly state: 'started' | 'succeeded' | 'failed'
  /** The target of the step, or its result; never contains credentials. */
  readonly detail: string
  /** Time since the step started, ms. */
  readonly elapsedMs: number
}

/** Options of every dial. Defaults and ranges of numbers are in DIAL_LIMITS. */
export interface DialOptions extends SourceOptions {
  /** Cancels the dial. It then rejects with the reason of the signal, and its sockets are closed. */
  readonly signal?: AbortSignal | undefined
  /**
   * TLS to the server: `true` or TLS options. Default: none for `dial()`; for a URL its scheme
   * decides.
   */
  readonly tls?: boolean | TlsOptions | undefined
  /**
   * Proxy to use: a URL, `'direct'` for none, the result of `proxyFromEnvironment()`, or a function
   * that chooses, such as `findProxy` of `systemProxy()`. Schemes: http, https, socks4, socks4a, socks5,
   * socks5h, and socks, which means socks5h. This package does not read the environment or the
   * settings of the system by itself. Default: `'direct'`.
   */
  readonly proxy?: ProxyOption | undefined
  /** Targets that do not use the proxy of the option `proxy`, in the form of NO_PROXY. Default: none. */
  readonly noProxy?: string | undefined
  /** TLS to an https proxy: authorities, name and client certificate. Default: the defaults of TlsOptions. */
  readonly proxyTls?: TlsOptions | undefined
  /** Headers for the proxy only, sent with CONNECT. Default: none. */
  readonly proxyHeaders?: Readonly<Record<string, string>> | undefined
  /**
   * Answers a 407 of an HTTP proxy, for schemes other than Basic and Digest, such as NTLM and
   * Negotiate. Called again while the proxy continues the exchange, at most five times per request;
   * when it returns undefined, the dial fails. Default: none.
   */
  readonly proxyAuthorize?: ProxyAuthorize | undefined
  /** Use addresses of this family only. Default: both. */
  readonly family?: 4 | 6 | undefined
  /** Limits of the steps and of the whole. */
  readonly timeouts?: DialTimeouts | undefined
  /**
   * Delay before the next address is tried while earlier attempts are still running, ms (RFC 8305
   * section 8).
   */
  readonly attemptDelayMs?: number | undefined
  /** Idle time before the system sends TCP keep-alive probes, ms; Infinity for none. */
  readonly keepAliveMs?: number | undefined
  /** Looks up names. Default: the resolver of the system, in its order (RFC 6724). */
  readonly lookup?: Lookup | undefined
  /**
   * What the target is called in errors and events, so that a person who reads about two connections can tell the
   * service from the server. Default: `'server'`.
   */
  readonly targetName?: 'server' | 'service' | undefined
  /** Called when a step starts and when it ends. Errors it throws are ignored. */
  readonly onEvent?: ((event: DialEvent) => void) | undefined
}

/** Options of `dial`, of the agents and of the connector. */
export const DIAL_OPTION_NAMES: OptionNames<DialOptions> = {
  signal: true,
  tls: true,
  proxy: true,
  noProxy: true,
  proxyTls: true,
  proxyHeaders: true,
  proxyAuthorize: true,
  family: true,
  timeouts: true,
  attemptDelayMs: true,
  keepAliveMs: true,
  lookup: true,
  targetName: true,
  onEvent: true,
  localAddress: true,
  localPort: true,
  interface: true,
  device: true,
}

/** The option `timeouts`. */
const TIMEOUT_NAMES: OptionNames<DialTimeouts> = {
  totalMs: true,
  dnsMs: true,
  connectMs: true,
  proxyMs: true,
  tlsMs: true,
  upgradeMs: true,
}

const ANY_TIME = { min: 1, max: MAX_TIMER_MS, orInfinity: true } as const

/** Default and range of every option of a dial that is a number. */
export const DIAL_LIMITS: Readonly<
  Record<keyof DialTimeouts | 'attemptDelayMs' | 'keepAliveMs', DialLimit>
> = Object.freeze({
  totalMs: { default: 30_000, ...ANY_TIME },
  dnsMs: { default: 5_000, ...ANY_TIME },
  connectMs: { default: 10_000, ...ANY_TIME },
  proxyMs: { default: 10_000, ...ANY_TIME },
  tlsMs: { default: 10_000, ...ANY_TIME },
  upgradeMs: { default: 10_000, ...ANY_TIME },
  // RFC 8305 section 8, "Connection Attempt Delay".
  attemptDelayMs: { default: 250, min: 10, max: 2000, orInfinity: false },
  keepAliveMs: { default: 30_000, ...ANY_TIME },
})

/** Options with all defaults filled in and all values checked. */
export interface ResolvedDialOptions {
  readonly signal: AbortSignal | undefined
  readonly sources: SourcePlan
  readonly tls: ResolvedTls | undefined
  readonly proxy: ResolvedProxy
  readonly noProxy: NoProxyRules
  readonly proxyTls: ResolvedTls
  readonly proxyHeaders: Readonly<Record<string, string>>
  readonly proxyAuthorize: ProxyAuthorize | undefined
  readonly family: 4 | 6 | undefined
  readonly timeouts: Required<{ [K in keyof DialTimeouts]: number }>
  readonly attemptDelayMs: number
  readonly keepAliveMs: number
  readonly lookup: Lookup | undefined
  readonly targetName: 'server' | 'service'
  readonly onEvent: ((event: DialEvent) => void) | undefined
}

/**
 * Fills in defaults and checks options. Makes the TLS contexts, because that checks the keys.
 * @param alpn - protocols to offer to the server when the options do not set any
 * @throws {TypeError | RangeError} naming the option and its value
 */
export function resolveDialOptions(
  options: DialOptions,
  alpn?: readonly string[],
): ResolvedDialOptions {
  const { family, timeouts = {}, tls, targetName = 'server' } = options
  checkOptionNames('timeouts.', timeouts, TIMEOUT_NAMES)
  const timeout = (name: keyof DialTimeouts): number =>
    limitOf(`timeouts.${name}`, timeouts[name], DIAL_LIMITS[name])
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new RangeError(`family must be 4 or 6, got ${String(family)}`)
  }
  if (targetName !== 'server' && targetName !== 'service') {
    throw new RangeError(`targetName must be server or service, got ${String(targetName)}`)
  }
  return {
    signal: options.signal,
    sources: resolveSources(options),
    tls:
      tls === undefined || tls === false
        ? undefined
        : checkedTls(tls === true ? DEFAULT_TLS : tls, alpn),
    proxy: resolveProxy(options.proxy ?? 'direct'),
    noProxy: checkNoProxy(options.noProxy ?? ''),
    proxyTls:
      options.proxyTls === undefined
        ? resolveTls(DEFAULT_TLS, HTTP_ALPN)
        : checkedTls(options.proxyTls, HTTP_ALPN, 'proxyTls'),
    proxyHeaders: checkHeaders(options.proxyHeaders ?? {}),
    proxyAuthorize: options.proxyAuthorize,
    family,
    timeouts: {
      totalMs: timeout('totalMs'),
      dnsMs: timeout('dnsMs'),
      connectMs: timeout('connectMs'),
      proxyMs: timeout('proxyMs'),
      tlsMs: timeout('tlsMs'),
      upgradeMs: timeout('upgradeMs'),
    },
    attemptDelayMs: limitOf('attemptDelayMs', options.attemptDelayMs, DIAL_LIMITS.attemptDelayMs),
    keepAliveMs: limitOf('keepAliveMs', options.keepAliveMs, DIAL_LIMITS.keepAliveMs),
    lookup: options.lookup,
    targetName,
    onEvent: options.onEvent,
  }
}

function checkNoProxy(text: string): NoProxyRules {
  const rules = parseNoProxy(text)
  const [wrong] = rules.wrong
  if (wrong === undefined) return rules
  throw new TypeError(`noProxy has the entry ${JSON.stringify(wrong)}, which has no known form`)
}

function checkedTls(
  options: TlsOptions,
  alpn: readonly string[] | undefined,
  prefix?: 'tls' | 'proxyTls',
): ResolvedTls {
  const resolved = resolveTls(options, alpn, prefix)
  trustingContext(resolved)
  return resolved
}

/**
 * Checks the syntax of headers and returns a copy.
 * @throws {TypeError} naming the header, without its value
 */
export function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name)
    validateHeaderValue(name, value)
  }
  return { ...headers }
}
