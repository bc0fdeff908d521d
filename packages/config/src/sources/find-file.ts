/** Finds the configuration file of a program where one expects it. Nothing is read. */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, posix, resolve, win32 } from 'node:path'

import type { Environment } from './expand-variables.ts'

/** Most directories above the first one that are looked at. */
const MAX_LEVELS = 64

/** Most places that are looked at. */
const MAX_PLACES = 1024

/** Where to look, the first place that has a file wins. */
export interface FindFileOptions {
  /** Names of the file, the preferred first: `['adit.yaml', 'adit.toml']`. At least one, no paths. */
  readonly names: readonly string[]
  /**
   * Absolute directory where the search begins; its parents follow, up to `stopAt`, at most 64.
   *
   * @default only `directories`
   */
  readonly from?: string
  /** The last directory of the way up. @default the root of the file system */
  readonly stopAt?: string
  /** Absolute directories that are looked at afterwards, such as `configDirectories('adit', ...)`. @default none */
  readonly directories?: readonly string[]
  /** Ends the search; the promise rejects with its reason. */
  readonly signal?: AbortSignal
}

/** What was found. */
export interface FoundFile {
  /** The file that was taken; undefined when there is none. */
  readonly path: string | undefined
  /** Every place that was looked at, in order, the taken one last. */
  readonly places: readonly {
    /** Absolute path. */
    readonly path: string
    /** `unreadable`: it is there and cannot be read, is a pipe or socket, or its directory cannot be searched. */
    readonly found: 'taken' | 'missing' | 'directory' | 'unreadable'
  }[]
}

/**
 * Finds a configuration file: each name in the first directory, then in the next. A file that cannot be
 * read is passed over and told of in `places`. Give the result to `loadSettings` as one of `files`.
 *
 * @throws {TypeError} when a directory is not absolute, or a name is a path
 * @throws {RangeError} for more than 1024 places
 */
export async function findFile(options: FindFileOptions): Promise<FoundFile> {
  const { names, signal } = options
  const odd = names.find((name) => name === '' || /[/\\]/.test(name) || /^\.\.?$/.test(name))
  if (odd !== undefined || names.length === 0) {
    throw new TypeError('names must have at least one name of a file, and no path')
  }
  const wanted = [...wayUp(options), ...(options.directories ?? [])]
  if (!wanted.every((directory) => isAbsolute(directory))) {
    throw new TypeError('from and directories must be absolute paths')
  }
  const directories = [...new Set(wanted.map((directory) => resolve(directory)))]
  if (directories.length * names.length > MAX_PLACES) {
    throw new RangeError(`a search has at most ${MAX_PLACES} places: directories times names`)
  }
  const places: { path: string; found: 'taken' | 'missing' | 'directory' | 'unreadable' }[] = []
  for (const directory of directories) {
    for (const name of names) {
      signal?.throwIfAborted()
      const path = join(directory, name)
      const found = await lookAt(path)
      places.push({ path, found })
      if (found === 'taken') return { path, places }
    }
  }
  return { path: undefined, places }
}

/**
 * Directories where programs keep their configuration, those of the user first: `$XDG_CONFIG_HOME/NAME` or
 * `~/.config/NAME`, then `/etc/NAME`; on Windows `%APPDATA%\NAME`, then `%ProgramData%\NAME`. A
 * directory whose variable is not set, or is no absolute path, is left out.
 *
 * @param name - name of the program
 */
export function configDirectories(
  name: string,
  { env, platform = process.platform }: { readonly env: Environment; readonly platform?: string },
): readonly string[] {
  const paths = platform === 'win32' ? win32 : posix
  const own = (variable: string): string | undefined => {
    const value = Object.hasOwn(env, variable) ? env[variable] : undefined
    // The XDG specification: a path that is not absolute is ignored.
    return value !== undefined && paths.isAbsolute(value) ? value : undefined
  }
  if (platform === 'win32') {
    return [own('APPDATA'), own('ProgramData')].flatMap((base) =>
      base ? [paths.join(base, name)] : [],
    )
  }
  const home = own('HOME')
  const user =
    own('XDG_CONFIG_HOME') ?? (home === undefined ? undefined : paths.join(home, '.config'))
  return [...(user === undefined ? [] : [paths.join(user, name)]), paths.join('/etc', name)]
}

function wayUp({ from, stopAt }: FindFileOptions): readonly string[] {
  if (from === undefined) return []
  const directories = [from]
  const last = stopAt === undefined ? undefined : resolve(stopAt)
  let current = resolve(from)
  while (directories.length <= MAX_LEVELS && current !== last && dirname(current) !== current) {
    current = dirname(current)
    directories.push(current)
  }
  return directories
}

async function lookAt(path: string): Promise<'taken' | 'missing' | 'directory' | 'unreadable'> {
  try {
    const status = await stat(path)
    if (status.isDirectory()) return 'directory'
    // To read a pipe would wait for its writer; a link to /dev/null is an empty file.
    if (status.isFIFO() || status.isSocket()) return 'unreadable'
    await access(path, constants.R_OK)
    return 'taken'
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable'
  }
}
