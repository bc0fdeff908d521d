import type { Expand } from './file-text.ts'
import type { Problem } from './problem.ts'
import type { RawNode } from './raw-node.ts'

/** Reads files that were written for another program. */
export interface Dialect {
  /** Name of the other program. */
  readonly name: string
  /** Replaces variables as the other program did. */
  readonly expand: Expand
  /** Renames the keys of a file to ours; problems are keys without counterpart and differences. */
  translate(root: RawNode): { readonly root: RawNode; readonly problems: readonly Problem[] }
}

/** A file that was written for another program. */
export interface ForeignFile {
  /** The file; relative paths in it start from `cwd`, as they did for the other program. */
  readonly path: string
  /** How it is read. */
  readonly dialect: Dialect
}
