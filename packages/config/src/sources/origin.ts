/** Where a value comes from. */
export type Origin =
  | { readonly kind: 'default' }
  | FileOrigin
  | EnvironmentOrigin
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'argument'; readonly name: string }

/** A variable of the environment, or of a file of variables. */
export interface EnvironmentOrigin {
  /** Tells the kinds of origin apart. */
  readonly kind: 'environment'
  /** The variable. */
  readonly name: string
  /** The file of variables, as it was given; absent for a variable of the process. */
  readonly file?: string
}

/** A place in a file. */
export interface FileOrigin {
  /** Tells the kinds of origin apart. */
  readonly kind: 'file'
  /** The path as it was given. */
  readonly path: string
  /** Counted from 1; 0 when the problem is the file as a whole. */
  readonly line: number
  /** Counted from 1 in UTF-16 units, as editors do; 0 when the problem is the file as a whole. */
  readonly column: number
}

/** Writes an origin as messages show it; a place in a file is one that terminals make clickable. */
export function formatOrigin(origin: Origin): string {
  if (origin.kind === 'default') return 'default'
  if (origin.kind === 'environment') {
    return `variable ${origin.name}${origin.file === undefined ? '' : ` of ${origin.file}`}`
  }
  if (origin.kind !== 'file') return `${origin.kind} ${origin.name}`
  return origin.line === 0 ? origin.path : `${origin.path}:${origin.line}:${origin.column}`
}
