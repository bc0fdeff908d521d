/** Manual pages of a program, from the definitions that help and the reference page are made from. */
import {
  describeSettings,
  type SettingDescription,
  type SettingEntry,
  type SettingGroup,
  settingsIntro,
} from '@proj/config/layers'

import { EXIT, EXIT_MEANINGS } from '../process/exit-code.ts'
import { argumentName, argumentText, commandUsage, flagNames, flagText } from './format-help.ts'
import type { Command } from './command.ts'
import type { CommandsInfo } from './define-commands.ts'
import { describeFlags } from './flag-description.ts'
import { bold, escapeRoff, fromMarkdown, heading, item, pageTitle, typed } from './roff.ts'

/** Section of the manual: commands or files. */
export type ManualSection = '1' | '5'

/** What the pages of a program name. */
export interface ManualOptions {
  /** Program and version, `adit/1.2.3`. */
  readonly software: string
  /** Name of the configuration file, `adit.yaml`, which is that of its page. */
  readonly file: string
  /** Paths at which the file is looked for, the first that exists is read. */
  readonly places: readonly string[]
}

/** Writes a manual page: `1` of the program, `5` of its configuration file. */
export function formatManual(
  commands: CommandsInfo,
  section: ManualSection,
  options: ManualOptions,
): string {
  const lines = section === '1' ? programPage(commands, options) : filePage(commands, options)
  return `${lines.join('\n')}\n`
}

function programPage(commands: CommandsInfo, options: ManualOptions): string[] {
  const { program, description, examples = [] } = commands
  return [
    ...pageTitle(program, 1, titleOf(options)),
    heading('NAME'),
    nameLine(program, description),
    heading('SYNOPSIS'),
    `${bold(program)} \\fIcommand\\fR [\\fIflags\\fR]`,
    heading('DESCRIPTION'),
    escapeRoff(description),
    ...(commands.defaultCommand === undefined
      ? []
      : [`Without a command it is ${bold(`${program} ${commands.defaultCommand}`)}.`]),
    ...(examples.length === 0 ? [] : [heading('EXAMPLES'), ...typed(examples)]),
    heading('COMMANDS'),
    ...Object.entries(commands.commands).flatMap(([name, command]) =>
      commandLines(commands, name, command, options),
    ),
    heading('FLAGS OF EVERY COMMAND'),
    ...flagItems(commands.globalEntries),
    heading('EXIT STATUS'),
    ...Object.entries(EXIT_MEANINGS).flatMap(([name, meaning]) =>
      item(bold(String(EXIT[name as keyof typeof EXIT])), escapeRoff(`${meaning}.`)),
    ),
    ...filesSection(options),
    heading('SEE ALSO'),
    `${bold(options.file)}(5)`,
  ]
}

function commandLines(
  commands: CommandsInfo,
  name: string,
  command: Command,
  { file }: ManualOptions,
): string[] {
  const { args = {}, examples = [], passthrough, settings } = command
  const line = `${commandUsage(name, command)}${passthrough ? ' [flags] -- ...' : ''}`
  return [
    heading(line, 2),
    escapeRoff(command.description),
    ...Object.entries(args).flatMap(([argument, definition]) =>
      item(bold(argumentName(argument, definition)), escapeRoff(argumentText(definition))),
    ),
    ...flagItems(commands.commandEntries.get(name) ?? []),
    ...(settings?.length === 0
      ? []
      : ['.P', `Settings: ${escapeRoff(settings?.join(', ') ?? 'all')}; see ${bold(file)}(5).`]),
    ...(examples.length === 0 ? [] : ['.P', ...typed(examples)]),
  ]
}

function flagItems(entries: readonly SettingEntry[]): string[] {
  return entries
    .flatMap(describeFlags)
    .filter(({ hidden }) => !hidden)
    .flatMap((flag) => item(bold(flagNames(flag)), escapeRoff(flagText(flag))))
}

function filePage(commands: CommandsInfo, options: ManualOptions): string[] {
  const { program, settings } = commands
  return [
    ...pageTitle(options.file, 5, titleOf(options)),
    heading('NAME'),
    nameLine(options.file, `Configuration of ${program}.`),
    heading('DESCRIPTION'),
    fromMarkdown(settingsIntro(settings.envPrefix)),
    '.P',
    `${bold(`${program} config init`)} writes a file in which every setting is a comment,`,
    `${bold(`${program} config check`)} lists every mistake.`,
    ...describeSettings(settings).flatMap(groupLines),
    ...filesSection(options),
    heading('SEE ALSO'),
    `${bold(program)}(1)`,
  ]
}

function groupLines({ name, description, asJson, settings }: SettingGroup): string[] {
  if (settings.length === 0 && description === undefined) return []
  return [
    heading(name === '' ? 'SETTINGS WITHOUT A GROUP' : name),
    ...(description === undefined ? [] : [escapeRoff(description)]),
    ...(asJson === undefined
      ? []
      : [
          '.P',
          `As JSON: ${bold(`--${asJson.flag} '[{"key":"value"}]'`)}, variable ${bold(asJson.variable)}.`,
        ]),
    ...settings.flatMap(settingItem),
  ]
}

function settingItem(setting: SettingDescription): string[] {
  const { keys, alias, ownVariable, defaultText, required, allowed, description, live } = setting
  return item(
    keys.map(bold).join(', '),
    escapeRoff(description),
    `Allowed: ${escapeRoff(allowed)}.`,
    ...(defaultText === '' ? [] : [`Default: ${escapeRoff(defaultText)}`]),
    ...(required ? ['Required.'] : []),
    ...(alias === undefined ? [] : [`Short flag: ${bold(`--${alias}`)}`]),
    ...(ownVariable === undefined ? [] : [`Variable: ${bold(ownVariable)}`]),
    ...(live ? ['\\fIlive\\fR'] : []),
  )
}

function filesSection({ places }: ManualOptions): string[] {
  return [
    heading('FILES'),
    'The first of these that exists is read when no file is named:',
    ...places.flatMap((place) => ['.br', bold(place)]),
  ]
}

function titleOf({ software }: ManualOptions): { source: string; manual: string } {
  return { source: software.replace('/', ' '), manual: 'Adit' }
}

/** The line that whatis(1) reads: a name, a dash, a phrase. */
function nameLine(name: string, sentence: string): string {
  const phrase = sentence.replace(/\.$/, '')
  return `${escapeRoff(name)} \\- ${escapeRoff(phrase.charAt(0).toLowerCase() + phrase.slice(1))}`
}
