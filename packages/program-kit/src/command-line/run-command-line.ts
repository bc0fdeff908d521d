/**
 * From the words on the command line to the exit code: help, version, mistakes, the commands every
 * program has, and then the program's own. Both programs behave alike because this is the only way in.
 */
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import {
  configDirectories,
  type Dialect,
  findFile,
  formatProblems,
  formatReference,
  jsonSchema,
  type Loaded,
  type LoadedSettings,
  loadSettings,
  type Problem,
  type Resolved,
  type RuleProblem,
  type Settings,
  type SettingsTree,
  withProblems,
} from '@proj/config'
import { toml } from '@proj/config/toml'

import { formatValues } from '../output/format-values.ts'
import { jsonLine } from '../output/json-line.ts'
import { EXIT, UserError } from '../process/exit-code.ts'
import type { ProgramSignals, TextOutput } from '../process/program.ts'
import {
  runServiceCommand,
  SERVICE_COMMANDS,
  type ServiceCommands,
} from '../service/service-commands.ts'
import type { ServiceDefinition } from '../service/service-text.ts'
import type { TextInput } from './ask.ts'
import { argumentLayer, type ArgumentValues } from './argument-layer.ts'
import type { ForeignFlags } from './command-tokens.ts'
import { completionScript } from './completion-script.ts'
import type { Commands } from './define-commands.ts'
import { formatHelp } from './format-help.ts'
import { formatManual } from './format-manual.ts'
import { parseCommandLine, type ParsedCommand } from './parse-command-line.ts'
import {
  type CommandList,
  type GlobalFlags,
  STANDARD_COMMANDS,
  type StandardCommands,
} from './standard-commands.ts'

/** The surroundings of a program. */
export interface Surroundings {
  /** Where answers to questions come from. Default: none are asked. */
  readonly stdin?: TextInput
  /** Output of commands. */
  readonly stdout: TextOutput
  /** Where mistakes and log lines go. */
  readonly stderr: TextOutput
  /** Environment variables by name. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Arguments without interpreter and script. */
  readonly argv: readonly string[]
  /** Absolute directory that relative paths start from. */
  readonly cwd: string
  /** Signals to stop and to reload. */
  readonly signals: ProgramSignals
}

/** A command to run, with all it needs. */
export interface Invocation<Tree extends SettingsTree, List extends CommandList> {
  /** The command with its arguments and flags. */
  readonly command: ParsedCommand<List>
  /** The settings, free of mistakes. */
  readonly loaded: LoadedSettings<Tree>
  /** Loads everything again, as at the start, for a reload. */
  readonly load: (options: { readonly signal?: AbortSignal }) => Promise<Loaded<Tree>>
  /** Whether to print JSON instead of text. */
  readonly json: boolean
  /** Whether colours are wanted: NO_COLOR is unset or empty. */
  readonly colour: boolean
  /** Where the program runs. */
  readonly around: Surroundings
}

/** Where a program looks for a configuration file that is not named. */
export interface DefaultFile {
  /** The directory below `~/.config` and `/etc`. */
  readonly directory: string
  /** Names of the file in it, the preferred first. */
  readonly names: readonly string[]
}

/** The default file of a program of ours: `~/.config/adit/PROGRAM.yaml`, or `/etc/adit/PROGRAM.yaml`. */
export function defaultFileOf(program: string): DefaultFile {
  const names = ['yaml', 'yml', 'json', 'jsonc', 'toml'].map((form) => `${program}.${form}`)
  return { directory: 'adit', names }
}

