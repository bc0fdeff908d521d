/** The code of a {@link ConfigError}, stable between minor versions. */
export type ConfigErrorCode =
  | 'CONFIG_ADDRESS_INVALID'
  | 'CONFIG_PORT_INVALID'
  | 'CONFIG_DURATION_INVALID'
  | 'CONFIG_SIZE_INVALID'
  | 'CONFIG_RATE_INVALID'

/** What each code means. */
export const CONFIG_ERRORS: Readonly<Record<ConfigErrorCode, string>> = Object.freeze({
  CONFIG_ADDRESS_INVALID: 'an address does not follow the grammar',
  CONFIG_PORT_INVALID: 'a port or a range of ports does not follow the grammar',
  CONFIG_DURATION_INVALID: 'a duration has no unit, an unknown unit or the wrong form',
  CONFIG_SIZE_INVALID: 'a size in bytes has no unit, an unknown unit or the wrong form',
  CONFIG_RATE_INVALID: 'a rate is not an amount per unit of time',
})

/** Options of a {@link ConfigError}. */
export interface ConfigErrorOptions extends ErrorOptions {
  /** The form that would have been right, in words a person can copy from. */
  readonly hint?: string
}

/** Thrown by every `parse*` function of this package. Holds the offending text, never a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** What kind of mistake it is. */
  readonly code: ConfigErrorCode
  /** The form that would have been right, when there is one to show. */
  readonly hint: string | undefined

  constructor(code: ConfigErrorCode, message: string, options: ConfigErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
  }
}

/**
 * Tells whether a value is a ConfigError, also one made by another copy of this package.
 *
 * @param error - anything that was thrown
 * @param code - when given, the code it must have
 */
export function isConfigError(error: unknown, code?: ConfigErrorCode): error is ConfigError {
  return (
    error instanceof Error &&
    error.name === 'ConfigError' &&
    'code' in error &&
    typeof error.code === 'string' &&
    Object.hasOwn(CONFIG_ERRORS, error.code) &&
    (code === undefined || error.code === code)
  )
}
