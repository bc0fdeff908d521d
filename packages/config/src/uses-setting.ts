import type { Command } from './command.ts'
import type { SettingEntry } from './setting-entry.ts'

/** Tells whether a command takes the flags of a setting. */
export function usesSetting(command: Command, { key }: SettingEntry): boolean {
  return (
    command.settings === undefined ||
    command.settings.some((start) => key === start || key.startsWith(`${start}.`))
  )
}
