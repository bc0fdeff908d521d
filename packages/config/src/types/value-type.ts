/**
 * What a value may be, independent of where it is written. A type turns text into a value: files,
 * flags and variables all deliver text, so that one grammar serves them all.
 */

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** What a type knows about the place its text comes from. */
export interface ParseContext {
  /** Absolute directory that relative paths start from. */
  readonly baseDir: string
  /** Absolute path of the file the text of a secret was read from. */
  readonly file?: string
}

/** A type written as one piece of text. */
export interface ScalarType<T> {
  /** Tells the kinds of type apart. */
  readonly kind: 'scalar'
  /** One word for help texts and the reference page, such as `duration`. */
  readonly name: string
  /** What is allowed, completing the sentence "allowed: ...". */
  readonly allowed: string
  /** Schema of the value in a file. */
  readonly schema: JsonSchema
  /** The only allowed texts, where there are only so many. */
  readonly choices?: readonly string[]
  /** Whether a value must never be printed. Adds a companion setting to read it from a file. */
  readonly secret?: true
  /** What a shell completes where `choices` does not say it: a file, or some of the allowed texts. */
  readonly completes?: 'file' | readonly string[]
  /** Whether a flag of this type may have no value and a `--no-` form. */
  readonly isBoolean?: true
  /**
   * End of the property name that says the unit of the value, such as `Ms`. The key has no unit,
   * because the text carries its own: `timeoutMs` is `timeout: 30s`.
   */
  readonly unitSuffix?: 'Ms' | 'Bytes'
  /** Reads a text. Throws a ConfigError. */
  parse(text: string, context: ParseContext): T
  /** Writes a value as `parse` reads it; a secret is masked. */
  format(value: T): string
}

/** A type written as a list: a sequence in a file, commas or repetition elsewhere. */
export interface ListType<T> {
  /** Tells the kinds of type apart. */
  readonly kind: 'list'
  /** Type of one element. */
  readonly item: ScalarType<unknown>
  /** Most elements a value may have. */
  readonly maxItems: number
  /** Makes the value from the elements that were read. */
  collect(items: readonly unknown[]): T
  /** Returns one text per element, in the form that parsing accepts. */
  formatItems(value: T): readonly string[]
}

/** What a value may be. */
export type ValueType<T> = ScalarType<T> | ListType<T>
