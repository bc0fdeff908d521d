/**
 * Variables inside one value of a file: `${NAME}`, `${NAME:-text when unset or empty}`, and `$$` for
 * a dollar sign. A dollar sign before anything else stands for itself, so that passwords survive.
 * Works on values after parsing, never on the file: a variable cannot add keys.
 */
import { ConfigError } from '../errors.ts'

/** Variables by name, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Replaces the variables in a text.
 *
 * @throws {ConfigError} CONFIG_VARIABLE_UNSET or CONFIG_VARIABLE_SYNTAX. Never holds the text, which
 *   may be a secret
 */
export function expandVariables(text: string, env: Environment): string {
  return text.replace(/\$(\$|\{[^}]*\}?)/g, (_match, inner: string) => {
    if (inner === '$') return '$'
    const [, name, fallback] = /^\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}$/.exec(inner) ?? []
    if (name === undefined) throw malformed(inner)
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value
    if (value !== undefined) return value
    throw new ConfigError('CONFIG_VARIABLE_UNSET', `the variable ${name} is not set`, {
      hint: `write \${${name}:-} where it may be missing`,
    })
  })
}

function malformed(inner: string): ConfigError {
  const hint = 'write ${NAME} or ${NAME:-text}, or $${ for a dollar sign and a brace'
  if (!inner.endsWith('}')) {
    return new ConfigError('CONFIG_VARIABLE_SYNTAX', 'a ${ has no closing brace', { hint })
  }
  const hasColon = /^\{[A-Za-z_][A-Za-z0-9_]*:[^-]/.test(inner)
  const message = hasColon ? 'a default follows :- and not : alone' : 'a ${} holds no valid name'
  return new ConfigError('CONFIG_VARIABLE_SYNTAX', message, { hint })
}
