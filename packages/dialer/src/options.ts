import { checkHeaders } from './check-headers.ts'
import type { DialEvent } from './dial-context.ts'
import type { Lookup } from './lookup.ts'
import type { ProxyAuthorize } from './proxy-challenge.ts'
import { type ProxyOption, type ResolvedProxy, resolveProxy } from './route.ts'
import { resolveSources, type SourceOptions, type SourcePlan } from './source-options.ts'
import {
  DEFAULT_TLS,
  HTTP_ALPN,
  type ResolvedTls,
  resolveTls,
  type TlsOptions,
} from './tls-options.ts'
import { trustingContext } from './tls-trust.ts'

/** Limits of a dial, each an absolute time that no answer of a peer extends. */
export interface DialTimeouts {
  /** Whole dial, ms. Default 30 000. */
  readonly totalMs?: number | undefined
  /** Looking up a name, ms. Default 5 000. */
  readonly dnsMs?: number | undefined
  /** Reaching one of the addresses, ms. Default 10 000. */
  readonly connectMs?: number | undefined
  /** The proxy's part: its answer to CONNECT, or the SOCKS exchange, ms. Default 10 000. */
  readonly proxyMs?: number | undefined
  /** One TLS handshake, ms. Default 10 000. */
  readonly tlsMs?: number | undefined
  /** The WebSocket upgrade, ms. Default 10 000. */
  readonly upgradeMs?: number | undefined
}

/** What every dial understands. */
export interface DialOptions extends SourceOptions {
  /** Cancels the dial. It rejects with the signal's reason and leaves no socket behind. */
  readonly signal?: AbortSignal | undefined
  /**
   * TLS to the server: `true` or its options. Default: none for `dial()`, and what the scheme says
   * for a URL.
   */
  readonly tls?: boolean | TlsOptions | undefined
  /**
   * How to leave the network: a proxy URL, `'direct'`, or what `proxyFromEnvironment()` returned.
   * Schemes: http, https, socks4, socks4a, socks5, socks5h, and socks, which means socks5h.
   * Default `'direct'`: this package never reads the environment by itself.
   */
  readonly proxy?: ProxyOption | undefined
  /** Targets an explicit proxy URL is not used for, in the form of NO_PROXY. Default: none. */
  readonly noProxy?: string | undefined
  /** TLS to an https proxy: its own authorities, name and client certificate. */
  readonly proxyTls?: TlsOptions | undefined
  /** Headers sent to the proxy only, with CONNECT. */
  readonly proxyHeaders?: Readonly<Record<string, string>> | undefined
  /**
   * Answers a 407 of an HTTP proxy, for schemes other than Basic. Called at most once per dial;
   * `undefined` gives up. Default: none.
   */
  readonly proxyAuthorize?: ProxyAuthorize | undefined
  /** Use addresses of this family only. Default: both. */
  readonly family?: 4 | 6 | undefined
  /** Limits of the steps and of the whole. */
  readonly timeouts?: DialTimeouts | undefined
  /**
   * Wait before the next address is tried beside the ones under way, ms, 10 to 2000 (RFC 8305
   * section 8). Default 250.
   */
  readonly attemptDelayMs?: number | undefined
  /** Idle time before the system probes the connection, ms. Infinity for never. Default 30 000. */
  readonly keepAliveMs?: number | undefined
  /** Looks names up. Default: the system's resolver, in its order (RFC 6724). */
  readonly lookup?: Lookup | undefined
  /** Hears of every step as it starts and ends. A listener that throws is not heard of. */
  readonly onEvent?: ((event: DialEvent) => void) | undefined
}

/** Every default of a dial. */
export const DIAL_DEFAULTS: Readonly<
  Record<
    | 'totalMs'
    | 'dnsMs'
    | 'connectMs'
    | 'proxyMs'
    | 'tlsMs'
    | 'upgradeMs'
    | 'attemptDelayMs'
    | 'keepAliveMs',
    number
  >
