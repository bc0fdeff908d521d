/**
 * One source of values, sorted by key: a file, the environment, the command line. Layers are laid
 * over one another; for each key the topmost value wins, and lists win as a whole.
 */
import { isSecret, type SettingEntry } from './define-settings.ts'
import type { Environment } from './expand-variables.ts'
import { nearest } from './nearest.ts'
import type { Problem } from './problem.ts'
import { quote } from './quote.ts'
import type { RawMap, RawNode, RawScalar } from './raw-node.ts'

/** The values of one source. */
export interface Layer {
  /** Value by key. */
  readonly values: ReadonlyMap<string, LayerValue>
  /** What is wrong with the source itself, such as unknown keys. */
  readonly problems: readonly Problem[]
}

/** One value of a layer. */
export interface LayerValue {
  /** The value, or where it is read from. */
  readonly node: RawNode
  /** Whether `node` is the path of a file that holds the secret. */
  readonly isPath: boolean
  /** Absolute directory that relative paths start from. */
  readonly baseDir: string
}

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
  const visit = (map: RawMap, path: string) => {
    for (const [name, { keyOrigin, value }] of map.members) {
      const key = path + name
      const found = known.get(key)
      if (found) {
        const { entry, isPath } = found
        if (values.has(entry.key)) problems.push(twice(prefix + entry.key, value))
        else values.set(entry.key, { node: value, isPath, baseDir })
      } else if (!groups.has(key)) {
        if (key === '$schema' && prefix === '') continue
        problems.push({
          code: 'CONFIG_KEY_UNKNOWN',
          severity: 'error',
          key: prefix + key,
          origin: keyOrigin,
          message: `unknown key ${quote(name)}`,
          ...adviceFor(prefix, key, path, known.keys(), groups),
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
  return { values, problems }
}

/**
 * Takes the variables of settings out of an environment. An empty variable counts as not given:
 * container files pass on variables that were never set that way.
 *
 * @param prefix - variables that begin with it and look like a misspelt setting are warned of
 * @param baseDir - directory that relative paths start from
 */
export function environmentLayer(
  entries: readonly SettingEntry[],
  env: Environment,
  prefix: string,
  baseDir: string,
): Layer {
  const values = new Map<string, LayerValue>()
  const problems: Problem[] = []
  const known = new Set<string>()
  for (const { key, variable, node } of entries) {
    if (variable === undefined || node.kind !== 'setting') continue
    for (const name of isSecret(node) ? [variable, `${variable}_FILE`] : [variable]) {
      known.add(name)
      const text = Object.hasOwn(env, name) ? env[name] : undefined
      if (text === undefined || text === '') continue
      const scalar: RawScalar = { kind: 'scalar', text, origin: { kind: 'environment', name } }
      if (values.has(key)) problems.push(twice(key, scalar))
      else values.set(key, { node: scalar, isPath: name !== variable, baseDir })
    }
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith(`${prefix}_`) || known.has(name)) continue
    // Orchestrators set variables of this form for services of that name, so only near misses count.
    const meant = nearest(name, known)
    if (meant === undefined) continue
    problems.push({
      code: 'CONFIG_ENVIRONMENT_UNKNOWN',
      severity: 'warning',
      origin: { kind: 'environment', name },
      message: 'no setting reads this variable',
      hint: `did you mean ${meant}?`,
    })
  }
  return { values, problems }
}

/** The problem of a value that has the wrong shape. */
export function shapeWrong(key: string, node: RawNode, expected: string): Problem {
  const shapes = { scalar: 'a single value', list: 'a list', map: 'a group of keys', unread: '' }
  return {
    code: 'CONFIG_SHAPE_WRONG',
    severity: 'error',
    ...(key === '' ? {} : { key }),
    origin: node.origin,
    message: `${expected} is expected here, not ${shapes[node.kind]}`,
  }
}

/** Whether a node is the null of YAML, which counts as not given. */
export function isNull(node: RawNode): boolean {
  return node.kind === 'scalar' && node.text === undefined
}

function twice(key: string, node: RawNode): Problem {
  return {
    code: 'CONFIG_SECRET_TWICE',
    severity: 'error',
    key,
    origin: node.origin,
    message: 'both the secret and a file to read it from are given',
    hint: 'keep one of them',
  }
}

/** What a person may have meant: a neighbour, the same name in another group, a dotted key. */
function adviceFor(
  prefix: string,
  key: string,
  path: string,
  known: Iterable<string>,
  groups: ReadonlySet<string>,
): { allowed: string; hint?: string } {
  const keys = [...known, ...groups]
  const name = key.slice(path.length)
  const neighbours = keys.flatMap((other) => {
    const rest = other.startsWith(path) ? other.slice(path.length) : ''
    return rest === '' || rest.includes('.') ? [] : [rest]
  })
  const allowed = neighbours.join(', ')
  if (path === '' && name.includes('.') && keys.includes(name)) {
    return { allowed, hint: `write ${name.split('.').join(': with, indented below it, ')}:` }
  }
  const near = nearest(name, neighbours)
  const plain = name.replaceAll(/[-_]/g, '').toLowerCase()
  const elsewhere = keys.filter((other) => other.split('.').at(-1)?.replaceAll('_', '') === plain)
  const meant = near === undefined ? elsewhere[0] : path + near
  return meant === undefined ? { allowed } : { allowed, hint: `did you mean ${prefix}${meant}?` }
}
