import type { Setting, SettingEntry, ValueType } from '@proj/config'

/** What an argument says about itself. */
export interface ArgumentOptions {
  /** What it stands for, one sentence. */
  readonly description: string
  /** Whether it may be left out; only the last ones may. @default false */
  readonly optional?: boolean
}

/** An argument given by position; made by {@link argument}. */
export interface Argument<T> {
  /** What its value may be. A list takes all arguments that remain. */
  readonly type: ValueType<unknown>
  /** The options it was made with. */
  readonly options: ArgumentOptions
  /** Carries the type of the value for inference; never present. */
  readonly inferred?: T
}

/** A command of a program: its arguments, flags and help. */
export interface Command {
  /** What it does, one sentence. */
  readonly description: string
  /** Arguments in order, by the name that help shows. */
  readonly args?: Readonly<Record<string, Argument<unknown>>>
  /** Flags only this command has, by camelCase name. */
  readonly flags?: Readonly<Record<string, Setting<unknown>>>
  /**
   * Keys, or starts of keys, of the settings it uses: `['connect', 'log']`. Flags of other settings
   * are refused. @default all
   */
  readonly settings?: readonly string[]
  /** Whether it takes the arguments after `--` unparsed. @default false */
  readonly passthrough?: boolean
  /** Command lines to show in help, without explanation. */
  readonly examples?: readonly string[]
}

/**
 * Defines an argument. Its value may be undefined when it is optional.
 *
 * @param type - what its value may be; a list takes all arguments that remain
 */
export function argument<T, const Options extends ArgumentOptions>(
  type: ValueType<T>,
  options: Options,
): Argument<Options extends { readonly optional: true } ? T | undefined : T> {
  return { type, options }
}

/** Tells whether a command takes the flags of a setting. */
export function usesSetting(command: Command, { key }: SettingEntry): boolean {
  return (
    command.settings === undefined ||
    command.settings.some((start) => key === start || key.startsWith(`${start}.`))
  )
}