/** What a program is made of. */
export interface ProgramDefinition<Tree extends SettingsTree, List extends CommandList> {
  /** Program and version, `adit/1.2.3`. */
  readonly software: string
  /** Commit that the program was built from; undefined: it was not built for a release. */
  readonly commit?: string | undefined
  /** What `defineSettings` returned for the program. */
  readonly settings: Settings<Tree>
  /** Its own commands and those of STANDARD_COMMANDS. */
  readonly commands: Commands<List & StandardCommands, GlobalFlags>
  /** Address the JSON Schema is published at. */
  readonly schemaId: string
  /** Reads the files of Piko, and names its flags. */
  readonly piko: {
    readonly dialect: (options: { readonly expandEnv: boolean }) => Dialect
    readonly flags: ForeignFlags
  }
  /** Values of settings that the arguments of a command stand for. */
  readonly argumentsOf?: (command: ParsedCommand<List>) => ArgumentValues
  /**
   * Looks at what only this machine can tell, such as files that are named in the settings. It is asked
   * by `config check` and before the commands of `inspects`; the others may run as another user.
   */
  readonly inspect?: (settings: Resolved<Tree>) => Promise<readonly RuleProblem[]>
  /** Commands of its own that begin with `inspect`. Default: none. */
  readonly inspects?: readonly (keyof List)[]
  /** Where it looks for a configuration file when neither flag nor variable names one. Default: nowhere. */
  readonly defaultFile?: DefaultFile
  /** Text of the file that `config init` writes: YAML in which every setting is a comment. */
  readonly starter: string
  /** How it runs as a service. Default: it does not. */
  readonly service?: ServiceDefinition
  /** Runs a command of the program's own to its exit code. */
  readonly run: (invocation: Invocation<Tree, List>) => Promise<number>
}

/** Flags of Piko's programs that name their file. */
const PIKO_FILE_FLAGS = { 'config.path': 'piko-config', 'config.expand-env': 'piko-expand-env' }

/** Width of text in files and pipes, in columns. */
const DEFAULT_COLUMNS = 100

