import { matchesPattern, SourceLimiter } from '@proj/auth'
import { type Rate, ratePerSecond } from '@proj/config'
import { sourceOf } from '@proj/config/address'
import { Bandwidth, type Bandwidths, type BandwidthShare } from '@proj/tunnel/io'
import type { EndpointLimits } from '@proj/tunnel'
import { type Endpoint, endpointKey, EndpointMap, strictestLimits } from '@proj/tunnel/server'

import type { Deadlines, Expiring } from '../proxy/deadlines.ts'
import { PROXY_ERRORS, type ProxyError } from '../proxy/proxy-errors.ts'

/** Limits of the endpoints that a pattern names. */
export interface EndpointLimitRule {
  /** `web` or `pc*`, of every tenant. */
  readonly name: string
  /** What holds for each of them. */
  readonly limits: EndpointLimits
}

/** Endpoints with limits that are remembered; beyond it those without requests for the longest time are forgotten. */
const MAX_ENDPOINTS = 10_000

const FORGOTTEN_AT_ONCE = 1_000

/** Names that no rule is for; beyond it all of them are looked up again. */
const MAX_UNLIMITED = 10_000

/** When it may be better for a visitor that came while too many others were there, ms. */
const FULL_RETRY_MS = 1_000

/** The rules that set a limit, of those in the settings. */
export function limitRules(
  endpoints: readonly { readonly name: string; readonly limits: EndpointLimits }[],
): EndpointLimitRule[] {
  return endpoints.filter(({ limits }) =>
    Object.values(limits).some((value) => value !== undefined),
  )
}

/** One bucket for all visitors of an endpoint. */
const ALL = ''

/** What is counted of one endpoint. */
class EndpointCounts {
  limits: EndpointLimits = {}
  running = 0
  upload: Bandwidth | undefined
  download: Bandwidth | undefined
  #all: SourceLimiter | undefined
  #visitors: SourceLimiter | undefined

  constructor(limits: EndpointLimits) {
    this.configure(limits)
  }

  /** Replaces the limits. */
  configure(limits: EndpointLimits): void {
    const { rate, ratePerVisitor } = this.limits
    this.limits = limits
    if (!isSameRate(limits.rate, rate)) this.#all = limiterOf(limits.rate)
    if (!isSameRate(limits.ratePerVisitor, ratePerVisitor)) {
      this.#visitors = limiterOf(limits.ratePerVisitor)
    }
    this.upload = bandwidthOf(limits.upload, this.upload)
    this.download = bandwidthOf(limits.download, this.download)
  }

  /** Takes one, or says what is exceeded. Nothing is taken then. */
  take(client: string | undefined): ProxyError | undefined {
    const { concurrent = Infinity } = this.limits
    const visitorMs = this.#visitors?.waitMs(client) ?? 0
    if (visitorMs > 0) return { ...PROXY_ERRORS.visitorRate, retryAfterMs: visitorMs }
    const allMs = this.#all?.waitMs(ALL) ?? 0
    if (allMs > 0) return { ...PROXY_ERRORS.endpointRate, retryAfterMs: allMs }
    if (this.running >= concurrent) {
      return { ...PROXY_ERRORS.endpointConcurrent, retryAfterMs: FULL_RETRY_MS }
    }
    this.#visitors?.take(client)
    this.#all?.take(ALL)
    this.running += 1
    return undefined
  }
}

/** One request or connection that is counted until it is released. */
export class LimitLease implements Expiring, Bandwidths {
  deadline = Infinity
  /** @inheritdoc */
  readonly upload: BandwidthShare | undefined
  /** @inheritdoc */
  readonly download: BandwidthShare | undefined
  readonly #counts: EndpointCounts
  #deadlines: Deadlines | undefined
  #onLate: () => void = () => {}

  /** @param client - the visitor's address. */
  constructor(counts: EndpointCounts, client: string | undefined) {
    this.#counts = counts
    const { upload, download } = counts
    if (upload === undefined && download === undefined) return
    const visitor = sourceOf(client)
    this.upload = upload?.shareOf(visitor)
    this.download = download?.shareOf(visitor)
  }

  /** Most bytes of its body. */
  get maxBodyBytes(): number {
    return this.#counts.limits.maxBodyBytes ?? Infinity
  }

