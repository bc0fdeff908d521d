import type { ScalarType } from '@proj/config'

import { type Argument, type Command, usesSetting } from './command.ts'
import type { CommandsInfo } from './define-commands.ts'
import { completionsOf, describeFlags, type FlagDescription } from './flag-description.ts'

/** What a shell completes after the words of a command. */
export interface CompletionState {
  /** Words typed so far, joined by spaces: empty, a command, or the first word of several. */
  readonly command: string
  /** Words that may follow, with what they do. */
  readonly words: readonly { readonly word: string; readonly description: string }[]
  /** Flags that may follow. */
  readonly flags: readonly FlagDescription[]
  /** Whether an argument is a path, so that files may follow. */
  readonly hasFiles: boolean
}

/** Lists everything that can be completed in a program, the same for every shell. */
export function completionStates(commands: CommandsInfo): readonly CompletionState[] {
  const always: FlagDescription[] = [
    ...commands.globalEntries.flatMap(describeFlags),
    plainFlag('help', 'Shows help.'),
  ]
  const states = new Map<string, CompletionState>()
  const root = [...always, plainFlag('version', 'Shows the version.')]
  states.set('', { command: '', words: [], flags: root, hasFiles: false })
  const names = Object.entries(commands.commands)
  for (const [name, command] of names) {
    const parts = name.split(' ')
    for (const [index, word] of parts.entries()) {
      const path = parts.slice(0, index).join(' ')
      const empty = { command: path, words: [], flags: always, hasFiles: false }
      const state = states.get(path) ?? empty
      const isLast = index === parts.length - 1
      const description = isLast ? command.description : `Commands about ${word}.`
      if (state.words.some((known) => known.word === word)) continue
      states.set(path, { ...state, words: [...state.words, { word, description }] })
    }
    const flags = [
      ...(commands.commandEntries.get(name) ?? []),
      ...commands.settings.entries.filter((entry) => usesSetting(command, entry)),
    ].flatMap(describeFlags)
    const words = [...(states.get(name)?.words ?? []), ...argumentWords(command)]
    const hasFiles = Object.values(command.args ?? {}).some(
      (one) => scalarOf(one).completes === 'file',
    )
    states.set(name, { command: name, words, flags: [...flags, ...always], hasFiles })
  }
  return [...states.values()].map((state) => ({
    ...state,
    flags: state.flags.filter(({ hidden }) => !hidden).flatMap(byName),
  }))
}

/** Values that the arguments of a command may have, where there are only so many. */
function argumentWords({ args = {} }: Command): CompletionState['words'] {
  return Object.values(args).flatMap((definition) => {
    const { description } = definition.options
    return completionsOf(scalarOf(definition)).map((word) => ({ word, description }))
  })
}

function scalarOf({ type }: Argument<unknown>): ScalarType<unknown> {
  return type.kind === 'list' ? type.item : type
}

/** Flags that take a value, each once, over all states. */
export function valueFlags(states: readonly CompletionState[]): readonly FlagDescription[] {
  const flags = new Map<string, FlagDescription>()
  for (const flag of states.flatMap((state) => state.flags)) {
    if (flag.value !== undefined && !flags.has(flag.flag)) flags.set(flag.flag, flag)
  }
  return [...flags.values()]
}

/** A flag under each of its names: shells complete them all. */
function byName(flag: FlagDescription): FlagDescription[] {
  const { alias } = flag
  return alias === undefined ? [flag] : [flag, { ...flag, flag: alias, short: undefined }]
}

function plainFlag(flag: string, description: string): FlagDescription {
  return {
    flag,
    alias: undefined,
    short: undefined,
    value: undefined,
    description,
    notes: [],
    completions: [],
    isPath: false,
    hidden: false,
  }
}
