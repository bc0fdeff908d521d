import { ConfigError } from '../errors.ts'
import { quote } from '../printing/printable.ts'
import type { ScalarType } from './value-type.ts'

/** Lower and upper limit of a number, both included. */
export interface NumberLimits {
  /** Lowest value. @default no limit */
  readonly min?: number
  /** Highest value. @default no limit */
  readonly max?: number
}

/** A whole number in decimal digits. */
export function integer(limits: NumberLimits = {}): ScalarType<number> {
  return numberType('integer', 'a whole number', /^-?(0|[1-9][0-9]{0,14})$/, limits)
}

/** A number, possibly with decimals. */
export function number(limits: NumberLimits = {}): ScalarType<number> {
  return numberType('number', 'a number', /^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?$/, limits)
}

/** A whole number of percent, written with its sign: `90%`. */
export function percent(): ScalarType<number> {
  const grammar = /^(100|[1-9]?[0-9])%$/
  return {
    kind: 'scalar',
    name: 'percent',
    allowed: 'a whole number from 0% to 100%',
    schema: { type: 'string', pattern: grammar.source },
    parse: (text) => {
      if (grammar.test(text)) return Number(text.slice(0, -1))
      const bare = /^\d+$/.test(text) && grammar.test(`${text}%`)
      return refuse(`${quote(text)} is not a percentage`, bare ? `write ${text}%` : undefined)
    },
    format: (value) => `${value}%`,
  }
}

function numberType(
  name: 'integer' | 'number',
  noun: string,
  grammar: RegExp,
  limits: NumberLimits,
): ScalarType<number> {
  const { min = -Infinity, max = Infinity } = limits
  const range = [
    ...(min === -Infinity ? [] : [`from ${min}`]),
    ...(max === Infinity ? [] : [`to ${max}`]),
  ].join(' ')
  return {
    kind: 'scalar',
    name,
    allowed: range === '' ? noun : `${noun} ${range.replace(/^to/, 'up to')}`,
    schema: {
      type: name,
      ...(min === -Infinity ? {} : { minimum: min }),
      ...(max === Infinity ? {} : { maximum: max }),
    },
    parse: (text) => {
      if (!grammar.test(text)) return refuse(`${quote(text)} is not ${noun}`)
      const value = Number(text)
      if (value < min) return refuse(`${text} is below ${min}`)
      if (value > max) return refuse(`${text} is above ${max}`)
      return value
    },
    format: String,
  }
}

function refuse(message: string, hint?: string): never {
  throw new ConfigError('CONFIG_VALUE_INVALID', message, hint === undefined ? {} : { hint })
}
