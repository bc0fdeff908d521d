import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'
import type { ScalarType, ValueType } from './value-type.ts'

/** Options of {@link text}. */
export interface TextOptions {
  /** What the whole text must match. @default anything */
  readonly pattern?: RegExp
  /** What the pattern allows, in words. Required with a pattern. */
  readonly allowed?: string
  /** One word for help texts. @default text */
  readonly name?: string
}

/** Any text, or text that matches a pattern. */
export function text(options: TextOptions = {}): ScalarType<string> {
  const { pattern, allowed = 'any text', name = 'text' } = options
  if (pattern && options.allowed === undefined) throw new TypeError('a pattern needs `allowed`')
  const source = pattern && `^(?:${pattern.source})$`
  const whole = source === undefined ? undefined : new RegExp(source, pattern?.flags)
  return {
    kind: 'scalar',
    name,
    allowed,
    schema:
      source === undefined
        ? { type: ['string', 'number', 'boolean'] }
        : { type: ['string', 'number'], pattern: source },
    parse: (value) =>
      !whole || whole.test(value) ? value : refuse(`${quote(value)} is not allowed here`),
    format: (value) => value,
  }
}

/** `true` or `false`. Its flag without a value is true, with `--no-` false. */
export function boolean(): ScalarType<boolean> {
  return {
    kind: 'scalar',
    name: 'boolean',
    allowed: 'true or false',
    schema: { type: 'boolean' },
    choices: ['true', 'false'],
    isBoolean: true,
    parse: (value) => {
      if (value === 'true' || value === 'false') return value === 'true'
      const meant = /^(yes|y|on|1|TRUE|True)$/.test(value)
        ? 'true'
        : /^(no|n|off|0|FALSE|False)$/.test(value)
          ? 'false'
          : undefined
      return refuse(`${quote(value)} is not true or false`, meant && `write ${meant}`)
    },
    format: String,
  }
}

/** One of a few words. */
export function oneOf<const T extends readonly string[]>(choices: T): ScalarType<T[number]> {
  return {
    kind: 'scalar',
    name: choices.join('|'),
    allowed: choices.join(', '),
    schema: { enum: choices },
    choices,
    parse: (value) =>
      choices.find((choice) => choice === value) ??
      refuse(`${quote(value)} is not one of the choices`),
    format: (value) => value,
  }
}

/**
 * A text that another type accepts, kept as it is written: for a flag or an argument whose value goes on
 * to a setting of that type, which then reads it. Help and completions offer what the type allows.
 *
 * @param type - of a list, the type of its elements is meant
 */
export function textOf(type: ValueType<unknown>): ScalarType<string> {
  const scalar = type.kind === 'list' ? type.item : type
  if (scalar.secret) throw new TypeError('a secret cannot be kept as text')
  const { name, allowed, schema, choices, completes } = scalar
  return {
    kind: 'scalar',
    name,
    allowed,
    schema,
    ...(choices && { choices }),
    ...(completes && { completes }),
    parse: (value, context) => {
      scalar.parse(value, context)
      return value
    },
    format: (value) => value,
  }
}

function refuse(message: string, hint?: string): never {
  throw new ConfigError('CONFIG_VALUE_INVALID', message, hint === undefined ? {} : { hint })
}
