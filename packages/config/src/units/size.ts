/**
 * Sizes in bytes such as `64KiB`, `10MB`, `1.5GiB`, `512B` and `inf`. Decimal and binary units are
 * told apart by the `i`, as IEC 80000-13 has it; `64K` is read in both ways and is rejected.
 */
import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'

/** Bytes per unit, binary ones from large to small first: formatting prefers them. */
const UNITS = Object.freeze([
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
  ['B', 1],
] as const)

/** Largest size, the last whole number that is exact. */
const MAX_SIZE_BYTES = Number.MAX_SAFE_INTEGER

const HINT = 'write a number with a unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), such as 64KiB'

/**
 * Reads a size. Units are read in any letter case, a bare `0` needs none.
 *
 * @returns whole bytes, or Infinity for `inf`
 * @throws {ConfigError} CONFIG_SIZE_INVALID
 */
export function parseSize(text: string): number {
  if (text === 'inf') return Infinity
  if (text === '0') return 0
  const match = /^([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)$/.exec(text)
  const unit = UNITS.find(([name]) => name.toLowerCase() === match?.[2]?.toLowerCase())
  if (!match || !unit) return refuse(text, reason(text))
  const bytes = Number(match[1]) * unit[1]
  if (!Number.isInteger(bytes)) return refuse(text, 'it is not a whole number of bytes')
  if (bytes > MAX_SIZE_BYTES) return refuse(text, 'it is too large; inf means no limit')
  return bytes
}

/**
 * Writes a size in the largest unit that keeps it whole, so that {@link parseSize} gives the same
 * number back.
 *
 * @param bytes - whole bytes of at least 0, or Infinity
 * @throws {RangeError} for any other number
 */
export function formatSize(bytes: number): string {
  if (bytes === Infinity) return 'inf'
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new RangeError(`bytes must be a whole number of at least 0, got ${bytes}`)
  }
  const unit = bytes === 0 ? undefined : UNITS.find(([, size]) => bytes % size === 0)
  return unit ? `${bytes / unit[1]}${unit[0]}` : '0B'
}

function reason(text: string): string | undefined {
  if (/^[0-9]+$/.test(text)) return 'the unit is missing'
  const short = /^([0-9.]+)([KMGTkmgt])$/.exec(text)
  if (!short) return undefined
  const prefix = short[2]?.toUpperCase()
  return `${short[2]} could be ${prefix === 'K' ? 'k' : prefix}B or ${prefix}iB`
}

function refuse(text: string, why: string | undefined): never {
  const message = `${quote(text)} is not a size${why === undefined ? '' : `: ${why}`}`
  const hint = /^[0-9]+$/.test(text) ? `write ${text}B for bytes, or with KiB, MiB, GiB` : HINT
  throw new ConfigError('CONFIG_SIZE_INVALID', message, { hint })
}
