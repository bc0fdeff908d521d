import { dirname, extname, resolve } from 'node:path'

import { checkRules, placed } from './check-rules.ts'
import type { RuleProblem, Settings } from '../definition/define-settings.ts'
import type { ForeignFile } from './dialect.ts'
import { environmentLayer } from './environment-layer.ts'
import { type Environment, expandVariables } from './expand-variables.ts'
import { fileLayer } from './file-layer.ts'
import type { FileFormat, FileSource, FileText } from './file-text.ts'
import type { Layer } from './layer.ts'
import { hasErrors, type Problem } from './problem.ts'
import { takeProfiles, unknownProfiles } from './profiles.ts'
import { type BoundedRead, readBounded } from './read-bounded.ts'
import { readVariableFiles } from './variable-file.ts'
import { type ResolvedValue, resolveSettings } from './resolve-settings.ts'
import type { Resolved, SettingsTree } from '../definition/settings-tree.ts'

/** Largest configuration file in bytes. */
const MAX_FILE_BYTES = 8 * 1024 * 1024

/** Largest file of a secret in bytes; a private key of 16384 bits has 13 kB. */
const MAX_SECRET_BYTES = 64 * 1024

/** Where settings come from, weakest source first in this list. */
export interface LoadOptions {
  /** Absolute directory that relative paths of files, flags, variables and defaults start from. */
  readonly cwd: string
  /** Files that are read when they exist, the weakest first. @default none */
  readonly optionalFiles?: readonly string[]
  /** Files that must exist, the weakest first; they win over the optional ones. @default none */
  readonly files?: readonly (string | ForeignFile)[]
  /** Environment variables. @default none */
  readonly env?: Environment
  /**
   * Files of variables, `.env`, that are read when they exist, the weakest first; variables of `env` win
   * over them. At most 1 MiB each. @default none
   */
  readonly envFiles?: readonly string[]
  /** Forms of files beside YAML, JSON and JSONC, told by their extension. @default none */
  readonly formats?: readonly FileFormat[]
  /**
   * Profiles to lay over the values of each file, the weakest first: `profiles: { NAME: ... }` in a file
   * has the same keys as the file. An empty list allows files to have profiles and takes none.
   *
   * @default undefined: `profiles` is an unknown key
   */
  readonly profiles?: readonly string[]
  /**
   * Sources of the program's own, such as its command line, the weakest first; they win over
   * variables and files. @default none
   */
  readonly layers?: readonly Layer[]
  /** Stops waiting for files; the promise rejects with its reason. */
  readonly signal?: AbortSignal
}

/** What {@link loadSettings} resolves with. */
export type Loaded<Tree extends SettingsTree> = LoadedSettings<Tree> | LoadFailure

/** Result of a load in which nothing is wrong; it may have warnings. */
export interface LoadedSettings<Tree extends SettingsTree> extends LoadReport {
  /** Tells success from failure. */
  readonly ok: true
  /** The values, with defaults where no source sets them. */
  readonly settings: Resolved<Tree>
}

/** Settings with at least one error. */
export interface LoadFailure extends LoadReport {
  /** Tells success from failure. */
  readonly ok: false
}

interface LoadReport {
  /** Every value with its origin, secrets masked. */
  readonly values: readonly ResolvedValue[]
  /** All errors and warnings. */
  readonly problems: readonly Problem[]
  /** Absolute paths of all files that were looked for: configuration and secrets. */
  readonly files: readonly string[]
}

/**
 * Loads settings from files, environment and the sources of the program, the later ones winning:
 * default, files in order, files of variables, variables, layers in order. Mistakes do not reject; all of
 * them are in the result.
 *
 * Every file with an error counts, but a value that a stronger source replaces is not looked at.
 */
