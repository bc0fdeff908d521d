/**
 * The part of JSON Schema (2020-12) that the definitions of the API use: written into its OpenAPI document, and
 * checked by hand, because a schema library would be larger than the API.
 */

/** A schema. */
export type JsonShape =
  | TextShape
  | NumberShape
  | { readonly type: 'boolean'; readonly description?: string }
  | ListShape
  | ObjectShape
  | { readonly $ref: string; readonly description?: string }

/** A text, or one that may be null. */
export interface TextShape {
  readonly type: 'string' | readonly ['string', 'null']
  readonly description?: string
  readonly enum?: readonly string[]
  readonly format?: 'date-time'
  readonly minLength?: number
  readonly maxLength?: number
  readonly default?: string
}

/** A whole number; of answers any number. */
export interface NumberShape {
  readonly type: 'integer' | 'number' | readonly ['integer', 'null']
  readonly description?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly default?: number
}

/** An array. */
export interface ListShape {
  readonly type: 'array'
  readonly description?: string
  readonly items: JsonShape
  readonly maxItems?: number
  readonly default?: readonly string[]
}

/** An object. Of a request, it has no other members. */
export interface ObjectShape {
  readonly type: 'object' | readonly ['object', 'null']
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonShape>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonShape
}

/** A value that has not the shape. */
export interface ShapeProblem {
  /** Where: `endpoints[2]`; empty for the whole. */
  readonly field: string
  /** What it has to be, for people. */
  readonly message: string
}

/** @returns the first problem, or undefined when the value has the shape. */
export function shapeProblem(
  value: unknown,
  shape: JsonShape,
  field = '',
): ShapeProblem | undefined {
  if ('$ref' in shape) throw new TypeError('no request refers to a schema')
  switch (shape.type) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : { field, message: 'must be true or false' }
    case 'integer':
    case 'number':
      return numberProblem(value, shape, field)
    case 'array':
      return listProblem(value, shape, field)
    case 'object':
      return objectProblem(value, shape, field)
    case 'string':
      return textProblem(value, shape, field)
    default:
      throw new TypeError('no request has a part that may be null')
  }
}

function textProblem(value: unknown, shape: TextShape, field: string): ShapeProblem | undefined {
  const { enum: words, minLength = 0, maxLength = Infinity } = shape
  if (typeof value !== 'string') return { field, message: 'must be a text' }
  if (words !== undefined && !words.includes(value)) {
    return { field, message: `must be one of ${words.join(', ')}` }
  }
  if (value.length < minLength) return { field, message: 'must not be empty' }
  if (value.length > maxLength) return { field, message: `has at most ${maxLength} characters` }
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
  if (/[\u0000-\u001f\u007f]/.test(value)) return { field, message: 'has a control character' }
  return undefined
}

function numberProblem(
  value: unknown,
  { minimum = -Infinity, maximum = Infinity }: NumberShape,
  field: string,
): ShapeProblem | undefined {
  if (Number.isSafeInteger(value) && Number(value) >= minimum && Number(value) <= maximum) {
    return undefined
  }
  const range = maximum === Infinity ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`
  return { field, message: `must be a whole number ${range}` }
}

function listProblem(
  value: unknown,
  { items, maxItems = Infinity }: ListShape,
  field: string,
): ShapeProblem | undefined {
  if (!Array.isArray(value)) return { field, message: 'must be a list' }
  if (value.length > maxItems) return { field, message: `has at most ${maxItems} items` }
  for (const [index, item] of value.entries()) {
    const problem = shapeProblem(item, items, `${field}[${index}]`)
    if (problem !== undefined) return problem
  }
  return undefined
}

function objectProblem(
  value: unknown,
  { properties = {}, required = [] }: ObjectShape,
  field: string,
): ShapeProblem | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { field, message: 'must be an object' }
  }
  const at = (name: string): string => (field === '' ? name : `${field}.${name}`)
  const missing = required.find((name) => !Object.hasOwn(value, name))
  if (missing !== undefined) return { field: at(missing), message: 'is missing' }
  for (const [name, member] of Object.entries(value)) {
    const shape = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (shape === undefined) return { field: at(name.slice(0, 100)), message: 'is not known' }
    const problem = shapeProblem(member, shape, at(name))
    if (problem !== undefined) return problem
  }
  return undefined
}
