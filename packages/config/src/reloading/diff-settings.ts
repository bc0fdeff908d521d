import type { SettingsInfo } from '../definition/define-settings.ts'
import { Secret } from '../types/secret.ts'
import type { SettingEntry } from '../definition/setting-entry.ts'
import type { ReloadMode, Setting } from '../definition/setting.ts'

/** One difference between two resolved configurations. */
export interface SettingsChange {
  /** Key path; an element of a list of objects by its identity, `listeners[web]`, or position. */
  readonly key: string
  /** What happened to it. */
  readonly kind: 'added' | 'removed' | 'changed'
  /** Whether it takes effect in the running process. */
  readonly reload: ReloadMode
  /** The value before, secrets masked; undefined when there was none, and for objects. */
  readonly before?: string
  /** The value now, secrets masked; undefined when there is none, and for objects. */
  readonly after?: string
}

/**
 * Compares two resolved configurations of the same settings. Lists of objects that have an identity
 * are compared element by element whatever their order; equal elements are not mentioned.
 */
export function diffSettings(
  settings: SettingsInfo,
  before: object,
  after: object,
): readonly SettingsChange[] {
  return settings.entries.flatMap((entry) => {
    const [old, now] = [at(before, entry.properties), at(after, entry.properties)]
    if (sameSettings(old, now)) return []
    const { node } = entry
    return node.kind === 'setting'
      ? [settingChange(entry, node, old, now)]
      : elementChanges(entry, node.options.identity, node.options.reload, old, now)
  })
}

function settingChange(
  { key }: SettingEntry,
  node: Setting<unknown>,
  old: unknown,
  now: unknown,
): SettingsChange {
  const [before, after] = [format(node, old), format(node, now)]
  return {
    key,
    kind: before === undefined ? 'added' : after === undefined ? 'removed' : 'changed',
    reload: node.options.reload ?? 'restart',
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  }
}

function elementChanges(
  { key }: SettingEntry,
  identity: string | undefined,
  reload: ReloadMode = 'restart',
  old: unknown,
  now: unknown,
): SettingsChange[] {
  const before = byIdentity(old, identity)
  const after = byIdentity(now, identity)
  const changes: SettingsChange[] = []
  for (const [name, value] of before) {
    const kind = after.has(name) ? 'changed' : 'removed'
    if (kind === 'removed' || !sameSettings(value, after.get(name))) {
      changes.push({ key: `${key}[${name}]`, kind, reload })
    }
  }
  for (const name of after.keys()) {
    if (!before.has(name)) changes.push({ key: `${key}[${name}]`, kind: 'added', reload })
  }
  return changes
}

function byIdentity(list: unknown, identity: string | undefined): Map<string, unknown> {
  const elements = new Map<string, unknown>()
  for (const [index, element] of (Array.isArray(list) ? list : []).entries()) {
    const name = identity === undefined ? undefined : at(element, [identity])
    // Elements that share an identity are told apart by position as well.
    const key = typeof name === 'string' || typeof name === 'number' ? `${name}` : `${index}`
    elements.set(elements.has(key) ? `${key}#${index}` : key, element)
  }
  return elements
}

function format({ type }: Setting<unknown>, value: unknown): string | undefined {
  if (value === undefined) return undefined
  return type.kind === 'list' ? type.formatItems(value).join(', ') : type.format(value)
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) => (typeof inner === 'object' && inner ? Reflect.get(inner, name) : undefined),
    value,
  )
}

/** Deep equality of resolved values, which are plain data and secrets; other comparisons see no secret. */
export function sameSettings(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (a instanceof Secret && b instanceof Secret) return a.reveal() === b.reveal()
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const others = new Map(Object.entries(b))
  const members = Object.entries(a)
  return (
    members.length === others.size &&
    Array.isArray(a) === Array.isArray(b) &&
    members.every(([key, value]) => others.has(key) && sameSettings(value, others.get(key)))
  )
}
