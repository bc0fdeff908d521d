/**
 * Reads the files and flags of Piko v0.9. Keys are renamed one by one; a key without counterpart is
 * refused with the reason, and where a meaning differs a warning says how. Nothing is dropped in
 * silence but values that are empty and so say nothing.
 */
import type { Dialect, Environment, Origin, Problem, SettingsInfo } from '@proj/config'
import {
  entriesOf,
  flagName,
  nearest,
  quote,
  type RawMap,
  type RawMember,
  type RawNode,
} from '@proj/config/layers'

import type { ForeignFlags, IgnoredFlag } from '../command-line/command-tokens.ts'
import type { ProgramErrorCode } from '../errors.ts'
import type { PikoConversion, PikoTable } from './piko-table.ts'

/** A program of Piko whose files and flags are read. */
export interface PikoProgram {
  /** Its name, such as `server`. */
  readonly name: string
  /** The keys of its files, with the settings they are converted to. */
  readonly keys: PikoTable
}

/** Options of {@link pikoDialect}. */
export interface PikoOptions {
  /**
   * Whether `$NAME`, `${NAME}` and `${NAME:text}` are replaced, what Piko does with
   * `--config.expand-env`; an unset variable is empty text. @default false
   */
  readonly expandEnv?: boolean
}

/**
 * Makes the dialect of one program's files.
 *
 * @param program - whose file it is
 * @param settings - the settings it is translated to
 */
export function pikoDialect(
  program: PikoProgram,
  settings: SettingsInfo,
  options: PikoOptions = {},
): Dialect {
  const known = keysOf(settings)
  return {
    name: `Piko ${program.name}`,
    expand: options.expandEnv ? expandLikePiko : (text) => text,
    translate: (root) => {
      if (root.kind !== 'map') return { root, problems: [] }
      const translation = new Translation(program.keys, known)
      translation.map(root, '', translation.root)
      return { root: translation.root, problems: translation.problems }
    },
  }
}

/**
 * Lists the flags of one program that are called something else here, do nothing or do not exist. Flags
 * that have the same name have our meaning and our units; the others are read as in its file.
 */
export function pikoFlags(program: PikoProgram, settings: SettingsInfo): ForeignFlags {
  const known = keysOf(settings)
  const aliases: Record<string, string> = {}
  const refused: Record<string, string> = {}
  const ignored: Record<string, IgnoredFlag> = {}
  const notes: Record<string, string> = {}
  const conversions = new Map<string, PikoConversion>()
  for (const [key, rule] of Object.entries(program.keys)) {
    if (key.includes('[]')) continue
    const flag = flagName(key)
    if ('to' in rule && known.has(rule.to)) {
      if (rule.to === key) continue
      aliases[flag] = flagName(rule.to)
      if (rule.note !== undefined) notes[flag] = rule.note
      if (rule.convert !== undefined) conversions.set(flag, rule.convert)
    } else if ('to' in rule) refused[flag] = MISSING
    else if ('refuse' in rule) refused[flag] = rule.refuse
    else {
      const { ignore: reason, isBoolean = false } = rule
      ignored[flag] = { reason, isBoolean, isEmpty: (text) => text === '' || ZERO.test(text) }
    }
  }
  const convert = (flag: string, text: string): string => convertText(text, conversions.get(flag))
  return { aliases, refused, ignored, notes, convert }
}

const MISSING = 'this program has no such setting'

/** Both flags name a configuration file, and are easily mixed up. */
const OWN_FILES =
  'it is a key of Adit: --config.path reads files of Piko, --config reads those of Adit'

/** Keys of settings, `[]` for elements of lists of objects. */
function keysOf({ entries }: SettingsInfo): ReadonlySet<string> {
  return new Set(
    entries.flatMap(({ key, node }) =>
      node.kind === 'setting'
        ? [key]
        : entriesOf(node.item, undefined).map((item) => `${key}[].${item.key}`),
    ),
  )
}

interface MutableMap extends RawMap {
  readonly members: Map<string, RawMember>
}

class Translation {
  readonly problems: Problem[] = []
  readonly root: MutableMap = { kind: 'map', members: new Map(), origin: { kind: 'default' } }
  readonly #table: PikoTable
  readonly #known: ReadonlySet<string>

  constructor(table: PikoTable, known: ReadonlySet<string>) {
    this.#table = table
    this.#known = known
  }

