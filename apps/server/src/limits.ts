/** Numbers that can be set: default and range stand once, options and settings refer to them. */
import { duration, integer, setting, type Setting, type SettingOptions, size } from '@proj/config'

/** Longest time of a timer of Node, ms; with a longer one it runs at once. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/** A number that can be set, both ends of its range included. */
export interface Limit {
  /** Value without the option. */
  readonly default: number
  readonly min: number
  /** Largest value; where it is Infinity, Infinity means no limit. */
  readonly max: number
}

/** What else a setting says about itself. */
type Words = Pick<SettingOptions, 'description' | 'reload'>

/**
 * The value of an option, or its default.
 *
 * @throws {RangeError} naming the option and the value when it is out of range.
 */
export function resolveLimit(name: string, limit: Limit, value: number | undefined): number {
  const chosen = value ?? limit.default
  if (chosen >= limit.min && chosen <= limit.max) return chosen
  throw new RangeError(`${name} must be from ${limit.min} to ${limit.max}, got ${chosen}`)
}

/** A setting whose value is a duration in ms. */
export function durationLimit(limit: Limit, words: Words): Setting<number> {
  return setting(duration(rangeOf(limit)), { default: limit.default, ...words })
}

/** A setting whose value is a size in bytes. */
export function sizeLimit(limit: Limit, words: Words): Setting<number> {
  return setting(size(rangeOf(limit)), { default: limit.default, ...words })
}

/** A setting whose value is a whole number. */
export function integerLimit(limit: Limit, words: Words): Setting<number> {
  return setting(integer({ min: limit.min, ...rangeOf(limit) }), {
    default: limit.default,
    ...words,
  })
}

/** The ends of the range that help and reference name; neither size nor duration is below 0. */
function rangeOf({ min, max }: Limit): { readonly min?: number; readonly max?: number } {
  return { ...(min > 0 && { min }), ...(max !== Infinity && { max }) }
}
