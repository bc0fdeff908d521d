/**
 * What whoever writes the configuration can do about each code; the README prints it too. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { ConfigErrorCode } from './errors.ts'

export const CONFIG_ADVICE: Readonly<Record<ConfigErrorCode, string>> = {
  CONFIG_ADDRESS_INVALID:
    'write host:port, with an IPv6 host in brackets; the message has the right form',
  CONFIG_PORT_INVALID: 'write `9901` or `9900-9999`',
  CONFIG_DURATION_INVALID: 'write a number with a unit, `30s`',
  CONFIG_SIZE_INVALID: 'write a number with a unit, `64KiB`',
  CONFIG_RATE_INVALID: 'write `100/s`, or `10MB/s` for bytes',
  CONFIG_VALUE_INVALID: 'write one of the values that the message says are allowed',
  CONFIG_VALUE_MISSING: 'give the setting a value',
  CONFIG_SHAPE_WRONG: 'check the indentation',
  CONFIG_KEY_UNKNOWN: 'correct or remove the key; the message has the nearest one',
  CONFIG_FILE_UNREADABLE: 'check the path and the permissions of the file',
  CONFIG_FILE_TOO_LARGE: 'split the file; no configuration needs as much',
  CONFIG_FILE_SYNTAX:
    'correct the line that the message names; put values with special characters in quotes',
  CONFIG_PROFILE_UNKNOWN: 'correct the name; the message has the nearest one',
  CONFIG_VARIABLE_UNSET: 'set it, or write `${NAME:-}`',
  CONFIG_VARIABLE_SYNTAX: 'write `$${` for the characters themselves',
  CONFIG_ENVIRONMENT_UNKNOWN: 'a warning: correct the name of the variable',
  CONFIG_SECRET_TWICE: 'keep one of them',
  CONFIG_RULE_BROKEN: 'change one of the values that the message names',
}
