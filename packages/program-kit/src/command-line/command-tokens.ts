/**
 * Cuts a command line into flags and words with the platform's `parseArgs`, not strictly, so that
 * every mistake is found in one run instead of the first one ending it.
 */
import type { Problem, SettingEntry } from '@proj/config'
import { isSecret, nearest } from '@proj/config/layers'

import { parseArgs } from 'node:util'

/** Flags of another program, for `parseCommandLine`. */
export interface ForeignFlags {
  /** Flags that are called something else here. */
  readonly aliases: Readonly<Record<string, string>>
  /** Flags that do not exist here, with the reason. */
  readonly refused: Readonly<Record<string, string>>
  /** Flags that do nothing here. Default: none. */
  readonly ignored?: Readonly<Record<string, IgnoredFlag>>
  /** How the meaning of a flag of `aliases` differs from what the other program does. Default: nothing. */
  readonly notes?: Readonly<Record<string, string>>
  /** Writes the value of a flag of `aliases` as it is written here. Default: it stays. */
  readonly convert?: (flag: string, text: string) => string
}

/** A flag of another program that does nothing here. */
export interface IgnoredFlag {
  /** Why nothing is lost. */
  readonly reason: string
  /** Whether it takes no value of its own. */
  readonly isBoolean: boolean
  /** Values that mean nothing in the other program either. Default: all mean something. */
  readonly isEmpty?: (text: string) => boolean
}

/** A flag of a setting. */
export interface Flag {
  readonly entry: SettingEntry
  /** Whether it names the file of a secret. */
  readonly isPath: boolean
}

/** A flag that was given. */
export interface FlagUse {
  /** Its name without dashes, our own where an alias was used. */
  readonly flag: string
  /** As it was typed, without the value. */
  readonly shown: string
  /** Its value; `true` or `false` for a flag that needs none. */
  readonly text: string
}

/** A command line in pieces. */
export interface Tokens {
  /** The flags, in order. */
  readonly uses: FlagUse[]
  /** The words before `--`. */
  readonly words: string[]
  /** What followed `--`. */
  readonly rest: string[]
  /** Whether there was a `--`. */
  terminated: boolean
  /** Unknown flags, and values missing or in excess. */
  readonly problems: Problem[]
}

/** Flags by name; commands may share one, then it takes a value in all of them or in none. */
export function flagTable(entries: Iterable<SettingEntry>): ReadonlyMap<string, readonly Flag[]> {
  const table = new Map<string, Flag[]>([
    ['help', []],
    ['version', []],
    ['all', []],
  ])
  for (const entry of entries) {
    if (entry.flag === undefined) continue
    const hasFile = entry.node.kind === 'setting' && isSecret(entry.node)
    const alias = entry.node.kind === 'setting' ? entry.node.options.alias : undefined
    for (const own of alias === undefined ? [entry.flag] : [entry.flag, alias]) {
      for (const name of hasFile ? [own, `${own}-file`] : [own]) {
        const flags = table.get(name) ?? []
        const first = flags[0]
        if (first && isBooleanFlag(first.entry) !== isBooleanFlag(entry)) {
          throw new TypeError(`--${name} takes a value in one command and none in another`)
        }
        table.set(name, [...flags, { entry, isPath: name !== own }])
      }
    }
  }
  return table
}

/**
 * Reads the pieces of a command line.
 *
 * @param foreign - flags of another program
 */
