import type { SettingsInfo } from '../definition/define-settings.ts'
import {
  defaultTexts,
  entriesOf,
  isSecret,
  type SettingEntry,
} from '../definition/setting-entry.ts'

/** A setting as a page of documentation shows it. */
export interface SettingDescription {
  /** Its key in files; of a secret also the key of the file that holds it. */
  readonly keys: readonly string[]
  /** Flag without dashes; undefined inside a list of objects. */
  readonly flag: string | undefined
  /** The shorter name of the flag, or undefined. */
  readonly alias: string | undefined
  /** Environment variable that does not follow from the key, or undefined. */
  readonly ownVariable: string | undefined
  /** Its default as text; empty: none. */
  readonly defaultText: string
  /** Whether it has to be given. */
  readonly required: boolean
  /** What its value may be. */
  readonly allowed: string
  /** What it does. */
  readonly description: string
  /** Whether a change of a file takes effect in the running process. */
  readonly live: boolean
}

/** The settings under one heading of a page. */
export interface SettingGroup {
  /** First part of their keys, or the key of a list of objects; empty: settings without a group. */
  readonly name: string
  /** What they are for, or undefined. */
  readonly description: string | undefined
  /** Flag and variable that take a list of objects as JSON; undefined: this is no list. */
  readonly asJson: { readonly flag: string; readonly variable: string } | undefined
  /** Whether the settings are those of each object in a list. */
  readonly isList: boolean
  /** In the order of the definition. */
  readonly settings: readonly SettingDescription[]
}

/** Describes all settings, in the order and groups of a page: the lists of objects come last. */
export function describeSettings(settings: SettingsInfo): readonly SettingGroup[] {
  const groups = new Map<string, SettingEntry[]>([['', []]])
  const lists: SettingGroup[] = []
  for (const entry of settings.entries) {
    const { key, flag, variable, node } = entry
    if (node.kind === 'objects') {
      const { description, reload } = node.options
      const live = reload === 'live' ? ' Changes take effect in the running process.' : ''
      lists.push({
        name: key,
        description: `${description}${live}`,
        asJson: flag === undefined || variable === undefined ? undefined : { flag, variable },
        isList: true,
        settings: entriesOf(node.item, undefined).map(describe),
      })
      continue
    }
    const group = key.split('.').slice(0, -1)[0] ?? ''
    groups.set(group, [...(groups.get(group) ?? []), entry])
  }
  const tables = [...groups].map(([name, entries]) => ({
    name,
    description: settings.groups[name],
    asJson: undefined,
    isList: false,
    settings: entries.map(describe),
  }))
  return [...tables, ...lists]
}

/** How the flag and the variable of a setting follow from its key, and which source goes first. */
export function settingsIntro(envPrefix: string): string {
  return [
    'A value is looked for on the command line, then in the environment, then in the files, the last',
    'file first, and is the default otherwise. The flag of `group.some_key` is `--group.some-key`, its',
    `variable \`${envPrefix}_GROUP_SOME_KEY\`. Values in files may hold \`\${NAME}\` and`,
    '`${NAME:-text}`; `$$` is a dollar sign. Settings marked *live* change in the running process when',
    'a file does, the others need a restart.',
  ].join('\n')
}

function describe({ key, flag, node }: SettingEntry): SettingDescription {
  if (node.kind === 'objects') {
    const { description } = node.options
    return {
      keys: [`${key}[]`],
      flag,
      alias: undefined,
      ownVariable: undefined,
      defaultText: '',
      required: false,
      allowed: 'a list of objects',
      description,
      live: false,
    }
  }
  const type = node.type.kind === 'list' ? node.type.item : node.type
  const { required = false, description, reload, variable, alias } = node.options
  return {
    keys: isSecret(node) ? [key, `${key}_file`] : [key],
    flag,
    alias,
    ownVariable: variable,
    defaultText: defaultTexts(node).join(', '),
    required,
    allowed: node.type.kind === 'list' ? `a list; each ${type.allowed}` : type.allowed,
    description,
    live: reload === 'live',
  }
}
