import type { AddressBlock } from '@proj/config/address'
import type { TrustedHeader } from '@proj/http1'
import type { StreamReuse } from '@proj/tunnel'

import { type Limit, resolveLimit } from '../limits.ts'
import { canonicalDomain, type DomainRule } from './domains.ts'

/** A tenant whose endpoints have hosts of their own. */
export interface TenantDomain {
  readonly tenant: string
  /** Domain below which its endpoints live. */
  readonly baseDomain: string
}

/** Times and limits of the proxy port; ranges are in {@link PROXY_LIMITS}. */
export interface ProxyOptions {
  /** From the first byte of a request head to its last, ms; then 408. Default 10 s. */
  readonly headTimeoutMs?: number
  /**
   * From the last byte of a request that the service's connection took to the first of the answer, ms; then
   * 504. An upload is limited by `idleTimeoutMs`. Default 5 min.
   */
  readonly firstByteTimeoutMs?: number
  /**
   * Without a byte in either direction during an upload or once an answer has begun, ms; then the exchange
   * is broken off. Of an upload without an answer yet: 408 `body_timeout` when the visitor sent nothing, 504
   * `upload_timeout` when the service did not read. There is no limit on its whole length. Default 5 min.
   */
  readonly idleTimeoutMs?: number
  /**
   * Bytes per second that a visitor has to send of a body it has announced, and take of its answer, on average
   * behind `minRateGraceMs`; then 408 `body_too_slow`, or a reset. Only time counts in which it could: not while
   * the service does not read, between two chunks, or while nothing waits for the visitor. 0: it has to move
   * something within `idleTimeoutMs`. Default 240.
   */
  readonly minRate?: number
  /** How long a visitor may send or take nothing at first, ms; later `idleTimeoutMs`. Default 1 min. */
  readonly minRateGraceMs?: number
  /** Like `idleTimeoutMs`, for connections after an upgrade. Default 1 h. */
  readonly upgradeIdleTimeoutMs?: number
  /** For the check of a visitor's credentials, ms; then 504. Default 30 s. */
  readonly visitorCheckTimeoutMs?: number
  /** Between requests on a kept-alive connection, ms; then it is closed. Default 75 s. */
  readonly keepAliveTimeoutMs?: number
  /**
   * After a response that ended the connection: how long a visitor that goes on sending may be silent, ms.
   * What it sends is dropped, for six times as long at most. Default 5 s.
   */
  readonly lingerTimeoutMs?: number
  /**
   * When a stream to an agent, and with it the service's connection, carries another request. `safe`: after a
   * request without a body; the same visitor's at once, another's after a short look for bytes beyond the
   * answer. After a body only the same visitor's, after a body of GET, HEAD, DELETE or OPTIONS none. `always`:
   * also where a late second answer of the service would reach another visitor. An agent may ask for another
   * value for an endpoint, `ListenOptions.reuse`. Default `safe`.
   */
  readonly reuse?: StreamReuse
  /** Idle streams kept per agent session and endpoint; more are kept for a second while no more than half of
   * the session's streams are open, unless it is another node's. All give way to new streams. 0: none are kept. Default 256. */
  readonly maxIdleStreams?: number
  /** How long an idle stream is kept, ms. Default 60 s. */
  readonly idleStreamTimeoutMs?: number
  /** Visitors' connections at once; one more is answered 503 and closed. Default 20 000. */
  readonly maxConnections?: number
  /**
   * Of these, connections of one source, an IPv4 address or a /64 of IPv6; the oldest idle one goes for
   * one more. Not applied to trusted proxies, behind which all have one address. Default 10 000.
   */
  readonly maxConnectionsPerSource?: number
  /**
   * How late the event loop may be, ms: when it is later for a fifth of a second and more than eight times
   * `minRequests` wait for answers, or their visitors give up, requests above a limit that follows the delay
   * are answered 503. Infinity: never. Default 50 ms.
   */
  readonly maxLoopDelayMs?: number
  /**
   * In an overload: how long requests may wait in queues, in addition to the time that their services take, ms.
   * More than are answered within this time do not wait. Infinity: any number. Default 100 ms.
   */
  readonly queueTargetMs?: number
  /** Requests that may wait for an answer at once however late the event loop is. Default 128. */
  readonly minRequests?: number
  /** Requests that may run at once at most; one more is answered 503. Default 20 000. */
  readonly maxRequests?: number
  /** Largest request or response head, bytes; above it 431 or 502. Default 32 KiB. */
  readonly maxHeadBytes?: number
  /** Request bytes kept to offer a request to a second upstream, per request. Default 64 KiB. */
  readonly maxReplayBytes?: number
  /**
   * Proxies in front of this server whose forwarding headers are believed, counted from the nearest;
   * 0 discards what visitors claim. Default 0.
   */
  readonly trustedHops?: number
  /**
   * The same by their addresses: a request of one of them is believed, and of the entries of its forwarding headers
   * those that follow the last one of another address. Default: none.
   */
  readonly trustedProxies?: readonly AddressBlock[]
  /** The header that these proxies write; the other one is not read. Default `x-forwarded-for`. */
  readonly trustedHeader?: TrustedHeader
  /** Whether services get `Forwarded` (RFC 7239) as well. Default false. */
  readonly sendForwarded?: boolean
  /** Interim responses (1xx) of a service before its final one; one more is answered 502. Default 100. */
  readonly maxInterimResponses?: number
  /** Their bytes; more is answered 502. Default 256 KiB. */
  readonly maxInterimBytes?: number
  /**
   * Adit servers that a request may pass, this one included; one more is answered 508. An endpoint whose
   * service is a proxy port would otherwise send a request round for ever. Default 3.
   */
  readonly maxHops?: number
  /** Domains below which a host's first label is the endpoint; none takes any host, as Piko does. */
  readonly baseDomain?: string | readonly string[] | undefined
  /** Further domains that lead to endpoints. Default: none. */
  readonly domains?: readonly DomainRule[]
  /**
   * Where visitors reach this port from outside, such as `https://apps.example.com`: endpoints are
   * announced below its host. Unset: each `baseDomain` with the scheme and port of the socket.
   */
  readonly publicUrl?: string | undefined
  /** Tenants whose endpoints live below domains of their own. Default: none. */
  readonly tenantDomains?: readonly TenantDomain[]
  /** Whether the names of all tenants are one space of names, as in Piko. Default: each has its own. */
  readonly tenantsShareNames?: boolean
}

