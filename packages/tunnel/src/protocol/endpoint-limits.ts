import { MIN_BANDWIDTH } from '../io/bandwidth.ts'

/** So much per period. */
export interface LimitRate {
  /** Events, or bytes; Infinity for no limit. */
  readonly amount: number
  /** The period, ms; at least 1. */
  readonly periodMs: number
}

/** What the visitors of an endpoint may do; undefined: no limit. */
export interface EndpointLimits {
  /** Requests, or connections of a TCP endpoint, of all visitors. */
  readonly rate?: LimitRate | undefined
  /** The same of one address, or /64 of IPv6. */
  readonly ratePerVisitor?: LimitRate | undefined
  /** Requests that run and connections that are open at once. */
  readonly concurrent?: number | undefined
  /** Bytes of the body of a request. */
  readonly maxBodyBytes?: number | undefined
  /** From the head of a request to the end of its answer, ms. */
  readonly maxTimeMs?: number | undefined
  /** Bytes from all visitors together. */
  readonly upload?: LimitRate | undefined
  /** Bytes to all visitors together. */
  readonly download?: LimitRate | undefined
}

/** Name of a limit, on the wire and in {@link EndpointLimits}. */
export type LimitName = keyof EndpointLimits

/** Shortest time of `maxTimeMs`, ms. */
const MIN_TIME_MS = 10

const READERS: Readonly<Record<LimitName, (value: unknown) => number | LimitRate | undefined>> = {
  rate: (value) => rateFrom(value, 0),
  ratePerVisitor: (value) => rateFrom(value, 0),
  concurrent: (value) => integerFrom(value, 1),
  maxBodyBytes: (value) => integerFrom(value, 0),
  maxTimeMs: (value) => integerFrom(value, MIN_TIME_MS),
  upload: (value) => rateFrom(value, MIN_BANDWIDTH),
  download: (value) => rateFrom(value, MIN_BANDWIDTH),
}

const NAMES = Object.keys(READERS) as LimitName[]

/** Those of the names in a message that are names of limits. */
export function limitNames(names: readonly unknown[]): LimitName[] {
  return NAMES.filter((name) => names.includes(name))
}

/** The limits that are understood of those in a message; undefined for none. */
export function readLimits(value: unknown): EndpointLimits | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const sent = value as Readonly<Record<string, unknown>> // checked just above
  const read = NAMES.flatMap((name) => {
    const limit = Object.hasOwn(sent, name) ? READERS[name](sent[name]) : undefined
    return limit === undefined ? [] : [[name, limit] as const]
  })
  return read.length === 0 ? undefined : Object.fromEntries(read)
}

/**
 * Limits as they are sent: without those that limit nothing; undefined for none.
 *
 * @throws {RangeError} for one that no server takes.
 */
export function checkLimits(limits: EndpointLimits): EndpointLimits | undefined {
  for (const name of NAMES) {
    const limit = limits[name]
    if (isUnlimited(limit) || READERS[name](limit) !== undefined) continue
    throw new RangeError(`limits.${name} is out of range: ${JSON.stringify(limit)}`)
  }
  return readLimits(limits)
}

/** Limits of which each is the strictest of all that were given; undefined: there are none. */
export function strictestLimits(all: readonly EndpointLimits[]): EndpointLimits | undefined {
  if (all.length === 0) return undefined
  const least = (values: readonly (number | undefined)[]): number | undefined => {
    const given = values.filter((value) => value !== undefined)
    return given.length === 0 ? undefined : Math.min(...given)
  }
  return {
    rate: slowest(all.map((one) => one.rate)),
    ratePerVisitor: slowest(all.map((one) => one.ratePerVisitor)),
    concurrent: least(all.map((one) => one.concurrent)),
    maxBodyBytes: least(all.map((one) => one.maxBodyBytes)),
    maxTimeMs: least(all.map((one) => one.maxTimeMs)),
    upload: slowest(all.map((one) => one.upload)),
    download: slowest(all.map((one) => one.download)),
  }
}

function slowest(rates: readonly (LimitRate | undefined)[]): LimitRate | undefined {
  return rates.reduce((one, other) => {
    if (one === undefined || other === undefined) return one ?? other
    return other.amount / other.periodMs < one.amount / one.periodMs ? other : one
  }, undefined)
}

function isUnlimited(limit: number | LimitRate | undefined): boolean {
  return limit === undefined || (typeof limit === 'number' ? limit : limit.amount) === Infinity
}

/** @param leastPerSecond - 0: more than that. */
function rateFrom(value: unknown, leastPerSecond: number): LimitRate | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { amount, periodMs } = value as Readonly<Record<string, unknown>> // checked just above
  if (integerFrom(amount, 1) === undefined || integerFrom(periodMs, 1) === undefined) {
    return undefined
  }
  const rate = { amount: Number(amount), periodMs: Number(periodMs) }
  return (rate.amount * 1000) / rate.periodMs < leastPerSecond ? undefined : rate
}

function integerFrom(value: unknown, min: number): number | undefined {
  return Number.isSafeInteger(value) && Number(value) >= min ? Number(value) : undefined
}
