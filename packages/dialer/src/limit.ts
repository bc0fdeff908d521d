/** A number that can be set: its default and its range, both ends included. */
export interface DialLimit {
  /** Value without the option. */
  readonly default: number
  /** Smallest value. */
  readonly min: number
  /** Largest value. */
  readonly max: number
  /** Whether Infinity is accepted besides the range; it means no limit. */
  readonly orInfinity: boolean
}

/** Longest delay of a Node timer, ms; a timer with a longer delay fires at once. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/**
 * Returns the value of an option, or its default.
 * @param name - name of the option, for the error
 * @throws {RangeError} naming the option and the value when it is out of range
 */
export function limitOf(name: string, value: number | undefined, limit: DialLimit): number {
  const { default: usual, min, max, orInfinity } = limit
  const chosen = value ?? usual
  if ((chosen >= min && chosen <= max) || (orInfinity && chosen === Infinity)) return chosen
  throw new RangeError(`${name} must be between ${min} and ${max}, got ${String(chosen)}`)
}