/** Runs what the command line asks for; mistakes are printed, with exit code 2. */
export async function runCommandLine<Tree extends SettingsTree, List extends CommandList>(
  program: ProgramDefinition<Tree, List>,
  around: Surroundings,
): Promise<number> {
  const { settings, commands } = program
  const { stdout, stderr, env, argv, cwd } = around
  const foreign = program.piko.flags
  const line = parseCommandLine<List & StandardCommands, GlobalFlags>(commands, {
    argv,
    env,
    cwd,
    foreignFlags: { ...foreign, aliases: { ...foreign.aliases, ...PIKO_FILE_FLAGS } },
  })
  switch (line.kind) {
    case 'version':
      stdout.write(formatVersion(program, line.json))
      return EXIT.ok
    case 'help': {
      const columns = stdout.columns ?? DEFAULT_COLUMNS
      stdout.write(formatHelp(commands, { topic: line.topic, all: line.all, columns }))
      return EXIT.ok
    }
    case 'error': {
      stderr.write(formatProblems(line.problems))
      const topic = line.topic === undefined ? '' : ` ${line.topic}`
      stderr.write(`help: ${commands.program} help${topic}\n`)
      return EXIT.usage
    }
    case 'command':
  }
  const { globals, command } = line
  const { json } = globals
  if (command.name === 'completion') {
    const { shell } = (command as ParsedCommand<Pick<StandardCommands, 'completion'>>).args
    stdout.write(completionScript(commands, shell))
    return EXIT.ok
  }
  if (command.name === 'manual') {
    const { section } = (command as ParsedCommand<Pick<StandardCommands, 'manual'>>).args
    const { directory, names } = program.defaultFile ?? { directory: '', names: [] }
    const [file = `${commands.program}.yaml`] = names
    // not those of this user and machine: the page is that of every installation
    const places = ['~/.config', '/etc'].map((base) => join(base, directory, file))
    stdout.write(formatManual(commands, section, { software: program.software, file, places }))
    return EXIT.ok
  }
  if (command.name === 'config init') {
    const { file } = (command as ParsedCommand<Pick<StandardCommands, 'config init'>>).args
    // The file of the machine is read by services of other users, and names files of secrets.
    const isOfMachine = file === undefined && process.geteuid?.() === 0
    const written = await writeStarterFile(
      file ?? ownFile(program.defaultFile, env),
      program,
      isOfMachine ? { file: 0o644, directory: 0o755 } : { file: 0o600, directory: 0o700 },
    )
    stdout.write(json ? jsonLine({ file: written }) : `${written}\n`)
    return EXIT.ok
  }
  if (Object.hasOwn(SERVICE_COMMANDS, command.name)) {
    if (program.service === undefined) {
      throw new UserError(`${commands.program} is no service`, { exitCode: EXIT.usage })
    }
    const asked = command as ParsedCommand<Pick<ServiceCommands, keyof ServiceCommands>>
    const invocation = { ...asked, config: globals.config, json }
    return await runServiceCommand(program.service, invocation, around, program.defaultFile)
  }
  if (command.name === 'version') {
    stdout.write(formatVersion(program, json))
    return EXIT.ok
  }
  const title = `Configuration of ${commands.program}`
  if (command.name === 'config reference') {
    stdout.write(formatReference(settings, title))
    return EXIT.ok
  }
  if (command.name === 'config schema') {
    stdout.write(`${JSON.stringify(jsonSchema(settings, program.schemaId, title), null, 2)}\n`)
    return EXIT.ok
  }
  const own = isStandard(command.name) ? undefined : (command as ParsedCommand<List>)
  const chattiness = levelOf(globals)
  const values = {
    ...(own !== undefined && program.argumentsOf?.(own)),
    ...(chattiness !== undefined && { 'log.level': chattiness }),
  }
  const piko = globals.pikoConfig
  const dialect = program.piko.dialect({ expandEnv: globals.pikoExpandEnv })
  const { defaultFile } = program
  const isSearched = defaultFile && piko === undefined && globals.config.length === 0
  const load = async (options: { readonly signal?: AbortSignal }): Promise<Loaded<Tree>> => {
    const found = isSearched ? await findDefaultFile(defaultFile, env, options) : undefined
    const foreign = piko === undefined ? [] : [{ path: piko, dialect }]
    const loaded = await loadSettings<Tree>(settings, {
      cwd,
      files: [...foreign, ...globals.config, ...(found?.files ?? [])],
      formats: [toml],
      env,
      layers: [line.settings, argumentLayer(values, cwd)],
      ...options,
    })
    return found ? { ...loaded, problems: [...found.problems, ...loaded.problems] } : loaded
  }
  const isInspected =
    command.name === 'config check' || (program.inspects?.includes(command.name) ?? false)
  const loaded = await inspected(await load({}), isInspected ? program.inspect : undefined)
  const problems = [...line.problems, ...loaded.problems]
  if (command.name === 'config check' && json) {
    stdout.write(jsonLine({ ok: loaded.ok, files: loaded.files, problems }))
    return loaded.ok ? EXIT.ok : EXIT.usage
  }
  stderr.write(formatProblems(problems))
  if (!loaded.ok) return EXIT.usage
  if (own !== undefined) {
    const colour = env['NO_COLOR'] === undefined || env['NO_COLOR'] === ''
    return await program.run({ command: own, loaded, load, json, colour, around })
  }
  if (command.name === 'config check') stdout.write(`${describeFiles(loaded.files)}: no mistake\n`)
  else if (json) stdout.write(jsonLine(loaded.values))
  else {
    const { origin } = (command as ParsedCommand<Pick<StandardCommands, 'config show'>>).flags
    stdout.write(formatValues(loaded.values, { origins: origin }))
  }
  return EXIT.ok
}

