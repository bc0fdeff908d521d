/**
 * Rates: so many events, or so many bytes, per unit of time. `100/s`, `20/m`, `5/10s`, `10MB/s`,
 * and `inf` for no limit. A rate is kept as written, an amount and a period, because `60/m` lets 60
 * through at once and `1/s` does not.
 */
import { formatDuration, parseDuration } from './duration.ts'
import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'
import { formatSize, parseSize } from './size.ts'

/** So much per period. */
export interface Rate {
  /** Events, or bytes when the setting counts bytes; Infinity for no limit. */
  readonly amount: number
  /** The period in milliseconds, at least 1. 1000 when there is no limit. */
  readonly periodMs: number
}

/** What a rate counts. */
export type RateUnit = 'events' | 'bytes'

/**
 * Reads a rate.
 *
 * @param unit - `events` takes a whole number, `bytes` a size
 * @throws {ConfigError} CONFIG_RATE_INVALID
 */
export function parseRate(text: string, unit: RateUnit): Rate {
  if (text === 'inf') return { amount: Infinity, periodMs: 1000 }
  const [amountText = '', periodText, ...more] = text.split('/')
  if (periodText === undefined || more.length > 0) return refuse(text, unit)
  try {
    const amount = unit === 'bytes' ? parseSize(amountText) : parseCount(amountText)
    // `/s` is short for `/1s`.
    const periodMs = parseDuration(/^[a-z]/.test(periodText) ? `1${periodText}` : periodText)
    if (amount === Infinity || periodMs === Infinity || periodMs === 0) return refuse(text, unit)
    return { amount, periodMs }
  } catch (cause) {
    return refuse(text, unit, cause)
  }
}

/** Writes a rate so that {@link parseRate} gives the same one back. */
export function formatRate(rate: Rate, unit: RateUnit): string {
  if (rate.amount === Infinity) return 'inf'
  const amount = unit === 'bytes' ? formatSize(rate.amount) : `${rate.amount}`
  return `${amount}/${formatDuration(rate.periodMs).replace(/^1(?=[a-z]+$)/, '')}`
}

/** The rate per second, Infinity for no limit. */
export function ratePerSecond(rate: Rate): number {
  return (rate.amount / rate.periodMs) * 1000
}

function parseCount(text: string): number {
  if (!/^(0|[1-9][0-9]{0,14})$/.test(text)) throw new RangeError(`${quote(text)} is not a count`)
  return Number(text)
}

function refuse(text: string, unit: RateUnit, cause?: unknown): never {
  const hint = unit === 'bytes' ? 'write 10MB/s or 64KiB/100ms' : 'write 100/s, 20/m or 5/10s'
  throw new ConfigError('CONFIG_RATE_INVALID', `${quote(text)} is not a rate`, { hint, cause })
}
