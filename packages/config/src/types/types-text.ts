import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'
import type { ScalarType } from './value-type.ts'

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

/** `true` or `false`. Its flag stands alone for true and with `--no-` for false. */
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

function refuse(message: string, hint?: string): never {
  throw new ConfigError('CONFIG_VALUE_INVALID', message, hint === undefined ? {} : { hint })
}