  /** Calls back once when its time is over, unless it is released before. The time goes on for a further `onLate`. */
  watch(deadlines: Deadlines, onLate: () => void): void {
    this.#onLate = onLate
    const { maxTimeMs } = this.#counts.limits
    if (maxTimeMs === undefined || this.#deadlines !== undefined) return
    this.#deadlines = deadlines
    this.deadline = deadlines.now + deadlines.tickMs + maxTimeMs
    deadlines.add(this)
  }

  /** Its time does not matter any more. */
  unwatch(): void {
    this.#deadlines?.delete(this)
    this.#deadlines = undefined
  }

  /** @inheritdoc */
  expire(): void {
    this.unwatch()
    this.#onLate()
  }

  /** It is over; to be called once. */
  release(): void {
    this.unwatch()
    this.#counts.running -= 1
  }
}

/** An endpoint with limits that was asked for. */
interface KnownEndpoint {
  readonly endpoint: Endpoint
  readonly counts: EndpointCounts
}

/** Keeps the visitors of endpoints within the limits of the operator and of the agents. */
export class EndpointLimiter {
  /** Requests and connections that were rejected. */
  rejected = 0
  #rules: readonly EndpointLimitRule[] = []
  /** The last one that was asked for is at the end, so that names that visitors make up do not drive it out. */
  readonly #known = new Map<string, KnownEndpoint>()
  /** What the agents of endpoints ask for, of those that ask for anything. */
  readonly #wishes = new EndpointMap<readonly EndpointLimits[]>()
  /** Names that no rule is for. */
  readonly #unlimited = new Set<string>()

  /** Whether there are no limits; then nothing has to be looked up. */
  get isEmpty(): boolean {
    return this.#rules.length === 0 && this.#wishes.size === 0
  }

  /** Replaces the rules. What runs is still counted, and so is what was counted per time where the rate stays. */
  configure(rules: readonly EndpointLimitRule[]): void {
    this.#rules = rules
    this.#unlimited.clear()
    for (const known of this.#known.values()) this.#configure(known)
  }

  /** Replaces what the agents of an endpoint ask for; none: they ask for nothing. Counts stay as by `configure`. */
  setWishes(endpoint: Endpoint, wishes: readonly EndpointLimits[]): void {
    if (wishes.length === 0) this.#wishes.delete(endpoint)
    else this.#wishes.set(endpoint, wishes)
    const known = this.#known.get(endpointKey(endpoint))
    if (known !== undefined) this.#configure(known)
  }

  /**
   * Takes one request or connection.
   *
   * @param client - the visitor's address.
   * @returns undefined: there are no limits; otherwise it is to be released.
   */
  take(endpoint: Endpoint, client: string | undefined): LimitLease | ProxyError | undefined {
    const counts = this.#countsOf(endpoint)
    if (counts === undefined) return undefined
    const error = counts.take(client)
    if (error === undefined) return new LimitLease(counts, client)
    this.rejected += 1
    return error
  }

  #configure({ endpoint, counts }: KnownEndpoint): void {
    const limits = this.#limitsOf(endpoint)
    if (limits === undefined && counts.running === 0) this.#known.delete(endpointKey(endpoint))
    else counts.configure(limits ?? {})
  }

  #countsOf(endpoint: Endpoint): EndpointCounts | undefined {
    const { name } = endpoint
    const hasWishes = this.#wishes.size > 0 && this.#wishes.get(endpoint) !== undefined
    if (!hasWishes && this.#unlimited.has(name)) return undefined
    const key = endpointKey(endpoint)
    const known = this.#known.get(key)
    if (known !== undefined) {
      this.#known.delete(key)
      this.#known.set(key, known)
      return known.counts
    }
    const limits = this.#limitsOf(endpoint)
    if (limits === undefined) {
      if (this.#unlimited.size >= MAX_UNLIMITED) this.#unlimited.clear()
      this.#unlimited.add(name)
      return undefined
    }
    if (this.#known.size >= MAX_ENDPOINTS) this.#forgetSome()
    const counts = new EndpointCounts(limits)
    this.#known.set(key, { endpoint, counts })
    return counts
  }

  #limitsOf(endpoint: Endpoint): EndpointLimits | undefined {
    const { name } = endpoint
    return strictestLimits([
      ...this.#rules.flatMap((rule) => (matchesPattern(rule.name, name) ? [rule.limits] : [])),
      ...(this.#wishes.get(endpoint) ?? []),
    ])
  }

  /** Many at once: a map whose first entries were deleted is slow to begin with. */
  #forgetSome(): void {
    let left = FORGOTTEN_AT_ONCE
    for (const [key, { counts }] of this.#known) {
      if (counts.running > 0) continue
      this.#known.delete(key)
      left -= 1
      if (left === 0) return
    }
  }
}

function isSameRate(one: Rate | undefined, other: Rate | undefined): boolean {
  return one?.amount === other?.amount && one?.periodMs === other?.periodMs
}

function limiterOf(rate: Rate | undefined): SourceLimiter | undefined {
  if (rate === undefined || rate.amount === Infinity) return undefined
  return new SourceLimiter({
    burst: rate.amount,
    perMinute: (rate.amount * 60_000) / rate.periodMs,
  })
}

/** One for the rate; those that share the one before have the new rate too. */
function bandwidthOf(rate: Rate | undefined, before: Bandwidth | undefined): Bandwidth | undefined {
  const bytesPerSecond = rate === undefined ? Infinity : ratePerSecond(rate)
  if (before !== undefined) before.bytesPerSecond = bytesPerSecond
  if (bytesPerSecond === Infinity) return undefined
  return before ?? new Bandwidth(bytesPerSecond)
}
