/** What every form of configuration file is read to, and the limits that all of them keep. */
import type { Environment } from './expand-variables.ts'
import type { Problem } from './problem.ts'
import type { RawNode } from './raw-node.ts'

/** Largest configuration file in characters; 10000 listeners fit four times. */
export const MAX_FILE_CHARACTERS: number = 4 * 1024 * 1024

/** Most nodes after aliases are followed: a few lines of aliases could stand for billions. */
export const MAX_NODES = 500_000

/** What a file held. */
export interface FileText {
  /** The content; undefined when the file is empty or its syntax is wrong. */
  readonly root: RawNode | undefined
  /** What is wrong with it. */
  readonly problems: readonly Problem[]
}

/** Replaces variables in one value of a file; throws a ConfigError. */
export type Expand = (text: string, env: Environment) => string

/** A file to be read. */
export interface FileSource {
  /** Shown in origins and messages. */
  readonly path: string
  /** The whole file. */
  readonly content: string
  /** Replaces variables in one value; throws a ConfigError. */
  readonly expand: (text: string) => string
}

/** A form of configuration file beside YAML and JSON, such as `toml` of `@proj/config/toml`. */
export interface FileFormat {
  /** How its files end, with the dot: `['.toml']`. */
  readonly extensions: readonly string[]
  /** Reads a file. May import its parser first, so that a program without such a file does not wait for it. */
  read(file: FileSource): Promise<FileText>
}