export async function loadSettings<Tree extends SettingsTree>(
  definition: Settings<Tree>,
  options: LoadOptions,
): Promise<Loaded<Tree>> {
  const { cwd, signal, formats = [], profiles } = options
  const { entries, envPrefix, rules } = definition
  if (profiles && entries.some(({ properties }) => properties[0] === 'profiles')) {
    throw new TypeError('a setting is called profiles: files of it cannot have profiles')
  }
  const layers: Layer[] = []
  const files: string[] = []
  const problems: Problem[] = []
  const variables = await readVariableFiles(options.envFiles ?? [], { cwd, signal })
  files.push(...variables.files)
  addAll(problems, variables.problems)
  // A variable that is undefined is not set: one of a file counts.
  const own = Object.entries(options.env ?? {}).filter(([, text]) => text !== undefined)
  const env: Environment = Object.fromEntries([
    ...[...variables.variables].map(([name, { text }]) => [name, text] as const),
    ...own,
  ])
  const knownProfiles = new Set<string>()
  const wanted = [
    ...(options.optionalFiles ?? []).map((path) => ({ path, dialect: undefined, optional: true })),
    ...(options.files ?? []).map((file) =>
      typeof file === 'string'
        ? { path: file, dialect: undefined, optional: false }
        : { ...file, optional: false },
    ),
  ]
  for (const { path, dialect, optional } of wanted) {
    const absolute = resolve(cwd, path)
    files.push(absolute)
    const read = await readBounded(absolute, MAX_FILE_BYTES, signal)
    if ('failure' in read) {
      if (!optional || read.cause !== 'missing') problems.push(unreadable(path, read))
      continue
    }
    const expand = dialect?.expand ?? expandVariables
    const source = { path, content: read.text, expand: (text: string) => expand(text, env) }
    const content = await readForm(source, dialect ? [] : formats)
    const translated = dialect && content.root ? dialect.translate(content.root) : undefined
    const root = translated?.root ?? content.root
    addAll(problems, content.problems)
    addAll(problems, translated?.problems ?? [])
    const baseDir = dialect ? cwd : dirname(absolute)
    const parts = takeProfiles(root, dialect ? undefined : profiles, problems)
    for (const name of parts.names) knownProfiles.add(name)
    const base = fileLayer(entries, parts.base, baseDir)
    addAll(problems, base.problems)
    layers.push(base)
    for (const part of parts.profiles) {
      const layer = fileLayer(entries, part.root, baseDir, `profiles.${part.name}.`)
      addAll(problems, layer.problems)
      if (part.isChosen) layers.push(layer)
    }
  }
  problems.push(...unknownProfiles(profiles ?? [], knownProfiles))
  const environment = environmentLayer(entries, env, envPrefix, cwd, (name) =>
    options.env?.[name] === undefined ? variables.variables.get(name)?.path : undefined,
  )
  problems.push(...environment.problems)
  layers.push(environment)
  layers.push(...(options.layers ?? []))

  const secrets = new Map<string, SecretRead>()
  let resolution = resolveSettings(entries, layers, { baseDir: cwd, secrets })
  if (resolution.wantedSecrets.length > 0) {
    for (const path of new Set(resolution.wantedSecrets)) {
      files.push(path)
      secrets.set(path, await readSecret(path, signal))
    }
    resolution = resolveSettings(entries, layers, { baseDir: cwd, secrets })
  }
  addAll(problems, resolution.problems)
  addAll(problems, checkRules(rules, resolution))
  const report = { values: resolution.values, problems: sortByPlace(problems, wanted), files }
  if (hasErrors(problems)) return { ok: false, ...report }
  return { ok: true, settings: resolution.settings as Resolved<Tree>, ...report }
}

/** Reads a file in the form that its extension says; YAML, of which JSON is a part, where it says nothing. */
async function readForm(source: FileSource, formats: readonly FileFormat[]): Promise<FileText> {
  const extension = extname(source.path).toLowerCase()
  const format = formats.find(({ extensions }) => extensions.includes(extension))
  if (format) return await format.read(source)
  if (extension === '.toml') {
    const origin = { kind: 'file', path: source.path, line: 0, column: 0 } as const
    const message = 'this program does not read TOML'
    const hint = 'write the file in YAML or JSON'
    const problem = {
      code: 'CONFIG_FILE_SYNTAX',
      severity: 'error',
      origin,
      message,
      hint,
    } as const
    return { root: undefined, problems: [problem] }
  }
  // Half of the time to start is the YAML parser; a program without files does not wait for it.
  const { readFileText } = await import('./read-file-text.ts')
  return readFileText(source, extension === '.jsonc' ? 'jsonc' : 'yaml')
}

/** Adds what a program found out about settings by itself, such as a file that cannot be read. */
export function withProblems<Tree extends SettingsTree>(
  loaded: Loaded<Tree>,
  found: readonly RuleProblem[],
): Loaded<Tree> {
  const { values, files } = loaded
  const added = found.map((problem) => placed(problem, values))
  const problems = [...loaded.problems, ...added]
  return hasErrors(added) ? { ok: false, values, files, problems } : { ...loaded, problems }
}

/** There can be more mistakes than a call has arguments. */
function addAll(problems: Problem[], added: readonly Problem[]): void {
  for (const problem of added) problems.push(problem)
}

/** Sorts the problems of files by file and line; other problems keep their place at the end. */
function sortByPlace(problems: readonly Problem[], files: readonly { path: string }[]): Problem[] {
  const order = new Map(files.map(({ path }, index) => [path, index]))
  const place = ({ origin }: Problem): readonly number[] =>
    origin?.kind === 'file'
      ? [order.get(origin.path) ?? 0, origin.line, origin.column]
      : [files.length, 0, 0]
  return problems.toSorted((a, b) => {
    const [left, right] = [place(a), place(b)]
    const index = left.findIndex((part, at) => part !== right[at])
    return index === -1 ? 0 : (left[index] ?? 0) - (right[index] ?? 0)
  })
}

type SecretRead = { readonly text: string } | { readonly failure: string }

async function readSecret(path: string, signal: AbortSignal | undefined): Promise<SecretRead> {
  const read = await readBounded(path, MAX_SECRET_BYTES, signal)
  if ('failure' in read) return { failure: `the file ${path} ${read.failure}` }
  // Editors and `echo` end the file with a newline that is no part of the secret.
  return { text: read.text.replace(/\r?\n$/, '') }
}

function unreadable(
  path: string,
  { failure, cause }: Extract<BoundedRead, { readonly failure: string }>,
): Problem {
  return {
    code: cause === 'too-large' ? 'CONFIG_FILE_TOO_LARGE' : 'CONFIG_FILE_UNREADABLE',
    severity: 'error',
    origin: { kind: 'file', path, line: 0, column: 0 },
    message: `the file ${failure}`,
  }
}
