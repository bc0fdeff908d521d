/** The code of a {@link ConfigError} or of a problem, stable between minor versions. */
export type ConfigErrorCode =
  | 'CONFIG_ADDRESS_INVALID'
  | 'CONFIG_PORT_INVALID'
  | 'CONFIG_DURATION_INVALID'
  | 'CONFIG_SIZE_INVALID'
  | 'CONFIG_RATE_INVALID'
  | 'CONFIG_VALUE_INVALID'
  | 'CONFIG_VALUE_MISSING'
  | 'CONFIG_SHAPE_WRONG'
  | 'CONFIG_KEY_UNKNOWN'
  | 'CONFIG_FILE_UNREADABLE'
  | 'CONFIG_FILE_TOO_LARGE'
  | 'CONFIG_FILE_SYNTAX'
  | 'CONFIG_PROFILE_UNKNOWN'
  | 'CONFIG_VARIABLE_UNSET'
  | 'CONFIG_VARIABLE_SYNTAX'
  | 'CONFIG_ENVIRONMENT_UNKNOWN'
  | 'CONFIG_SECRET_TWICE'
  | 'CONFIG_RULE_BROKEN'

/** What each code means. */
export const CONFIG_ERRORS: Readonly<Record<ConfigErrorCode, string>> = Object.freeze({
  CONFIG_ADDRESS_INVALID: 'an address does not follow the grammar',
  CONFIG_PORT_INVALID: 'a port or a range of ports does not follow the grammar',
  CONFIG_DURATION_INVALID: 'a duration has no unit, an unknown unit or the wrong form',
  CONFIG_SIZE_INVALID: 'a size in bytes has no unit, an unknown unit or the wrong form',
  CONFIG_RATE_INVALID: 'a rate is not an amount per unit of time',
  CONFIG_VALUE_INVALID: 'a value is outside its range or not one of its choices',
  CONFIG_VALUE_MISSING: 'a setting without default has no value',
  CONFIG_SHAPE_WRONG: 'a group, a list or a single value stands where another is expected',
  CONFIG_KEY_UNKNOWN: 'a file has a key that no setting has',
  CONFIG_FILE_UNREADABLE: 'a file does not exist or cannot be read',
  CONFIG_FILE_TOO_LARGE: 'a file exceeds the limits of bytes, nodes or depth',
  CONFIG_FILE_SYNTAX: 'a file is not valid in its form: YAML, JSON, JSONC or TOML',
  CONFIG_PROFILE_UNKNOWN: 'a profile that is asked for is in no file',
  CONFIG_VARIABLE_UNSET: 'a value refers to an environment variable that is not set',
  CONFIG_VARIABLE_SYNTAX: 'a reference to a variable is not closed or has no valid name',
  CONFIG_ENVIRONMENT_UNKNOWN: 'an environment variable looks like a misspelt setting',
  CONFIG_SECRET_TWICE: 'one source gives a secret and a file to read it from',
  CONFIG_RULE_BROKEN: 'values that are each valid do not fit together',
})

/** Options of a {@link ConfigError}. */
export interface ConfigErrorOptions extends ErrorOptions {
  /** The correct form, ready to be copied. */
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
