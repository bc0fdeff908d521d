import {
  type Environment,
  type Layer,
  type Problem,
  type Resolved,
  type Setting,
  type SettingsTree,
  hasErrors,
} from '@proj/config'
import { environmentLayer, nearest, quote, resolveSettings } from '@proj/config/layers'

import { flagTable, type ForeignFlags, readTokens } from './command-tokens.ts'
import { type Argument, type Command, usesSetting } from './command.ts'
import type { Commands } from './define-commands.ts'
import { sortFlags } from './flag-layers.ts'
import { resolveArguments } from './resolve-arguments.ts'

/** Problems after which it is unclear which words are arguments. */
const GUESSING: ReadonlySet<string> = new Set(['CONFIG_FLAG_UNKNOWN', 'CONFIG_PIKO_UNSUPPORTED'])

/** The surroundings of a command line. */
export interface CommandLineOptions {
  /** Arguments without interpreter and script, `process.argv.slice(2)`. */
  readonly argv: readonly string[]
  /** Environment variables, for the global flags. */
  readonly env: Environment
  /** Absolute directory that relative paths start from. */
  readonly cwd: string
  /** Flags of another program, renamed or refused with a reason. @default none */
  readonly foreignFlags?: ForeignFlags
}

/** The command that was typed, with its arguments and flags. */
export type ParsedCommand<List extends Readonly<Record<string, Command>>> = {
  readonly [Name in keyof List]: {
    /** Name of the command. */
    readonly name: Name
    /** Values of the arguments. */
    readonly args: ResolvedArguments<List[Name]['args']>
    /** Values of the flags that only this command has. */
    readonly flags: List[Name]['flags'] extends SettingsTree
      ? Resolved<List[Name]['flags']>
      : object
  }
}[keyof List]

/** What a command line says. */
export type ParsedCommandLine<
  List extends Readonly<Record<string, Command>>,
  Globals extends Readonly<Record<string, Setting<unknown>>>,
> =
  | {
      /** The command line can be run. */
      readonly kind: 'command'
      readonly command: ParsedCommand<List>
      /** Values of the flags that every command takes. */
      readonly globals: Resolved<Globals>
      /** Values of settings, for `loadSettings`. */
      readonly settings: Layer
      /** What followed `--`. */
      readonly rest: readonly string[]
      readonly problems: readonly Problem[]
    }
  /** Help was asked for; `topic` is the command it is asked about. */
  | {
      readonly kind: 'help'
      readonly topic: string | undefined
      /** Whether the flags of all settings are asked for. */
      readonly all: boolean
    }
  /** The version was asked for, as JSON or as text. */
  | { readonly kind: 'version'; readonly json: boolean }
  /** The command line is wrong. */
  | {
      readonly kind: 'error'
      readonly topic: string | undefined
      readonly problems: readonly Problem[]
    }

type ResolvedArguments<Args> =
  Args extends Readonly<Record<string, Argument<unknown>>>
    ? { readonly [Name in keyof Args]: Args[Name] extends Argument<infer T> ? T : never }
    : object

/** Reads a command line; mistakes are returned, not thrown. */
export function parseCommandLine<
  List extends Readonly<Record<string, Command>>,
  Globals extends Readonly<Record<string, Setting<unknown>>>,
>(
  definition: Commands<List, Globals>,
  options: CommandLineOptions,
): ParsedCommandLine<List, Globals> {
  const flags = flagTable([
    ...definition.globalEntries,
    ...definition.settings.entries,
    ...[...definition.commandEntries.values()].flat(),
  ])
  const { uses, words, rest, terminated, problems } = readTokens(
    flags,
    options.argv,
    options.foreignFlags,
  )
  const wanted = words[0] === 'help' ? words.slice(1) : words
  const name = matchCommand(definition.commands, wanted)
  const asked = uses.some(({ flag }) => flag === 'help') || words[0] === 'help'
  const all = uses.some(({ flag }) => flag === 'all')
  if (asked) return { kind: 'help', topic: name ?? wanted[0], all }
  if (uses.some(({ flag }) => flag === 'version')) {
    return { kind: 'version', json: uses.some(({ flag }) => flag === 'json') }
  }

  const chosen = name ?? (words.length === 0 ? definition.defaultCommand : undefined)
  const command = chosen === undefined ? undefined : definition.commands[chosen]
  if (chosen === undefined || command === undefined) {
    if (words.length === 0 && problems.length === 0) return { kind: 'help', topic: undefined, all }
    if (words[0] !== undefined) problems.push(unknownCommand(words, definition.commands))
    return { kind: 'error', topic: undefined, problems }
  }
  const { cwd } = options
  const given = name === undefined ? [] : words.slice(name.split(' ').length)
  if (terminated && !command.passthrough) given.push(...rest.splice(0))

  const own = definition.commandEntries.get(chosen) ?? []
  const owners = {
    command: chosen,
    globals: definition.globalEntries,
    own,
    settings: definition.settings.entries.filter((entry) => usesSetting(command, entry)),
  }
  const layers = sortFlags(uses, flags, owners, cwd)
  const environment = environmentLayer(definition.globalEntries, options.env, undefined, cwd)
  const resolveOptions = { baseDir: cwd, secrets: new Map() }
  const globals = resolveSettings(owners.globals, [environment, layers.globals], resolveOptions)
  const ownFlags = resolveSettings(own, [layers.command], resolveOptions)
  const args = resolveArguments(command.args ?? {}, given, cwd)
  problems.push(...layers.problems)
  for (const { key: _key, ...problem } of [...globals.problems, ...ownFlags.problems]) {
    problems.push(problem)
  }
  // An unknown flag may have taken an argument along; what is missing then is a guess.
  const guessing = problems.some(({ code }) => GUESSING.has(code))
  if (!guessing) problems.push(...args.problems)
  if (hasErrors(problems)) return { kind: 'error', topic: chosen, problems }
  return {
    kind: 'command',
    command: { name: chosen, args: args.values, flags: ownFlags.settings } as ParsedCommand<List>,
    globals: globals.settings as Resolved<Globals>,
    settings: layers.settings,
    rest,
    problems,
  }
}

/** The command whose name is the longest start of the words. */
function matchCommand(
  commands: Readonly<Record<string, Command>>,
  words: readonly string[],
): string | undefined {
  const names = words.map((_, index) => words.slice(0, index + 1).join(' '))
  return names.findLast((name) => Object.hasOwn(commands, name))
}

function unknownCommand(
  words: readonly string[],
  commands: Readonly<Record<string, Command>>,
): Problem {
  const names = Object.keys(commands)
  const typed = words.slice(0, 2).join(' ')
  const group = names.filter((name) => name.startsWith(`${words[0]} `))
  const meant = nearest(typed, names) ?? nearest(words[0] ?? '', names)
  return {
    code: 'CONFIG_COMMAND_UNKNOWN',
    severity: 'error',
    message:
      group.length > 0 && words.length === 1
        ? `the command ${typed} is not complete`
        : `unknown command ${quote(group.length > 0 ? typed : (words[0] ?? ''))}`,
    allowed: (group.length > 0 ? group : names).join(', '),
    ...(meant === undefined ? {} : { hint: `did you mean ${meant}?` }),
  }
}
