/**
 * Durations such as `30s`, `1m30s`, `500ms`, `1.5h`, `2d` and `inf`.
 *
 * A number always has a unit, because `timeout: 30` was read as seconds by one program and as
 * milliseconds by the next; only `0` needs no unit. The largest unit comes first and each unit at
 * most once, so that a text has one reading and {@link formatDuration} is its inverse.
 */
import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'

/** Units from large to small, in milliseconds. */
const UNITS = Object.freeze([
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const)

/** Anything longer is surely a mistake, and sums stay exact integers far beyond. 100 years. */
const MAX_DURATION_MS = 36_525 * 86_400_000

const HINT = 'write a number with a unit (ms, s, m, h, d), such as 30s or 1m30s'

/**
 * Reads a duration.
 *
 * @returns whole milliseconds, 0 to 100 years, or Infinity for `inf`
 * @throws {ConfigError} CONFIG_DURATION_INVALID
 */
export function parseDuration(text: string): number {
  if (text === 'inf') return Infinity
  if (text === '0') return 0
  if (!/^([0-9]+(\.[0-9]+)?(ms|[smhd]))+$/.test(text)) return refuse(text, reason(text))
  let totalMs = 0
  let lastUnit = -1
  for (const [, amount = '', unit = ''] of text.matchAll(/([0-9.]+)(ms|[smhd])/g)) {
    const index = UNITS.findIndex(([name]) => name === unit)
    if (index <= lastUnit) return refuse(text, 'units go from large to small, each once')
    lastUnit = index
    totalMs += Number(amount) * (UNITS[index]?.[1] ?? 0)
  }
  // 0.07s is 70.00000000000001 ms in binary fractions.
  const wholeMs = Math.round(totalMs)
  if (Math.abs(totalMs - wholeMs) > 1e-6) return refuse(text, 'the smallest step is 1ms')
  if (wholeMs > MAX_DURATION_MS) return refuse(text, 'the longest is 36525d; inf means no limit')
  return wholeMs
}

/**
 * Writes a duration so that {@link parseDuration} gives the same number back.
 *
 * @param durationMs - whole milliseconds of at least 0, or Infinity
 * @throws {RangeError} for any other number
 */
export function formatDuration(durationMs: number): string {
  if (durationMs === Infinity) return 'inf'
  if (!Number.isSafeInteger(durationMs) || durationMs < 0) {
    throw new RangeError(`durationMs must be a whole number of at least 0, got ${durationMs}`)
  }
  let restMs = durationMs
  let text = ''
  for (const [unit, unitMs] of UNITS) {
    const amount = Math.floor(restMs / unitMs)
    restMs -= amount * unitMs
    if (amount > 0) text += `${amount}${unit}`
  }
  return text || '0s'
}

function reason(text: string): string | undefined {
  if (/^[0-9]+(\.[0-9]+)?$/.test(text)) return 'the unit is missing'
  if (text.startsWith('-')) return 'a duration is not negative; inf means no limit'
  if (/[0-9](us|µs|ns)/.test(text)) return 'the smallest unit is ms'
  return undefined
}

function refuse(text: string, why: string | undefined): never {
  const message = `${quote(text)} is not a duration${why === undefined ? '' : `: ${why}`}`
  const seconds = /^[0-9]+$/.test(text) ? `write ${text}s or ${text}ms` : HINT
  throw new ConfigError('CONFIG_DURATION_INVALID', message, { hint: seconds })
}
