/**
 * The commands of a program: arguments by position, flags of their own, and which settings they
 * use. Parsing, help and completions are made from this one definition.
 */
import type { Setting, SettingEntry, SettingsInfo } from '@proj/config'
import { entriesOf, isSecret } from '@proj/config/layers'

import { type Argument, type Command, usesSetting } from './command.ts'

/** What {@link defineCommands} takes. */
export interface CommandsDefinition<
  Commands extends Readonly<Record<string, Command>>,
  Globals extends Readonly<Record<string, Setting<unknown>>>,
> {
  /** Name of the program on the command line. */
  readonly program: string
  /** What the program does, one sentence. */
  readonly description: string
  /** Settings whose flags the commands take. */
  readonly settings: SettingsInfo
  /** Flags that every command takes and no file has, by camelCase name. */
  readonly globals: Globals
  /** Commands by name; a name of several words, such as `config show`, is typed as such. */
  readonly commands: Commands
  /** Command when none is typed. @default none: help is shown */
  readonly defaultCommand?: keyof Commands & string
  /** Command lines to show first in help. */
  readonly examples?: readonly string[]
}

/** What parsing and printing need to know of commands, whatever their arguments are. */
export interface CommandsInfo {
  /** Name of the program on the command line. */
  readonly program: string
  /** What the program does, one sentence. */
  readonly description: string
  /** Settings whose flags the commands take. */
  readonly settings: SettingsInfo
  /** By name, as typed: `access`, `config check`. */
  readonly commands: Readonly<Record<string, Command>>
  /** Command when none is typed. */
  readonly defaultCommand?: string
  /** Command lines to show first in help. */
  readonly examples?: readonly string[]
  /** The global flags with their names. */
  readonly globalEntries: readonly SettingEntry[]
  /** The flags of each command with their names; no variables belong to them. */
  readonly commandEntries: ReadonlyMap<string, readonly SettingEntry[]>
}

/** Commands ready for parsing and printing; made by {@link defineCommands}. */
export interface Commands<
  List extends Readonly<Record<string, Command>>,
  Globals extends Readonly<Record<string, Setting<unknown>>>,
> extends CommandsInfo {
  /** By name, as typed: `access`, `config check`. */
  readonly commands: List
  /** Flags that every command takes. */
  readonly globals: Globals
}

/**
 * Defines the commands of a program.
 *
 * @throws {TypeError} when two flags that can meet have one name, or the order of arguments leaves
 *   a doubt
 */
export function defineCommands<
  const List extends Readonly<Record<string, Command>>,
  const Globals extends Readonly<Record<string, Setting<unknown>>>,
>(definition: CommandsDefinition<List, Globals>): Commands<List, Globals> {
  const { program, settings, globals, commands } = definition
  const globalEntries = entriesOf(globals, settings.envPrefix)
  const everywhere = new Set(['help', 'version', 'all'])
  for (const entry of [...globalEntries, ...settings.entries]) {
    for (const flag of namesOf(entry)) {
      if (everywhere.has(flag)) throw new TypeError(`two flags are called --${flag}`)
      everywhere.add(flag)
    }
  }
  refuseSecrets(program, globalEntries)
  const commandEntries = new Map<string, readonly SettingEntry[]>()
  for (const [name, command] of Object.entries(commands)) {
    const { args = {}, flags = {} } = command
    // Flags of settings that the command does not use cannot meet its own.
    const unused = new Set(
      settings.entries.filter((entry) => !usesSetting(command, entry)).flatMap(namesOf),
    )
    const entries = entriesOf(flags, settings.envPrefix).map((entry) => ({
      ...entry,
      variable: undefined,
    }))
    for (const { flag = '' } of entries) {
      if (everywhere.has(flag) && !unused.has(flag)) {
        throw new TypeError(`${name}: --${flag} is the flag of a setting`)
      }
    }
    checkArguments(name, Object.values(args))
    refuseSecrets(name, entries)
    commandEntries.set(name, entries)
  }
  return { ...definition, globalEntries, commandEntries }
}

/** Names of a flag: its own, and the shorter one where there is one. */
function namesOf({ flag, node }: SettingEntry): string[] {
  const alias = node.kind === 'setting' ? node.options.alias : undefined
  return [flag, alias].flatMap((name) => (name === undefined ? [] : [name]))
}

/** Reading a command line reads no files, so it could not read the file of a secret. */
function refuseSecrets(owner: string, entries: readonly SettingEntry[]): void {
  for (const { flag, node } of entries) {
    if (node.kind === 'setting' && isSecret(node)) {
      throw new TypeError(`${owner}: --${flag} is a secret, which only a setting can be`)
    }
  }
}

function checkArguments(command: string, args: readonly Argument<unknown>[]): void {
  for (const [index, { type, options }] of args.entries()) {
    const next = args[index + 1]
    if (next && (type.kind === 'list' || (options.optional && !next.options.optional))) {
      throw new TypeError(`${command}: only the last arguments may be optional or a list`)
    }
  }
}