export function readTokens(
  flags: ReadonlyMap<string, readonly Flag[]>,
  argv: readonly string[],
  foreign: ForeignFlags = { aliases: {}, refused: {} },
): Tokens {
  const { aliases, refused, ignored = {} } = foreign
  const options = parserOptions(flags, foreign)
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const result: Tokens = { uses: [], words: [], rest: [], terminated: false, problems: [] }
  let unknownAt = -2
  for (const token of tokens) {
    if (token.kind === 'option-terminator') result.terminated = true
    else if (token.kind === 'positional') {
      if (result.terminated) result.rest.push(token.value)
      // What follows an unknown flag is most likely its value; it may be a secret, so it is not shown.
      else if (token.index !== unknownAt + 1) result.words.push(token.value)
    } else {
      const { rawName: shown, inlineValue } = token
      let { value } = token
      const without = ofOwn(ignored, token.name)
      if (without !== undefined && !flags.has(token.name)) {
        const missing = value === undefined && !without.isBoolean
        if (missing) result.problems.push(flagValue(shown, 'needs a value'))
        else if (without.isEmpty?.(value ?? 'true') !== true) {
          result.problems.push(pikoWarning(`the flag ${shown} has no effect: ${without.reason}`))
        }
        continue
      }
      const alias = ofOwn(aliases, token.name)
      const name = alias ?? token.name
      if (alias !== undefined) {
        const note = ofOwn(foreign.notes ?? {}, token.name)
        if (note !== undefined) result.problems.push(pikoWarning(`the flag ${shown}: ${note}`))
        if (value !== undefined) value = foreign.convert?.(token.name, value) ?? value
      }
      const negated = !flags.has(name) && Object.hasOwn(options, name)
      const flag = negated ? name.replace(/^no-/, '') : name
      if (!flags.has(flag)) {
        unknownAt = inlineValue ? -2 : token.index
        const reason = Object.hasOwn(refused, name) ? refused[name] : undefined
        result.problems.push(unknownFlag(shown, reason, flags.keys()))
      } else if (negated && value !== undefined) {
        result.problems.push(flagValue(shown, 'takes no value'))
      } else if (options[flag]?.type === 'boolean') {
        result.uses.push({ flag, shown, text: negated ? 'false' : (value ?? 'true') })
      } else if (value === undefined) result.problems.push(flagValue(shown, 'needs a value'))
      else if (!inlineValue && /^-(?![0-9.])./.test(value)) {
        const hint = `write ${shown}=VALUE for a value that begins with -`
        result.problems.push({ ...flagValue(shown, 'needs a value'), hint })
      } else result.uses.push({ flag, shown, text: value })
    }
  }
  return result
}

interface ParserOption {
  type: 'string' | 'boolean'
  short?: string
}

function ofOwn<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

function pikoWarning(message: string): Problem {
  return { code: 'CONFIG_PIKO_DIFFERENT', severity: 'warning', message }
}

function parserOptions(
  flags: ReadonlyMap<string, readonly Flag[]>,
  { aliases, ignored = {} }: ForeignFlags,
): Record<string, ParserOption> {
  const options: Record<string, ParserOption> = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'V' },
    all: { type: 'boolean' },
  }
  for (const [name, [first]] of flags) {
    if (!first) continue
    const { node } = first.entry
    const short = node.kind === 'setting' && !first.isPath ? node.options.short : undefined
    const type = isBooleanFlag(first.entry) ? 'boolean' : 'string'
    options[name] = short === undefined ? { type } : { type, short }
    if (type === 'boolean' && !flags.has(`no-${name}`)) options[`no-${name}`] = { type }
  }
  for (const [alias, name] of Object.entries(aliases)) {
    options[alias] ??= { type: options[name]?.type ?? 'string' }
  }
  for (const [name, { isBoolean }] of Object.entries(ignored)) {
    options[name] ??= { type: isBoolean ? 'boolean' : 'string' }
  }
  return options
}

function isBooleanFlag({ node }: SettingEntry): boolean {
  return node.kind === 'setting' && node.type.kind === 'scalar' && node.type.isBoolean === true
}

function unknownFlag(shown: string, reason: string | undefined, known: Iterable<string>): Problem {
  if (reason !== undefined) {
    const message = `the flag ${shown} of Piko has no counterpart: ${reason}`
    return { code: 'CONFIG_PIKO_UNSUPPORTED', severity: 'error', message }
  }
  const meant = nearest(shown.replace(/^-+/, ''), known)
  // A number below zero, or a word of another program: parseArgs takes each letter for a flag.
  const hint =
    meant !== undefined
      ? `did you mean --${meant}?`
      : shown.startsWith('--')
        ? undefined
        : 'write -- before arguments that begin with -'
  return {
    code: 'CONFIG_FLAG_UNKNOWN',
    severity: 'error',
    message: `unknown flag ${shown}`,
    ...(hint === undefined ? {} : { hint }),
  }
}

function flagValue(shown: string, what: string): Problem {
  return { code: 'CONFIG_FLAG_VALUE', severity: 'error', message: `the flag ${shown} ${what}` }
}