> = Object.freeze({
  totalMs: 30_000,
  dnsMs: 5_000,
  connectMs: 10_000,
  proxyMs: 10_000,
  tlsMs: 10_000,
  upgradeMs: 10_000,
  // RFC 8305 section 8, "Connection Attempt Delay".
  attemptDelayMs: 250,
  keepAliveMs: 30_000,
})

/** Options with every gap filled and every value checked. */
export interface ResolvedDialOptions {
  readonly signal: AbortSignal | undefined
  readonly sources: SourcePlan
  readonly tls: ResolvedTls | undefined
  readonly proxy: ResolvedProxy
  readonly noProxy: string
  readonly proxyTls: ResolvedTls
  readonly proxyHeaders: Readonly<Record<string, string>>
  readonly proxyAuthorize: ProxyAuthorize | undefined
  readonly family: 4 | 6 | undefined
  readonly timeouts: Required<{ [K in keyof DialTimeouts]: number }>
  readonly attemptDelayMs: number
  readonly keepAliveMs: number
  readonly lookup: Lookup | undefined
  readonly onEvent: ((event: DialEvent) => void) | undefined
}

/**
 * Fills and checks options; pure but for the TLS contexts, which it makes to check the keys.
 * @param alpn - protocols offered to the server unless the options name others
 * @throws {TypeError | RangeError} naming the option and its value
 */
export function resolveDialOptions(
  options: DialOptions,
  alpn?: readonly string[],
): ResolvedDialOptions {
  const { family, timeouts = {}, tls } = options
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new RangeError(`family must be 4 or 6, got ${String(family)}`)
  }
  return {
    signal: options.signal,
    sources: resolveSources(options),
    tls:
      tls === undefined || tls === false
        ? undefined
        : checkedTls(tls === true ? DEFAULT_TLS : tls, alpn),
    proxy: resolveProxy(options.proxy ?? 'direct'),
    noProxy: options.noProxy ?? '',
    proxyTls:
      options.proxyTls === undefined
        ? resolveTls(DEFAULT_TLS, HTTP_ALPN)
        : checkedTls(options.proxyTls, HTTP_ALPN),
    proxyHeaders: checkHeaders(options.proxyHeaders ?? {}),
    proxyAuthorize: options.proxyAuthorize,
    family,
    timeouts: {
      totalMs: limit('timeouts.totalMs', timeouts.totalMs ?? DIAL_DEFAULTS.totalMs),
      dnsMs: limit('timeouts.dnsMs', timeouts.dnsMs ?? DIAL_DEFAULTS.dnsMs),
      connectMs: limit('timeouts.connectMs', timeouts.connectMs ?? DIAL_DEFAULTS.connectMs),
      proxyMs: limit('timeouts.proxyMs', timeouts.proxyMs ?? DIAL_DEFAULTS.proxyMs),
      tlsMs: limit('timeouts.tlsMs', timeouts.tlsMs ?? DIAL_DEFAULTS.tlsMs),
      upgradeMs: limit('timeouts.upgradeMs', timeouts.upgradeMs ?? DIAL_DEFAULTS.upgradeMs),
    },
    attemptDelayMs: between(
      'attemptDelayMs',
      options.attemptDelayMs ?? DIAL_DEFAULTS.attemptDelayMs,
      10,
      2000,
    ),
    keepAliveMs: limit('keepAliveMs', options.keepAliveMs ?? DIAL_DEFAULTS.keepAliveMs),
    lookup: options.lookup,
    onEvent: options.onEvent,
  }
}

function checkedTls(options: TlsOptions, alpn: readonly string[] | undefined): ResolvedTls {
  const resolved = resolveTls(options, alpn)
  trustingContext(resolved)
  return resolved
}

// Longest delay a Node timer takes; beyond it the timer fires at once.
const MAX_TIMER_MS = 2 ** 31 - 1

function limit(name: string, value: number): number {
  return value === Infinity ? value : between(name, value, 1, MAX_TIMER_MS)
}

function between(name: string, value: number, low: number, high: number): number {
  if (!(value >= low && value <= high)) {
    throw new RangeError(`${name} must be between ${low} and ${high}, got ${String(value)}`)
  }
  return value
}