/** The file that is read when none is named, and what stood in the way of a better one. */
export async function findDefaultFile(
  { directory, names }: DefaultFile,
  env: Surroundings['env'],
  options: { readonly signal?: AbortSignal } = {},
): Promise<{ readonly files: readonly string[]; readonly problems: readonly Problem[] }> {
  const directories = configDirectories(directory, { env })
  const { path, places } = await findFile({ names, directories, ...options })
  const problems: Problem[] = places
    .filter(({ found }) => found === 'unreadable' || found === 'directory')
    .map((place) => ({
      code: 'CONFIG_FILE_UNREADABLE',
      severity: 'warning' as const,
      origin: { kind: 'file' as const, path: place.path, line: 0, column: 0 },
      ...(place.found === 'directory'
        ? {
            message: 'this is a directory, not a default configuration file, and is not used',
            hint: 'put a file in its place: a container makes a directory of a file that it cannot mount',
          }
        : {
            message: 'this default configuration file cannot be read and is not used',
            hint: 'give read access, or name the file to use with --config',
          }),
    }))
  if (path === undefined) return { files: [], problems }
  if (await isWritableByAll(path)) {
    problems.push({
      code: 'CONFIG_FILE_WRITABLE',
      severity: 'warning',
      origin: { kind: 'file', path, line: 0, column: 0 },
      message: 'every user of this machine can change this default configuration file',
      hint: `chmod o-w ${path}`,
    })
  }
  return { files: [path], problems }
}

/**
 * The default file of this user, the preferred name; of root that of the machine.
 *
 * @throws {UserError} when there is none.
 */
function ownFile(definition: DefaultFile | undefined, env: Surroundings['env']): string {
  const [name = ''] = definition?.names ?? []
  const directories = configDirectories(definition?.directory ?? '', { env })
  const directory = process.geteuid?.() === 0 ? directories.at(-1) : directories[0]
  if (definition !== undefined && directory !== undefined) return join(directory, name)
  throw new UserError('the program has no default file', {
    exitCode: EXIT.usage,
    hint: 'name the file to write',
  })
}

/**
 * Writes a file that does not exist yet.
 *
 * @throws {UserError} when it exists, or cannot be written.
 */
async function writeStarterFile(
  file: string,
  { starter, commands }: Pick<ProgramDefinition<SettingsTree, CommandList>, 'starter' | 'commands'>,
  modes: { readonly file: number; readonly directory: number },
): Promise<string> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: modes.directory })
    await writeFile(file, starter, { flag: 'wx', mode: modes.file })
    return file
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'EEXIST' ? 'exists and is not changed' : `cannot be written: ${message}`
    throw new UserError(`${file} ${why}`, {
      exitCode: EXIT.usage,
      hint: `name another file: ${commands.program} config init FILE`,
      cause: error,
    })
  }
}

/** Windows has no such permission: its files look writable. */
async function isWritableByAll(path: string): Promise<boolean> {
  if (process.platform === 'win32') return false
  try {
    const status = await stat(path)
    return status.isFile() && (status.mode & 0o002) !== 0
  } catch {
    // It is gone; reading it reports that.
    return false
  }
}

/** Fields of the JSON are only added. */
function formatVersion(
  { software, commit }: Pick<ProgramDefinition<SettingsTree, CommandList>, 'software' | 'commit'>,
  json: boolean,
): string {
  const [program = '', version = ''] = software.split('/')
  const { arch, platform, versions } = process
  if (json) return jsonLine({ program, version, commit, node: versions.node, platform, arch })
  const built = commit === undefined ? '' : `commit ${commit.slice(0, 12)}, `
  return `${program} ${version} (${built}Node ${versions.node}, ${platform} ${arch})\n`
}

async function inspected<Tree extends SettingsTree>(
  loaded: Loaded<Tree>,
  inspect: ((settings: Resolved<Tree>) => Promise<readonly RuleProblem[]>) | undefined,
): Promise<Loaded<Tree>> {
  if (!loaded.ok || inspect === undefined) return loaded
  return withProblems(loaded, await inspect(loaded.settings))
}

/** What --quiet and --verbose say about the log. */
function levelOf({
  quiet,
  verbose,
}: {
  readonly quiet: boolean
  readonly verbose: boolean
}): 'error' | 'debug' | undefined {
  if (quiet && verbose) {
    throw new UserError('--quiet and --verbose exclude one another', { exitCode: EXIT.usage })
  }
  return quiet ? 'error' : verbose ? 'debug' : undefined
}

function isStandard(name: PropertyKey): boolean {
  return Object.hasOwn(STANDARD_COMMANDS, name)
}

function describeFiles(files: readonly string[]): string {
  return files.length === 0 ? 'defaults, variables and flags' : files.join(', ')
}
