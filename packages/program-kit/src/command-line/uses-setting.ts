import type { SettingEntry } from '@proj/config'

import type { Command } from './command.ts'

/** Tells whether a command takes the flags of a setting. */
export function usesSetting(command: Command, { key }: SettingEntry): boolean {
  return (
    command.settings === undefined ||
    command.settings.some((start) => key === start || key.startsWith(`${start}.`))
  )
}
