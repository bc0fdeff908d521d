/**
 * The definition of one setting, and of lists of objects. Definitions are plain nested objects:
 * the property path gives key, flag and variable, the type gives grammar, range and schema, the
 * rest is said once in the options. What `loadSettings` returns has the same shape.
 */
import type { ValueType } from '../types/value-type.ts'

/** When a changed value takes effect. */
export type ReloadMode = 'live' | 'restart'

/** What every setting says about itself. */
export interface SettingOptions {
  /** What it does, one or two sentences. Printed by help, reference page and JSON Schema. */
  readonly description: string
  /**
   * Value when no source gives one: written as a user would, or the number itself. Left out: no
   * value.
   */
  readonly default?: string | readonly string[] | number
  /** Whether a value must be given. Excludes a default. @default false */
  readonly required?: boolean
  /**
   * Environment variable instead of the one that the key gives, such as `PORT` or `DATABASE_URL`. The
   * file of a secret is in the same name with `_FILE`. Not inside lists of objects.
   */
  readonly variable?: string
  /** One letter for a short flag. @default none */
  readonly short?: string
  /**
   * Another, shorter name of the flag, without dashes: `url` beside `connect.url`. Help shows the flag among
   * the first. Not inside lists of objects. @default none
   */
  readonly alias?: string
  /** Whether a changed file takes effect in the running process. @default restart */
  readonly reload?: ReloadMode
  /** Whether help and completions leave it out; the reference page has it. @default false */
  readonly hidden?: boolean
}

/** The options of a setting with its default as text. */
export interface WrittenSettingOptions extends SettingOptions {
  /** The default as it is written in a file. @default none: the value is undefined */
  readonly default?: string | readonly string[]
}

/** One setting; made by {@link setting}. */
export interface Setting<T> {
  /** Tells settings from groups and lists of objects. */
  readonly kind: 'setting'
  /** What the value may be. */
  readonly type: ValueType<unknown>
  /** The options it was made with. */
  readonly options: WrittenSettingOptions
  /** Carries the type of the value for inference; never present. */
  readonly inferred?: T
}

/**
 * Defines one setting. Without default and without `required` its value may be undefined.
 *
 * @param type - what the value may be
 */
export function setting<T, const Options extends SettingOptions>(
  type: ValueType<T>,
  options: Options,
): Setting<
  Options extends { readonly default: unknown } | { readonly required: true } ? T : T | undefined
> {
  const { default: given, ...others }: SettingOptions = options
  if (given === undefined) return { kind: 'setting', type, options: others }
  const written = typeof given === 'number' ? formatNumber(type, given) : given
  return { kind: 'setting', type, options: { ...others, default: written } }
}

function formatNumber<T>(type: ValueType<T>, value: number): string {
  if (type.kind === 'list') throw new TypeError('the default of a list is text')
  // A type of other values is refused when the settings are defined: it cannot parse the text.
  return type.format(value as T)
}
