/**
 * Turns layers of text into typed values. Every mistake of every setting is reported; a setting that
 * is wrong gets no value, and reading it ends the rule that reads it.
 */
import { resolve } from 'node:path'

import { isConfigError } from '../errors.ts'
import { fileLayer } from './file-layer.ts'
import { isNull, type Layer, type LayerValue, shapeWrong } from './layer.ts'
import type { Origin } from './origin.ts'
import type { Problem } from './problem.ts'
import { elementsOf, objectsOf, type RawNode } from './raw-node.ts'
import { defaultTexts, entriesOf, type SettingEntry } from '../definition/setting-entry.ts'
import { joinList } from './split-list.ts'
import type { Setting } from '../definition/setting.ts'
import type { ObjectList, SettingsTree } from '../definition/settings-tree.ts'
import type { ScalarType } from '../types/value-type.ts'

/** Most objects in a list of objects when its definition does not say. */
const MAX_OBJECTS = 10_000

/** One value and where it came from. */
export interface ResolvedValue {
  /** Key path, with positions inside lists of objects: `listeners[0].addr`. */
  readonly key: string
  /** The value as it is written in a file, secrets masked; undefined when there is none. */
  readonly text: string | undefined
  /** Where it came from. */
  readonly origin: Origin
}

/** What {@link resolveSettings} returns. */
export interface Resolution {
  /** The values; reading one that is wrong throws, so use it only without errors, or in rules. */
  readonly settings: object
  /** Every value with its origin, in order of definition. */
  readonly values: readonly ResolvedValue[]
  /** Every mistake in a value. */
  readonly problems: readonly Problem[]
  /** Objects in lists that have a wrong value, themselves or deeper. */
  readonly brokenItems: readonly BrokenItem[]
  /** Absolute paths of files whose secrets were not among the given ones. */
  readonly wantedSecrets: readonly string[]
}

/** An object in a list that has a wrong value. */
export interface BrokenItem {
  /** Key path of the list it is in. */
  readonly key: string
  /** The list it is in. */
  readonly list: object[]
  /** Position in the list, from 0. */
  readonly index: number
}

/** What resolving needs from outside. */
interface ResolveOptions {
  /** Absolute directory that relative paths of defaults start from. */
  readonly baseDir: string
  /** What secrets were read from files, by absolute path: the text, or why there is none. */
  readonly secrets: ReadonlyMap<string, { readonly text: string } | { readonly failure: string }>
}

/** Thrown by a property whose value is wrong. */
export const UNAVAILABLE: unique symbol = Symbol('unavailable')

/** Resolves settings from layers, the last one on top. */
export function resolveSettings(
  entries: readonly SettingEntry[],
  layers: readonly Layer[],
  options: ResolveOptions,
): Resolution {
  const resolver = new Resolver(options)
  const settings = resolver.group(entries, layers, '')
  const { values, problems, brokenItems, wantedSecrets } = resolver
  return { settings, values, problems, brokenItems, wantedSecrets }
}

class Resolver {
  readonly values: ResolvedValue[] = []
  readonly problems: Problem[] = []
  readonly wantedSecrets: string[] = []
  readonly brokenItems: BrokenItem[] = []
  #wrongValues = 0
  readonly #options: ResolveOptions

  constructor(options: ResolveOptions) {
    this.#options = options
  }

  /**
   * Resolves one group.
   *
   * @param origin - place of the whole, where a missing value is reported
   */
  group(
    entries: readonly SettingEntry[],
    layers: readonly Layer[],
    prefix: string,
    origin?: Origin,
  ): object {
    const root = {}
    for (const { key, properties, node } of entries) {
      const given = layers.findLast(({ values }) => {
        const value = values.get(key)
        return value !== undefined && !isNull(value.node)
      })
      const source = given?.values.get(key)
      const value =
        node.kind === 'objects'
          ? this.#objects(prefix + key, node, source)
          : this.#setting(prefix + key, node, source, origin)
      if (value === UNAVAILABLE) this.#wrongValues += 1
      assign(root, properties, value)
    }
    return root
  }

