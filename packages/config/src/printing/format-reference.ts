import type { SettingsInfo } from '../definition/define-settings.ts'
import { describeSettings, type SettingDescription, settingsIntro } from './describe-settings.ts'

/**
 * Writes the reference page of settings in Markdown: a table per group with key, flag, variable,
 * default, allowed values and description. The page holds no date, so that it changes only when the
 * settings do.
 *
 * @param title - heading of the page
 */
export function formatReference(settings: SettingsInfo, title: string): string {
  const parts = [`# ${title}`, settingsIntro(settings.envPrefix)]
  for (const { name, description, asJson, isList, settings: rows } of describeSettings(settings)) {
    if (name !== '') parts.push(`## ${name}`)
    if (description !== undefined) parts.push(description)
    if (asJson !== undefined) {
      const { flag, variable } = asJson
      parts.push(`As JSON: \`--${flag} '[{"key":"value"}]'\`, variable \`${variable}\`.`)
    }
    if (isList || rows.length > 0) parts.push(table(rows))
  }
  return `${parts.join('\n\n')}\n`
}

function table(settings: readonly SettingDescription[]): string {
  const rows = settings.map((setting) => {
    const { keys, defaultText, required, allowed, description, ownVariable, live } = setting
    const marks = [
      ...(required ? ['*required*'] : []),
      ...(defaultText === '' ? [] : [`\`${defaultText}\``]),
    ]
    const named = ownVariable === undefined ? '' : ` Variable: \`${ownVariable}\`.`
    return row(
      keys.map((key) => `\`${key}\``).join(', '),
      marks.join(' '),
      allowed,
      `${description}${named}${live ? ' *live*' : ''}`,
    )
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
