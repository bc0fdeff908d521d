import { splitList } from '../sources/split-list.ts'
import type { Setting } from './setting.ts'
import type { ObjectList, SettingsTree } from './settings-tree.ts'

/** One setting or list of objects with all its names. */
export interface SettingEntry {
  /** Key path in files, such as `connect.bind_addr`. */
  readonly key: string
  /** Property names from the root of the resolved object. */
  readonly properties: readonly string[]
  /** Flag without leading dashes; undefined inside lists of objects. */
  readonly flag: string | undefined
  /** Environment variable; undefined inside lists of objects. */
  readonly variable: string | undefined
  /** What `setting` or `objects` returned for it. */
  readonly node: Setting<unknown> | ObjectList<SettingsTree>
}

/**
 * Lists the settings of a tree with their names.
 *
 * @param envPrefix - undefined inside a list of objects, where there are no flags and variables
 */
export function entriesOf(tree: SettingsTree, envPrefix: string | undefined): SettingEntry[] {
  const entries: SettingEntry[] = []
  const visit = (group: SettingsTree, prefix: string, properties: readonly string[]) => {
    for (const [property, node] of Object.entries(group)) {
      if (!/^[a-z][A-Za-z0-9]*$/.test(property)) {
        throw new TypeError(`${property} is not a camelCase name`)
      }
      const path = [...properties, property]
      if (isSetting(node) || isObjectList(node)) {
        const key = prefix + settingKey(property, node)
        const named = envPrefix !== undefined
        checkDefinition(key, node)
        entries.push({
          key,
          properties: path,
          flag: named ? flagName(key) : undefined,
          variable: named ? variableOf(envPrefix, key, node) : undefined,
          node,
        })
      } else visit(node, `${prefix}${snakeCase(property)}.`, path)
    }
  }
  visit(tree, '', [])
  return entries
}

function variableOf(
  prefix: string,
  key: string,
  node: Setting<unknown> | ObjectList<SettingsTree>,
): string {
  const variable = isSetting(node) ? node.options.variable : undefined
  if (variable === undefined) return variableName(prefix, key)
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) return variable
  throw new TypeError(`${key}: ${JSON.stringify(variable)} is not the name of a variable`)
}

/** Tells whether a setting is never printed. */
export function isSecret(node: Setting<unknown>): boolean {
  return node.type.kind === 'scalar' && node.type.secret === true
}

// A group may have a child named `kind`; a child is an object, the mark of a definition a string.
function isSetting(node: SettingsTree[string]): node is Setting<unknown> {
  return node['kind'] === 'setting'
}

function isObjectList(node: SettingsTree[string]): node is ObjectList<SettingsTree> {
  return node['kind'] === 'objects'
}

function settingKey(property: string, node: Setting<unknown> | ObjectList<SettingsTree>): string {
  if (node.kind !== 'setting' || node.type.kind !== 'scalar') return snakeCase(property)
  const suffix = node.type.unitSuffix
  if (suffix === undefined) return snakeCase(property)
  if (!property.endsWith(suffix) || property === suffix) {
    throw new TypeError(`${property} is a ${node.type.name}: its name must end with ${suffix}`)
  }
  return snakeCase(property.slice(0, -suffix.length))
}

function checkDefinition(key: string, node: Setting<unknown> | ObjectList<SettingsTree>): void {
  if (node.kind === 'objects') {
    for (const inner of entriesOf(node.item, undefined)) {
      if (inner.node.kind !== 'setting') continue
      if (inner.node.options.variable !== undefined) {
        throw new TypeError(`${key}: a setting inside a list of objects has no variable`)
      }
      if (inner.node.options.alias !== undefined) {
        throw new TypeError(`${key}: a setting inside a list of objects has no flag`)
      }
    }
    return
  }
  const { default: value, required, short, alias } = node.options
  if (value !== undefined && required) throw new TypeError(`${key} is required and has a default`)
  if (short !== undefined && !/^[A-Za-z]$/.test(short)) {
    throw new TypeError(`${key}: a short flag is one letter, got ${short}`)
  }
  if (alias !== undefined && !/^[a-z][a-z0-9-]*$/.test(alias)) {
    throw new TypeError(`${key}: a flag has lower case letters, digits and -, got ${alias}`)
  }
  if (value === undefined) return
  if (isSecret(node)) throw new TypeError(`${key} is a secret and has a default`)
  const type = node.type.kind === 'list' ? node.type.item : node.type
  try {
    for (const text of defaultTexts(node)) type.parse(text, { baseDir: '/' })
  } catch (cause) {
    throw new TypeError(`the default of ${key} is refused by its type`, { cause })
  }
}

/** The default of a setting as texts: one, or one per element of a list; none when there is none. */
export function defaultTexts(node: Setting<unknown>): readonly string[] {
  const value = node.options.default
  if (typeof value !== 'string') return value ?? []
  if (node.type.kind !== 'list') return [value]
  const split = splitList(value)
  if ('elements' in split) return split.elements
  throw new TypeError(split.failure)
}

/** Writes `bindAddr` as `bind_addr`, the form of keys in files. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** Writes the key `connect.bind_addr` as the flag `connect.bind-addr`, without leading dashes. */
export function flagName(key: string): string {
  return key.replaceAll('_', '-')
}

/** Writes the key `connect.bind_addr` as the variable `ADIT_CONNECT_BIND_ADDR`. */
function variableName(prefix: string, key: string): string {
  return `${prefix}_${key.replaceAll('.', '_')}`.toUpperCase()
}
