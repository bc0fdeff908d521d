/** A tenant whose endpoints have hosts of their own. */
export interface TenantDomain {
  /** The tenant. */
  readonly tenant: string
  /** Domain below which its endpoints live. */
  readonly baseDomain: string
}

/** Times and limits of the proxy port. */
export interface ProxyOptions {
  /** From the first byte of a request head to its last, ms; then 408. Default 10 s. */
  readonly headTimeoutMs?: number
  /** From the last byte sent to the service to the first of its answer, ms; then 504. Default 30 s. */
  readonly firstByteTimeoutMs?: number
  /**
   * Without a byte in either direction once an answer has begun, ms; then the exchange is broken off.
   * There is no limit on its whole length. Default 5 min.
   */
  readonly idleTimeoutMs?: number
  /** Like `idleTimeoutMs`, for connections after an upgrade. Default 1 h. */
  readonly upgradeIdleTimeoutMs?: number
  /** Between requests on a kept-alive connection, ms; then it is closed. Default 75 s. */
  readonly keepAliveTimeoutMs?: number
  /** How long a visitor that was answered early may go on sending to no one, ms. Default 5 s. */
  readonly lingerTimeoutMs?: number
  /** Idle streams kept per agent session and endpoint, 0 to 10 000. Default 256. */
  readonly maxIdleStreams?: number
  /** How long an idle stream is kept, ms. Default 60 s. */
  readonly idleStreamTimeoutMs?: number
  /** Visitors' connections at once; one more is answered 503 and closed. Default 20 000. */
  readonly maxConnections?: number
  /** Largest request or response head, bytes; above it 431 or 502. Default 32 KiB. */
  readonly maxHeadBytes?: number
  /** Request bytes kept to offer a request to a second upstream, per request. Default 64 KiB. */
  readonly maxReplayBytes?: number
  /**
   * Proxies in front of this server whose forwarding headers are believed, counted from the nearest;
   * 0 discards what visitors claim. Default 0.
   */
  readonly trustedHops?: number
  /** Domain below which a host's first label is the endpoint; unset takes any host, as Piko does. */
  readonly baseDomain?: string | undefined
  /** Tenants whose endpoints live below domains of their own. Default: none. */
  readonly tenantDomains?: readonly TenantDomain[]
}

/** Every option with its value. */
export type ResolvedProxyOptions = Required<Omit<ProxyOptions, 'baseDomain'>> & {
  readonly baseDomain: string | undefined
}

/** The defaults, each reasoned in its option's comment. */
export const PROXY_DEFAULTS: Readonly<Omit<ResolvedProxyOptions, 'baseDomain' | 'tenantDomains'>> =
  Object.freeze({
    headTimeoutMs: 10_000,
    firstByteTimeoutMs: 30_000,
    idleTimeoutMs: 300_000,
    upgradeIdleTimeoutMs: 3_600_000,
    keepAliveTimeoutMs: 75_000,
    lingerTimeoutMs: 5_000,
    maxIdleStreams: 256,
    idleStreamTimeoutMs: 60_000,
    maxConnections: 20_000,
    maxHeadBytes: 32_768,
    maxReplayBytes: 65_536,
    trustedHops: 0,
  })

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} naming the option that is no number above zero (zero where the option says so).
 */
export function resolveProxyOptions(options: ProxyOptions): ResolvedProxyOptions {
  const pick = (name: keyof typeof PROXY_DEFAULTS, least = 1): number => {
    const value = options[name] ?? PROXY_DEFAULTS[name]
    if (!(value >= least)) throw new RangeError(`${name} must be at least ${least}, not ${value}`)
    return value
  }
  return {
    headTimeoutMs: pick('headTimeoutMs'),
    firstByteTimeoutMs: pick('firstByteTimeoutMs'),
    idleTimeoutMs: pick('idleTimeoutMs'),
    upgradeIdleTimeoutMs: pick('upgradeIdleTimeoutMs'),
    keepAliveTimeoutMs: pick('keepAliveTimeoutMs'),
    lingerTimeoutMs: pick('lingerTimeoutMs'),
    maxIdleStreams: pick('maxIdleStreams', 0),
    idleStreamTimeoutMs: pick('idleStreamTimeoutMs'),
    maxConnections: pick('maxConnections'),
    maxHeadBytes: pick('maxHeadBytes'),
    maxReplayBytes: pick('maxReplayBytes', 0),
    trustedHops: pick('trustedHops', 0),
    baseDomain: options.baseDomain,
    tenantDomains: (options.tenantDomains ?? []).map(({ tenant, baseDomain }) => ({
      tenant,
      baseDomain: baseDomain.toLowerCase(),
    })),
  }
}
