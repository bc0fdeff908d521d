import type { ReloadMode, Setting } from './setting.ts'

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

/**
 * A list of objects; made by {@link objects}. A variable or flag has it as a JSON array, or as one JSON
 * object for a list of one; a repeated flag adds to the list.
 */
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

/** Defines a list of objects. */
export function objects<Tree extends SettingsTree>(
  item: Tree,
  options: ObjectListOptions,
): ObjectList<Tree> {
  return { kind: 'objects', item, options }
}
