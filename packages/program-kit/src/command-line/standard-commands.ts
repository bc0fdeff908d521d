/**
 * Commands and flags that every program of ours has. A program lists them beside its own commands;
 * `runCommandLine` runs them.
 */
import { boolean, list, oneOf, path, type Setting, setting } from '@proj/config'

import { SERVICE_COMMANDS, type ServiceCommands } from '../service/service-commands.ts'
import { argument, type Argument, type Command } from './command.ts'
import type { Shell } from './completion-script.ts'
import type { ManualSection } from './format-manual.ts'

/** Flags of every command. */
export interface GlobalFlags extends Readonly<Record<string, Setting<unknown>>> {
  /** Paths of configuration files; a later one overrides an earlier one. */
  readonly config: Setting<readonly string[]>
  /** JSON instead of text. */
  readonly json: Setting<boolean>
  /** Only errors are logged. */
  readonly quiet: Setting<boolean>
  /** The level of the log is `debug`. */
  readonly verbose: Setting<boolean>
  /** A configuration file of Piko. */
  readonly pikoConfig: Setting<string | undefined>
  /** Whether variables in it are replaced. */
  readonly pikoExpandEnv: Setting<boolean>
}

/** By name, as typed: `access`, `config check`. */
export type CommandList = Readonly<Record<string, Command>>

/** The commands of `STANDARD_COMMANDS`. */
export interface StandardCommands extends ServiceCommands {
  /** Prints every problem of the configuration. */
  readonly 'config check': Command
  /** Writes a file to begin with. */
  readonly 'config init': Command & {
    readonly args: { readonly file: Argument<string | undefined> }
  }
  /** Prints every setting with its value. */
  readonly 'config show': Command & { readonly flags: { readonly origin: Setting<boolean> } }
  /** Prints the JSON Schema. */
  readonly 'config schema': Command
  /** Prints the reference page. */
  readonly 'config reference': Command
  /** Prints the version; the same as the flag. */
  readonly version: Command
  /** Prints a completion script. */
  readonly completion: Command & { readonly args: { readonly shell: Argument<Shell> } }
  /** Prints a manual page. */
  readonly manual: Command & { readonly args: { readonly section: Argument<ManualSection> } }
}

/** Flags of every command, for `defineCommands`. */
export const GLOBAL_FLAGS: GlobalFlags = {
  config: setting(list(path()), {
    default: [],
    short: 'c',
    description: 'Configuration file (YAML, JSON, JSONC, TOML); several are merged in order.',
  }),
  json: setting(boolean(), {
    default: 'false',
    description: 'Print JSON on standard output instead of text for people.',
  }),
  quiet: setting(boolean(), {
    default: 'false',
    description: 'Log errors only, and show no live view: log.level error.',
  }),
  verbose: setting(boolean(), {
    default: 'false',
    description: 'Log everything: log.level debug.',
  }),
  pikoConfig: setting(path(), {
    description: 'Configuration file of Piko v0.9, read as it is; --config.path is the same.',
  }),
  pikoExpandEnv: setting(boolean(), {
    default: 'false',
    hidden: true,
    description: 'Replace variables in the file of Piko; --config.expand-env is the same.',
  }),
}

/** Commands of every program, for `defineCommands`. */
export const STANDARD_COMMANDS: StandardCommands = {
  ...SERVICE_COMMANDS,
  'config check': {
    description:
      'Checks files, variables and flags, and lists every mistake; exit code 2 if there is one.',
  },
  'config init': {
    description:
      'Writes a configuration file to begin with, every setting a comment, and prints its path.',
    args: {
      file: argument(path(), {
        description: 'Path of the file; default: the one that is read when none is named.',
        optional: true,
      }),
    },
    settings: [],
  },
  'config show': {
    description: 'Shows every setting as the program would take it, secrets masked.',
    flags: {
      origin: setting(boolean(), {
        default: 'false',
        description: 'Say where each value comes from.',
      }),
    },
  },
  'config schema': {
    description: 'Prints the JSON Schema of the configuration file, for editors.',
    settings: [],
  },
  'config reference': {
    description: 'Prints the reference page of every setting, in Markdown.',
    settings: [],
  },
  version: {
    description: 'Shows the version, the commit it was built from and the version of Node.',
    settings: [],
  },
  completion: {
    description: 'Prints the completion script of a shell.',
    args: {
      shell: argument(oneOf(['bash', 'zsh', 'fish', 'powershell']), { description: 'The shell.' }),
    },
    settings: [],
  },
  manual: {
    description: 'Prints a manual page, for man -l -.',
    args: {
      section: argument(oneOf(['1', '5']), {
        description: 'Section of the manual: 1, commands; 5, the configuration file.',
      }),
    },
    settings: [],
  },
}
