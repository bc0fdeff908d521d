/** Values that a schema library judges, through the interface of https://standardschema.dev. */
import { ConfigError } from '../errors.ts'
import type { JsonSchema, ScalarType } from './value-type.ts'

/**
 * What Standard Schema 1 says of a schema; zod, valibot, arktype and others have it. Only what is used
 * here.
 */
export interface StandardSchema<Output> {
  readonly '~standard': {
    /** Version of the interface. */
    readonly version: 1
    /** Name of the library. */
    readonly vendor: string
    /** Judges a value, and may make another one of it. */
    readonly validate: (
      value: unknown,
    ) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>
  }
}

/** The value that a schema made, or what it found wrong. */
export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
      }[]
    }

/** Options of {@link standard}. */
export interface StandardOptions<Output> {
  /** What is allowed, completing the sentence "allowed: ...". */
  readonly allowed: string
  /** One word for help texts. @default text or json, as `reads` says */
  readonly name?: string
  /**
   * What the schema gets: the text itself, or what `JSON.parse` makes of it, for numbers, booleans and
   * objects (`5`, `true`, `{"a":1}`). @default text
   */
  readonly reads?: 'text' | 'json'
  /** Writes a value so that it can be read again. @default a string as it is, JSON for the rest */
  readonly format?: (value: Output) => string
  /** Schema of the value in a file, for editors. @default any single value */
  readonly schema?: JsonSchema
}

/** Most issues of one value that a message has. */
const MAX_ISSUES = 3

/**
 * A single value that a schema of zod, valibot or another library with Standard Schema judges. The schema
 * has to answer at once: one with asynchronous checks is a TypeError when the value is read. Its messages
 * are shown as they are; for what must not be printed there is `secret`.
 */
export function standard<Output>(
  schema: StandardSchema<Output>,
  options: StandardOptions<Output>,
): ScalarType<Output> {
  const { allowed, reads = 'text' } = options
  const { format = reads === 'json' ? formatJson : formatText } = options
  return {
    kind: 'scalar',
    name: options.name ?? reads,
    allowed,
    schema: options.schema ?? { type: ['string', 'number', 'boolean'] },
    parse: (text) => {
      const result = schema['~standard'].validate(reads === 'json' ? parseJson(text) : text)
      if (result instanceof Promise) {
        // What it rejects with would be unhandled.
        result.catch(() => {})
        throw new TypeError('a schema with asynchronous checks cannot be the type of a setting')
      }
      if (!result.issues) return result.value
      throw new ConfigError('CONFIG_VALUE_INVALID', formatIssues(result.issues))
    },
    format,
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ConfigError('CONFIG_VALUE_INVALID', 'the value is not JSON', {
      hint: 'write 5, true, "text", [1,2] or {"a":1}',
    })
  }
}

function formatJson(value: unknown): string {
  return JSON.stringify(value) ?? ''
}

function formatText(value: unknown): string {
  return typeof value === 'string' ? value : formatJson(value)
}

function formatIssues(
  issues: Extract<StandardSchemaResult<unknown>, { readonly issues: readonly unknown[] }>['issues'],
): string {
  const texts = issues.slice(0, MAX_ISSUES).map(({ message, path = [] }) => {
    const place = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
    return place === '' ? message : `${place}: ${message}`
  })
  const more = issues.length - texts.length
  return `${texts.join('; ')}${more > 0 ? `; and ${more} more` : ''}` || 'the value is not allowed'
}
