import type { SettingsInfo } from '../definition/define-settings.ts'
import {
  defaultTexts,
  entriesOf,
  isSecret,
  type SettingEntry,
} from '../definition/setting-entry.ts'

/**
 * Writes the reference page of settings in Markdown: a table per group with key, flag, variable,
 * default, allowed values and description. The page holds no date, so that it changes only when the
 * settings do.
 *
 * @param title - heading of the page
 */
export function formatReference(settings: SettingsInfo, title: string): string {
  const groups = new Map<string, SettingEntry[]>([['', []]])
  const lists: SettingEntry[] = []
  for (const entry of settings.entries) {
    if (entry.node.kind === 'objects') {
      lists.push(entry)
      continue
    }
    const group = entry.key.split('.').slice(0, -1)[0] ?? ''
    groups.set(group, [...(groups.get(group) ?? []), entry])
  }
  const parts = [`# ${title}`, intro(settings.envPrefix)]
  for (const [group, entries] of groups) {
    if (group !== '') parts.push(`## ${group}`)
    const description = settings.groups[group]
    if (description !== undefined) parts.push(description)
    if (entries.length > 0) parts.push(table(entries))
  }
  for (const { key, flag, variable, node } of lists) {
    if (node.kind !== 'objects') continue
    const reload =
      node.options.reload === 'live' ? 'Changes take effect in the running process.' : ''
    parts.push(`## ${key}`, `${node.options.description} ${reload}`.trim())
    if (flag !== undefined && variable !== undefined) {
      parts.push(`As JSON: \`--${flag} '[{"key":"value"}]'\`, variable \`${variable}\`.`)
    }
    parts.push(table(entriesOf(node.item, undefined)))
  }
  return `${parts.join('\n\n')}\n`
}

function intro(envPrefix: string): string {
  return [
    'A value is looked for on the command line, then in the environment, then in the files, the last',
    'file first, and is the default otherwise. The flag of `group.some_key` is `--group.some-key`, its',
    `variable \`${envPrefix}_GROUP_SOME_KEY\`. Values in files may hold \`\${NAME}\` and`,
    '`${NAME:-text}`; `$$` is a dollar sign. Settings marked *live* change in the running process when',
    'a file does, the others need a restart.',
  ].join('\n')
}

function table(entries: readonly SettingEntry[]): string {
  const rows = entries.flatMap((entry) => {
    const { key, node } = entry
    if (node.kind === 'objects') {
      return [row(`\`${key}[]\``, '', 'a list of objects', node.options.description)]
    }
    const type = node.type.kind === 'list' ? node.type.item : node.type
    const allowed = node.type.kind === 'list' ? `a list; each ${type.allowed}` : type.allowed
    const given = defaultTexts(node).join(', ')
    const marks = [
      ...(node.options.required ? ['*required*'] : []),
      ...(given === '' ? [] : [`\`${given}\``]),
    ]
    const live = node.options.reload === 'live' ? ' *live*' : ''
    const name = isSecret(node) ? `\`${key}\`, \`${key}_file\`` : `\`${key}\``
    const { variable } = node.options
    const named = variable === undefined ? '' : ` Variable: \`${variable}\`.`
    return [row(name, marks.join(' '), allowed, `${node.options.description}${named}${live}`)]
  })
  return [
    row('Key', 'Default', 'Allowed', 'What it does'),
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
}
