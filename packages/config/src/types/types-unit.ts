import { formatDuration, parseDuration } from '../units/duration.ts'
import { ConfigError } from '../errors.ts'
import { formatRate, parseRate, type Rate, type RateUnit } from '../units/rate.ts'
import { formatSize, parseSize } from '../units/size.ts'
import type { ScalarType } from './value-type.ts'

/** Lower and upper limit, both included: in the written form, or the value itself. */
export interface UnitLimits {
  /** Lowest value, such as `1s` or `4KiB`. @default 0 */
  readonly min?: string | number
  /** Highest value, such as `10m` or `1GiB`; `inf` lets people switch a limit off. @default inf */
  readonly max?: string | number
}

/** A duration such as `30s`; its value is whole milliseconds, or Infinity for `inf`. */
export function duration(limits: UnitLimits = {}): ScalarType<number> {
  return unitType('duration', 'a duration such as 30s or 1m30s', limits, {
    parse: parseDuration,
    format: formatDuration,
    unitSuffix: 'Ms',
    pattern: '^(inf|0|([0-9]+(\\.[0-9]+)?(ms|[smhd]))+)$',
  })
}

/** A size such as `64KiB`; its value is whole bytes, or Infinity for `inf`. */
export function size(limits: UnitLimits = {}): ScalarType<number> {
  return unitType('size', 'a size such as 64KiB or 10MB', limits, {
    parse: parseSize,
    format: formatSize,
    unitSuffix: 'Bytes',
    pattern: '^(inf|0|[0-9]+(\\.[0-9]+)?([kKmMgGtT][iI]?)?[bB])$',
  })
}

/** A rate such as `100/s` (`events`) or `10MB/s` (`bytes`). */
export function rate(unit: RateUnit): ScalarType<Rate> {
  return {
    kind: 'scalar',
    name: 'rate',
    allowed: unit === 'bytes' ? 'a rate such as 10MB/s' : 'a rate such as 100/s or 20/m',
    schema: { type: 'string', pattern: '^(inf|[^/]+/[^/]+)$' },
    parse: (text) => parseRate(text, unit),
    format: (value) => formatRate(value, unit),
  }
}

interface Unit {
  parse(text: string): number
  format(value: number): string
  unitSuffix: 'Ms' | 'Bytes'
  pattern: string
}

function unitType(name: string, noun: string, limits: UnitLimits, unit: Unit): ScalarType<number> {
  const write = (limit: string | number): string =>
    typeof limit === 'number' ? unit.format(limit) : limit
  const min = limits.min === undefined ? undefined : write(limits.min)
  const max = write(limits.max ?? Infinity)
  const minValue = min === undefined ? 0 : unit.parse(min)
  const maxValue = unit.parse(max)
  const from = min === undefined ? '' : `, at least ${min}`
  const to = max === 'inf' ? '' : `, at most ${max}`
  return {
    kind: 'scalar',
    name,
    allowed: `${noun}${from}${to}${limits.max !== undefined && max === 'inf' ? ', or inf for no limit' : ''}`,
    // A bare 0 is a number in YAML.
    schema: { anyOf: [{ type: 'string', pattern: unit.pattern }, { const: 0 }] },
    unitSuffix: unit.unitSuffix,
    parse: (text) => {
      const value = unit.parse(text)
      if (value < minValue) {
        throw new ConfigError('CONFIG_VALUE_INVALID', `${text} is below ${min}`)
      }
      if (value > maxValue) {
        throw new ConfigError('CONFIG_VALUE_INVALID', `${text} is above ${max}`)
      }
      return value
    },
    format: (value) => unit.format(value),
  }
}
