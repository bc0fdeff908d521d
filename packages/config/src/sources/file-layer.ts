import { givenTwice, isNull, type Layer, type LayerValue, shapeWrong } from './layer.ts'
import { nearest } from './nearest.ts'
import type { Problem } from './problem.ts'
import { quote } from '../printing/printable.ts'
import type { RawMap, RawNode } from './raw-node.ts'
import { isSecret, type SettingEntry } from '../definition/setting-entry.ts'

/**
 * Sorts a mapping of a file by key.
 *
 * @param entries - the settings that may occur in it
 * @param prefix - key path of the mapping with final dot, empty at the root
 * @param baseDir - directory of the file
 */
export function fileLayer(
  entries: readonly SettingEntry[],
  root: RawNode | undefined,
  baseDir: string,
  prefix = '',
): Layer {
  const values = new Map<string, LayerValue>()
  const problems: Problem[] = []
  const { known, groups } = knownKeys(entries)
  let unknown = 0
  const visit = (map: RawMap, path: string) => {
    for (const [name, { keyOrigin, value }] of map.members) {
      const key = path + name
      // A dotted key is no path: else one setting could be in the file in two spellings.
      const found = name.includes('.') ? undefined : known.get(key)
      if (found) {
        const { entry, isPath } = found
        if (values.has(entry.key)) problems.push(givenTwice(prefix + entry.key, value))
        else values.set(entry.key, { node: value, isPath, baseDir })
      } else if (name.includes('.') || !groups.has(key)) {
        if (key === '$schema' && prefix === '') continue
        unknown += 1
        if (unknown > MAX_UNKNOWN_KEYS) continue
        problems.push({
          code: 'CONFIG_KEY_UNKNOWN',
          severity: 'error',
          key: prefix + key,
          origin: keyOrigin,
          message: `unknown key ${quote(name)}`,
          ...adviceFor(prefix, path, name, [...known.keys()]),
        })
      } else if (value.kind === 'map') visit(value, `${key}.`)
      else if (value.kind !== 'unread' && !isNull(value)) {
        problems.push(shapeWrong(prefix + key, value, 'a group of keys'))
      }
    }
  }
  if (root?.kind === 'map') visit(root, '')
  else if (root && root.kind !== 'unread' && !isNull(root)) {
    problems.push(shapeWrong(prefix.replace(/\.$/, ''), root, 'a group of keys'))
  }
  if (root && unknown > MAX_UNKNOWN_KEYS) {
    problems.push({
      code: 'CONFIG_KEY_UNKNOWN',
      severity: 'error',
      origin: root.origin,
      message: `${unknown - MAX_UNKNOWN_KEYS} more unknown keys are not listed`,
      hint: 'is this the file of another program?',
    })
  }
  return { values, problems }
}

/** Most unknown keys of a file that are reported one by one; each is compared with every known key. */
const MAX_UNKNOWN_KEYS = 100

interface KnownKeys {
  /** Settings by key, and by the key of the file of a secret. */
  readonly known: ReadonlyMap<string, { readonly entry: SettingEntry; readonly isPath: boolean }>
  readonly groups: ReadonlySet<string>
}

/** The objects of a list have the same keys, and there may be thousands of them. */
const KNOWN_KEYS = new WeakMap<readonly SettingEntry[], KnownKeys>()

function knownKeys(entries: readonly SettingEntry[]): KnownKeys {
  const cached = KNOWN_KEYS.get(entries)
  if (cached) return cached
  const known = new Map<string, { entry: SettingEntry; isPath: boolean }>()
  const groups = new Set<string>()
  for (const entry of entries) {
    known.set(entry.key, { entry, isPath: false })
    if (entry.node.kind === 'setting' && isSecret(entry.node)) {
      known.set(`${entry.key}_file`, { entry, isPath: true })
    }
    const parts = entry.key.split('.')
    for (let length = 1; length < parts.length; length += 1) {
      groups.add(parts.slice(0, length).join('.'))
    }
  }
  const keys = { known, groups }
  KNOWN_KEYS.set(entries, keys)
  return keys
}

/** The key that was probably meant: a sibling, the same name in another group, or a dotted key. */
function adviceFor(
  prefix: string,
  path: string,
  name: string,
  keys: readonly string[],
): { allowed: string; hint?: string } {
  const below = keys.filter((key) => key.startsWith(path)).map((key) => key.slice(path.length))
  const neighbours = [...new Set(below.map((key) => key.split('.')[0] ?? ''))]
  const allowed = neighbours.join(', ')
  if (below.includes(name)) {
    return { allowed, hint: `write ${name.split('.').join(': and, indented below it, ')}:` }
  }
  const near = nearest(name, neighbours)
  const plain = name.replaceAll(/[-_]/g, '').toLowerCase()
  const elsewhere = keys.find((key) => key.split('.').at(-1)?.replaceAll('_', '') === plain)
  const meant = near === undefined ? elsewhere : path + near
  return meant === undefined ? { allowed } : { allowed, hint: `did you mean ${prefix}${meant}?` }
}