  #setting(
    key: string,
    node: Setting<unknown>,
    source: LayerValue | undefined,
    place: Origin | undefined,
  ): unknown {
    const { type, options } = node
    if (!source) {
      if (options.required) {
        const allowed = (type.kind === 'list' ? type.item : type).allowed
        const message = 'a value is required'
        const where = place === undefined ? {} : { origin: place }
        const code = 'CONFIG_VALUE_MISSING'
        this.#report({ code, severity: 'error', key, ...where, message, allowed })
        return UNAVAILABLE
      }
      if (options.default === undefined) {
        this.values.push({ key, text: undefined, origin: { kind: 'default' } })
        return undefined
      }
    }
    const baseDir = source?.baseDir ?? this.#options.baseDir
    const origin: Origin = source?.node.origin ?? { kind: 'default' }
    const raw = source ? source.node : defaultNode(node)
    const given = { key, baseDir, origin }
    if (type.kind === 'list') {
      const nodes = elementsOf(raw)
      if (!nodes) return this.#wrongShape(key, raw, 'a list')
      if (nodes.length > type.maxItems) {
        const message = `${nodes.length} elements are more than the allowed ${type.maxItems}`
        this.#report({ code: 'CONFIG_VALUE_INVALID', severity: 'error', key, origin, message })
        return UNAVAILABLE
      }
      // A value that was not written as a list has no position that a reader could find.
      const isSingle = nodes.length === 1 && (raw.kind !== 'list' || origin.kind === 'flag')
      const items = nodes.map((item, index) => {
        const itemKey = isSingle ? key : `${key}[${index}]`
        return this.#scalar(item, type.item, { ...given, key: itemKey, origin: item.origin })
      })
      if (items.includes(UNAVAILABLE)) return UNAVAILABLE
      const value = type.collect(items)
      this.values.push({ key, text: joinList(type.formatItems(value)), origin })
      return value
    }
    const read = source?.isPath ? this.#secretFile(source, given) : raw
    const value = this.#scalar(read, type, given)
    if (value !== UNAVAILABLE) this.values.push({ key, text: type.format(value), origin })
    return value
  }

  #scalar(raw: RawNode, type: ScalarType<unknown>, place: Place): unknown {
    if (raw.kind === 'refused') {
      const { message, hint } = raw
      const { key, origin } = place
      this.#report({ code: 'CONFIG_VALUE_INVALID', severity: 'error', key, origin, message, hint })
      return UNAVAILABLE
    }
    if (raw.kind !== 'scalar' || raw.text === undefined) {
      return this.#wrongShape(place.key, raw, 'a single value')
    }
    try {
      const { text, file } = raw
      return type.parse(text, { baseDir: place.baseDir, ...(file !== undefined && { file }) })
    } catch (error) {
      if (!isConfigError(error)) throw error
      this.#report({
        code: error.code,
        severity: 'error',
        key: place.key,
        origin: place.origin,
        // What a type says about a text quotes it.
        message: type.secret ? 'the value, which is not shown, is not allowed' : error.message,
        allowed: type.allowed,
        ...(error.hint === undefined || type.secret ? {} : { hint: error.hint }),
      })
      return UNAVAILABLE
    }
  }

  #secretFile({ node, baseDir }: LayerValue, { key, origin }: Place): RawNode {
    if (node.kind !== 'scalar' || node.text === undefined) return node
    const path = resolve(baseDir, node.text)
    const read = this.#options.secrets.get(path)
    if (read && 'text' in read) return { ...node, text: read.text, file: path }
    if (read) {
      const message = read.failure
      this.#report({ code: 'CONFIG_FILE_UNREADABLE', severity: 'error', key, origin, message })
    } else this.wantedSecrets.push(path)
    return { kind: 'unread', origin }
  }

  #objects(key: string, node: ObjectList<SettingsTree>, source: LayerValue | undefined): unknown {
    const raw = source?.node
    if (raw === undefined || source === undefined) {
      this.values.push({ key, text: undefined, origin: { kind: 'default' } })
      return []
    }
    const given = objectsOf(raw)
    if (!given) return this.#wrongShape(key, raw, 'a list of objects')
    const { maxItems = MAX_OBJECTS } = node.options
    if (given.length > maxItems) {
      const message = `${given.length} elements are more than the allowed ${maxItems}`
      const { origin } = raw
      this.#report({ code: 'CONFIG_VALUE_INVALID', severity: 'error', key, origin, message })
      return UNAVAILABLE
    }
    const entries = entriesOf(node.item, undefined)
    const items: object[] = []
    for (const [index, item] of given.entries()) {
      if (item.kind === 'refused') {
        const { message, hint, origin } = item
        this.#report({
          code: 'CONFIG_VALUE_INVALID',
          severity: 'error',
          key,
          origin,
          message,
          hint,
        })
        continue
      }
      const prefix = `${key}[${index}].`
      const layer = fileLayer(entries, item, source.baseDir, prefix)
      this.problems.push(...layer.problems)
      // Nothing useful can be said about the members of what is no object.
      if (item.kind !== 'map') continue
      const before = this.#wrongValues
      items.push(this.group(entries, [layer], prefix, item.origin))
      if (this.#wrongValues > before) this.brokenItems.push({ key, list: items, index })
    }
    return items.length === given.length ? items : UNAVAILABLE
  }

  #wrongShape(key: string, node: RawNode, expected: string): typeof UNAVAILABLE {
    if (node.kind !== 'unread') this.#report(shapeWrong(key, node, expected))
    return UNAVAILABLE
  }

  #report(problem: Problem): void {
    this.problems.push(problem)
  }
}

interface Place {
  readonly key: string
  readonly baseDir: string
  readonly origin: Origin
}

function defaultNode(node: Setting<unknown>): RawNode {
  const origin: Origin = { kind: 'default' }
  const nodes = defaultTexts(node).map((text) => ({ kind: 'scalar', text, origin }) as const)
  return node.type.kind === 'list'
    ? { kind: 'list', items: nodes, origin }
    : (nodes[0] ?? { kind: 'unread', origin })
}

function assign(root: object, properties: readonly string[], value: unknown): void {
  let target = root
  for (const property of properties.slice(0, -1)) {
    const next: unknown = Reflect.get(target, property)
    const group = typeof next === 'object' && next !== null ? next : {}
    Reflect.set(target, property, group)
    target = group
  }
  const property = properties.at(-1) ?? ''
  if (value !== UNAVAILABLE) {
    Reflect.set(target, property, value)
    return
  }
  Object.defineProperty(target, property, {
    enumerable: true,
    get() {
      throw UNAVAILABLE
    },
  })
}