  /**
   * Translates the members of a mapping.
   *
   * @param path - pattern of the mapping in the table, with final dot
   * @param target - where keys go, which are relative to the innermost list
   */
  map(map: RawMap, path: string, target: MutableMap): void {
    for (const [name, member] of map.members) {
      const key = path + name
      const rule = Object.hasOwn(this.#table, key) ? this.#table[key] : undefined
      const { value, keyOrigin } = member
      if (!rule && this.#isGroup(`${key}[].`)) {
        this.#list(key, member, target)
      } else if (!rule && this.#isGroup(`${key}.`)) {
        if (value.kind === 'map') this.map(value, `${key}.`, target)
      } else if (!rule) {
        const siblings = Object.keys(this.#table)
        const near = nearest(key, siblings)
        const guess = near === undefined ? undefined : `did you mean ${near}?`
        const hint = this.#isOwn(key) ? OWN_FILES : guess
        this.#report('CONFIG_KEY_UNKNOWN', key, keyOrigin, `Piko has no key ${quote(name)}`, hint)
      } else if (!isEmpty(value)) {
        const missing = !('to' in rule) || !this.#known.has(rule.to)
        if (missing && isZero(value)) continue
        if ('refuse' in rule) {
          this.#refuse(key, keyOrigin, rule.refuse)
        } else if ('ignore' in rule) {
          this.#warn(key, keyOrigin, `it has no effect: ${rule.ignore}`)
        } else if (missing) {
          this.#refuse(key, keyOrigin, MISSING)
        } else {
          if (rule.note !== undefined) this.#warn(key, keyOrigin, rule.note)
          place(target, rule.to.split('[].').at(-1) ?? '', {
            keyOrigin,
            value: convert(value, rule.convert),
          })
        }
      }
    }
  }

  #list(key: string, { keyOrigin, value }: RawMember, target: MutableMap): void {
    const rules = Object.entries(this.#table).filter(([name]) => name.startsWith(`${key}[].`))
    const to = rules.flatMap(([, rule]) => ('to' in rule ? [rule.to.split('[].')[0] ?? ''] : []))[0]
    const isKnown = [...this.#known].some((name) => name.startsWith(`${to}[].`))
    if (to !== undefined && !isKnown) {
      this.#refuse(key, keyOrigin, MISSING)
      return
    }
    // What is no list goes on as it is, to be refused where shapes are checked.
    if (value.kind !== 'list') {
      if (to !== undefined) place(target, to, { keyOrigin, value })
      return
    }
    const items = value.items.map((item) => {
      if (item.kind !== 'map') return item
      const object: MutableMap = { kind: 'map', members: new Map(), origin: item.origin }
      this.map(item, `${key}[].`, object)
      return object
    })
    if (to !== undefined) place(target, to, { keyOrigin, value: { ...value, items } })
  }

  /** Whether a key that Piko does not have is a setting, or a group of settings, of this program. */
  #isOwn(key: string): boolean {
    return [...this.#known].some(
      (name) => name === key || name.startsWith(`${key}.`) || name.startsWith(`${key}[].`),
    )
  }

  #isGroup(prefix: string): boolean {
    return Object.keys(this.#table).some((key) => key.startsWith(prefix))
  }

  #report(
    code: ProgramErrorCode | 'CONFIG_KEY_UNKNOWN',
    key: string,
    origin: Origin,
    message: string,
    hint?: string,
  ): void {
    const problem = { code, severity: 'error', key, origin, message } as const
    this.problems.push(hint === undefined ? problem : { ...problem, hint })
  }

  #refuse(key: string, origin: Origin, reason: string): void {
    this.#report('CONFIG_PIKO_UNSUPPORTED', key, origin, `no counterpart: ${reason}`)
  }

  #warn(key: string, origin: Origin, message: string): void {
    this.problems.push({ code: 'CONFIG_PIKO_DIFFERENT', severity: 'warning', key, origin, message })
  }
}

/** Values that Piko treats as not given. */
function isEmpty(node: RawNode): boolean {
  if (node.kind === 'list') return node.items.length === 0
  if (node.kind === 'map') return node.members.size === 0
  return node.kind === 'scalar' && (node.text === undefined || node.text === '')
}

const ZERO = /^(false|0(s|ms|m|h)?)$/

/** Values that switch something off, which is no loss where it does not exist. */
function isZero(node: RawNode): boolean {
  return node.kind === 'scalar' && ZERO.test(node.text ?? '')
}

function convert(node: RawNode, conversion: PikoConversion | undefined): RawNode {
  if (node.kind !== 'scalar' || node.text === undefined) return node
  return { ...node, text: convertText(node.text, conversion) }
}

function convertText(text: string, conversion: PikoConversion | undefined): string {
  if (conversion === 'bytes' && /^[0-9]+$/.test(text)) return `${text}B`
  if (conversion === 'port-of-localhost' && /^[0-9]+$/.test(text)) return `localhost:${text}`
  if (conversion === 'zero-is-unlimited' && /^0(s|ms|m|h)?$/.test(text)) return 'inf'
  return text
}

/** Puts a value at a key path, making the groups on the way. */
function place(root: MutableMap, key: string, member: RawMember): void {
  const path = key.split('.')
  const name = path.pop() ?? ''
  let target = root
  for (const part of path) {
    const existing = target.members.get(part)?.value
    const next: MutableMap =
      existing?.kind === 'map'
        ? { ...existing, members: new Map(existing.members) }
        : { kind: 'map', members: new Map(), origin: member.keyOrigin }
    target.members.set(part, { keyOrigin: member.keyOrigin, value: next })
    target = next
  }
  target.members.set(name, member)
}

function expandLikePiko(text: string, env: Environment): string {
  const value = (name: string) => (Object.hasOwn(env, name) ? (env[name] ?? '') : '')
  return text.replace(
    /\$(?:([A-Za-z0-9_]+)|\{([^}:]*)(?::([^}]*))?\})/g,
    (_match, bare: string | undefined, name: string | undefined, fallback: string | undefined) =>
      value(bare ?? name ?? '') || (fallback ?? ''),
  )
}