/** Every option with its value. */
export type ResolvedProxyOptions = Required<
  Omit<ProxyOptions, 'baseDomain' | 'publicUrl' | 'domains'>
> & {
  /** In lower case and ASCII. */
  readonly baseDomains: readonly string[]
  readonly publicUrl: string | undefined
}

/** Default and range of every number of {@link ProxyOptions}. */
export const PROXY_LIMITS: Readonly<
  Record<
    keyof Omit<
      ProxyOptions,
      | 'baseDomain'
      | 'domains'
      | 'publicUrl'
      | 'tenantDomains'
      | 'tenantsShareNames'
      | 'reuse'
      | 'trustedProxies'
      | 'trustedHeader'
      | 'sendForwarded'
    >,
    Limit
  >
> = Object.freeze({
  headTimeoutMs: { default: 10_000, min: 10, max: Infinity },
  firstByteTimeoutMs: { default: 300_000, min: 1, max: Infinity },
  idleTimeoutMs: { default: 300_000, min: 10, max: Infinity },
  minRate: { default: 240, min: 0, max: Infinity },
  minRateGraceMs: { default: 60_000, min: 10, max: Infinity },
  upgradeIdleTimeoutMs: { default: 3_600_000, min: 10, max: Infinity },
  visitorCheckTimeoutMs: { default: 30_000, min: 10, max: Infinity },
  keepAliveTimeoutMs: { default: 75_000, min: 10, max: Infinity },
  lingerTimeoutMs: { default: 5_000, min: 10, max: Infinity },
  maxIdleStreams: { default: 256, min: 0, max: 10_000 },
  idleStreamTimeoutMs: { default: 60_000, min: 10, max: Infinity },
  maxConnections: { default: 20_000, min: 1, max: Infinity },
  maxConnectionsPerSource: { default: 10_000, min: 1, max: Infinity },
  maxLoopDelayMs: { default: 50, min: 1, max: Infinity },
  queueTargetMs: { default: 100, min: 1, max: Infinity },
  minRequests: { default: 128, min: 1, max: Infinity },
  maxRequests: { default: 20_000, min: 1, max: Infinity },
  maxHeadBytes: { default: 32_768, min: 1024, max: 1_048_576 },
  maxReplayBytes: { default: 65_536, min: 0, max: Infinity },
  trustedHops: { default: 0, min: 0, max: 16 },
  maxInterimResponses: { default: 100, min: 0, max: Infinity },
  maxInterimBytes: { default: 262_144, min: 1024, max: Infinity },
  maxHops: { default: 3, min: 1, max: 100 },
})

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} naming the option that is out of its range.
 */
export function resolveProxyOptions(options: ProxyOptions): ResolvedProxyOptions {
  const resolve = (name: keyof typeof PROXY_LIMITS): number =>
    resolveLimit(name, PROXY_LIMITS[name], options[name])
  return {
    headTimeoutMs: resolve('headTimeoutMs'),
    firstByteTimeoutMs: resolve('firstByteTimeoutMs'),
    idleTimeoutMs: resolve('idleTimeoutMs'),
    minRate: resolve('minRate'),
    minRateGraceMs: resolve('minRateGraceMs'),
    upgradeIdleTimeoutMs: resolve('upgradeIdleTimeoutMs'),
    visitorCheckTimeoutMs: resolve('visitorCheckTimeoutMs'),
    keepAliveTimeoutMs: resolve('keepAliveTimeoutMs'),
    lingerTimeoutMs: resolve('lingerTimeoutMs'),
    maxIdleStreams: resolve('maxIdleStreams'),
    idleStreamTimeoutMs: resolve('idleStreamTimeoutMs'),
    maxConnections: resolve('maxConnections'),
    maxConnectionsPerSource: resolve('maxConnectionsPerSource'),
    maxLoopDelayMs: resolve('maxLoopDelayMs'),
    queueTargetMs: resolve('queueTargetMs'),
    minRequests: resolve('minRequests'),
    maxRequests: resolve('maxRequests'),
    maxHeadBytes: resolve('maxHeadBytes'),
    maxReplayBytes: resolve('maxReplayBytes'),
    trustedHops: resolve('trustedHops'),
    maxInterimResponses: resolve('maxInterimResponses'),
    maxInterimBytes: resolve('maxInterimBytes'),
    maxHops: resolve('maxHops'),
    reuse: options.reuse ?? 'safe',
    trustedProxies: options.trustedProxies ?? [],
    trustedHeader: options.trustedHeader ?? 'x-forwarded-for',
    sendForwarded: options.sendForwarded ?? false,
    baseDomains: [options.baseDomain ?? []].flat().map((one) => canonicalDomain(one) ?? one),
    publicUrl: options.publicUrl,
    tenantDomains: (options.tenantDomains ?? []).map(({ tenant, baseDomain }) => ({
      tenant,
      baseDomain: canonicalDomain(baseDomain) ?? baseDomain,
    })),
    tenantsShareNames: options.tenantsShareNames ?? false,
  }
}
