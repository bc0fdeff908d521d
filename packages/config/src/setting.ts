/**
 * The definition of one setting, and of lists of objects. Definitions are plain nested objects:
 * the property path gives key, flag and variable, the type gives grammar, range and schema, the
 * rest is said once in the options. What `loadSettings` returns has the same shape.
 */
import type { ValueType } from './value-type.ts'

/** When a changed value takes effect. */
export type ReloadMode = 'live' | 'restart'

/** What every setting says about itself. */
export interface SettingOptions {
  /** What it does, one or two sentences. Printed by help, reference page and JSON Schema. */
  readonly description: string
  /** Value when no source gives one, written as a user would. Left out: no value. */
  readonly default?: string | readonly string[]
  /** Whether a value must be given. Excludes a default. @default false */
  readonly required?: boolean
  /** One letter for a short flag. @default none */
  readonly short?: string
  /** Whether a changed file takes effect in the running process. @default restart */
  readonly reload?: ReloadMode
  /** Whether help and completions leave it out; the reference page has it. @default false */
  readonly hidden?: boolean
}

/** One setting; made by {@link setting}. */
export interface Setting<T> {
  /** Tells settings from groups and lists of objects. */
  readonly kind: 'setting'
  /** What the value may be. */
  readonly type: ValueType<unknown>
  /** The options it was made with. */
  readonly options: SettingOptions
  /** Carries the type of the value for inference; never present. */
  readonly inferred?: T
}

/** What a list of objects says about itself. */
export interface ObjectListOptions {
  /** What the list is for. */
  readonly description: string
  /** Most objects in the list. @default 10000 */
  readonly maxItems?: number
  /** Property whose text tells one object from another across reloads. @default the position */
  readonly identity?: string
  /** Whether a changed file takes effect in the running process. @default restart */
  readonly reload?: ReloadMode
}

/** A list of objects, which only files and arguments can give; made by {@link objects}. */
export interface ObjectList<Tree extends SettingsTree> {
  /** Tells lists of objects from settings and groups. */
  readonly kind: 'objects'
  /** The settings of each object. */
  readonly item: Tree
  /** The options it was made with. */
  readonly options: ObjectListOptions
}

/** Settings, lists of objects and groups of them by camelCase name. */
export interface SettingsTree {
  readonly [name: string]: Setting<unknown> | ObjectList<SettingsTree> | SettingsTree
}

/** The values of a tree of settings. */
export type Resolved<Tree> = {
  readonly [Name in keyof Tree]: Tree[Name] extends Setting<infer T>
    ? T
    : Tree[Name] extends ObjectList<infer Item>
      ? readonly Resolved<Item>[]
      : Resolved<Tree[Name]>
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
  return { kind: 'setting', type, options }
}

/** Defines a list of objects. */
export function objects<Tree extends SettingsTree>(
  item: Tree,
  options: ObjectListOptions,
): ObjectList<Tree> {
  return { kind: 'objects', item, options }
}
