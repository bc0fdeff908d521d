import type { SettingEntry, SettingsInfo } from '@proj/config'

import { type Argument, type Command, usesSetting } from './command.ts'
import type { CommandsInfo } from './define-commands.ts'
import { describeFlags, type FlagDescription } from './flag-description.ts'

/** Narrowest text that is still readable. */
const MIN_COLUMNS = 40

/** Widest text that is still readable. */
const MAX_COLUMNS = 100

/** Options of {@link formatHelp}. */
export interface HelpOptions {
  /** Name of a command, or the first word of several; undefined for the program. */
  readonly topic?: string | undefined
  /** Whether the flags of all settings are shown, and not only those that have a shorter name. @default false */
  readonly all?: boolean
  /** Width of the terminal, kept between 40 and 100. @default 80 */
  readonly columns?: number
}

/** Writes the help of a program or one of its commands. Ends with a newline. */
export function formatHelp(commands: CommandsInfo, options: HelpOptions = {}): string {
  const columns = Math.min(Math.max(options.columns ?? 80, MIN_COLUMNS), MAX_COLUMNS)
  const { topic, all = false } = options
  const command = topic === undefined ? undefined : commands.commands[topic]
  const lines =
    topic !== undefined && command
      ? commandHelp(commands, topic, command, { columns, all })
      : programHelp(commands, topic, columns)
  return `${lines.join('\n')}\n`
}

function programHelp(commands: CommandsInfo, group: string | undefined, columns: number): string[] {
  const { program, description, examples = [], globalEntries } = commands
  const all = Object.entries(commands.commands)
  const inGroup = all.filter(([name]) => name.startsWith(`${group} `))
  const shown = inGroup.length > 0 ? inGroup : all
  return [
    ...wrap(description, 0, columns),
    '',
    'Usage:',
    `  ${program} <command> [flags]`,
    ...section(
      'Examples',
      examples.map((example) => `  ${example}`),
    ),
    ...section(
      'Commands',
      shown.flatMap(([name, command]) => [
        `  ${commandUsage(name, command)}`,
        ...wrap(command.description, 8, columns),
      ]),
    ),
    ...section('Flags', flagLines(globalEntries, columns)),
    '',
    ...wrap(`Every command and its flags: ${program} help <command>`, 0, columns),
  ]
}

function commandHelp(
  commands: CommandsInfo,
  name: string,
  command: Command,
  { columns, all }: { readonly columns: number; readonly all: boolean },
): string[] {
  const { program, settings, globalEntries } = commands
  const own = commands.commandEntries.get(name) ?? []
  const used = settings.entries.filter((entry) => usesSetting(command, entry))
  const groups = new Map<string, SettingEntry[]>()
  for (const entry of used) {
    const group = entry.key.includes('.') ? (entry.key.split('.')[0] ?? '') : ''
    groups.set(group, [...(groups.get(group) ?? []), entry])
  }
  return [
    ...wrap(command.description, 0, columns),
    '',
    'Usage:',
    `  ${program} ${commandUsage(name, command)} [flags]${command.passthrough ? ' -- ...' : ''}`,
    ...section(
      'Examples',
      (command.examples ?? []).map((example) => `  ${example}`),
    ),
    ...section(
      'Arguments',
      Object.entries(command.args ?? {}).flatMap(([argument, { type, options }]) => [
        `  ${argumentName(argument, { type, options })}`,
        ...wrap(argumentText({ type, options }), 8, columns),
      ]),
    ),
    ...section('Flags', flagLines(all ? own : [...own, ...used.filter(isShown)], columns)),
    ...(all
      ? [...groups].flatMap(([group, entries]) =>
          section(groupTitle(group, settings.groups[group]), flagLines(entries, columns)),
        )
      : section(
          'Settings',
          [...groups].flatMap(([group, entries]) => groupLines(group, entries, settings, columns)),
        )),
    ...section('Flags of every command', flagLines(globalEntries, columns)),
    ...(all || used.length === 0
      ? []
      : ['', ...wrap(`The flags of all settings: ${program} ${name} --help --all`, 0, columns)]),
  ]
}

/** Whether the flag of a setting is among those that are shown first. */
function isShown({ node }: SettingEntry): boolean {
  return node.kind === 'setting' && node.options.alias !== undefined
}

/** Says that there are flags: their common start, and what they are for. */
function groupLines(
  group: string,
  entries: readonly SettingEntry[],
  settings: SettingsInfo,
  columns: number,
): string[] {
  if (group === '') {
    const names = entries.flatMap(({ flag }) => (flag === undefined ? [] : [`--${flag}`]))
    return wrap(names.join(', '), 2, columns)
  }
  const description = settings.groups[group]
  const title = `  --${group.replaceAll('_', '-')}.* (${entries.length})`
  return description === undefined ? [title] : [title, ...wrap(description, 8, columns)]
}

function groupTitle(group: string, description: string | undefined): string {
  if (group === '') return 'Settings'
  return description === undefined ? `Settings of ${group}` : `${group}: ${description}`
}

/** A command as it is typed: its name and arguments. */
export function commandUsage(name: string, command: Command): string {
  const args = Object.entries(command.args ?? {}).map(([argument, definition]) =>
    argumentName(argument, definition),
  )
  return [name, ...args].join(' ')
}

/** An argument as help shows it: `<name>`, `[<name>]`, `<name>...`. */
export function argumentName(name: string, { type, options }: Argument<unknown>): string {
  const text = `<${name}>${type.kind === 'list' ? '...' : ''}`
  return options.optional ? `[${text}]` : text
}

/** What an argument stands for, with its values where there are only so many. */
export function argumentText({ type, options }: Argument<unknown>): string {
  const { choices } = type.kind === 'list' ? type.item : type
  return choices ? `${options.description} (${choices.join('|')})` : options.description
}

function flagLines(entries: readonly SettingEntry[], columns: number): string[] {
  return entries
    .flatMap(describeFlags)
    .filter(({ hidden }) => !hidden)
    .flatMap((flag) => [`  ${flagNames(flag)}`, ...wrap(flagText(flag), 8, columns)])
}

/** A flag with all its names and its value: `-c, --config <path>`. */
export function flagNames({ flag, alias, short, value }: FlagDescription): string {
  const names = [
    ...(short === undefined ? [] : [`-${short}`]),
    ...(alias === undefined ? [] : [`--${alias}`]),
    `--${flag}`,
  ].join(', ')
  return value === undefined ? names : `${names} ${value}`
}

/** What a flag does, with what is known about its value. */
export function flagText({ description, notes }: FlagDescription): string {
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title.endsWith('.') ? title : `${title}:`, ...lines]
}

function wrap(text: string, indent: number, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent + line.length + 1 + word.length > columns) {
      lines.push(' '.repeat(indent) + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, ' '.repeat(indent) + line]
}
