/** The commands about services on the command line, the same in every program. */
import { isAbsolute, join } from 'node:path'

import { boolean, configDirectories, findFile, path, setting, type Setting } from '@proj/config'

import type { Command } from '../command-line/command.ts'
import { jsonLine } from '../output/json-line.ts'
import { EXIT } from '../process/exit-code.ts'
import type { TextOutput } from '../process/program.ts'
import { installService, readServiceState, uninstallService } from './manage-service.ts'
import { planService, USER_COMMAND } from './service-plan.ts'
import type { ServiceDefinition } from './service-text.ts'

const USER_FLAG = setting(boolean(), {
  default: 'false',
  description: 'The service of this user, and not of the machine.',
})

/** Flags of `service install`. */
export interface InstallFlags extends Readonly<Record<string, Setting<unknown>>> {
  /** Whether it is that of the user. */
  readonly user: Setting<boolean>
  /** Whether nothing is written. */
  readonly print: Setting<boolean>
  /** Path of the program. */
  readonly program: Setting<string | undefined>
}

/** The commands of `SERVICE_COMMANDS`. */
export interface ServiceCommands {
  /** Installs the service and starts it. */
  readonly 'service install': Command & { readonly flags: InstallFlags }
  /** Says what the service manager knows. */
  readonly 'service status': Command & { readonly flags: Pick<InstallFlags, 'user'> }
  /** Stops the service and removes it. */
  readonly 'service uninstall': Command & { readonly flags: Pick<InstallFlags, 'user'> }
}

/** Commands of every program, for `defineCommands`. */
export const SERVICE_COMMANDS: ServiceCommands = {
  'service install': {
    description:
      'Starts the program with the machine, or with --user when this user logs on: systemd, launchd, or a task of Windows.',
    settings: [],
    flags: {
      user: USER_FLAG,
      print: setting(boolean(), {
        default: 'false',
        description: 'Print the file and the commands, and change nothing.',
      }),
      program: setting(path(), {
        description: 'Path of the program in the service; default: this one.',
      }),
    },
  },
  'service status': {
    description: 'Shows what the service manager says about the service; 0 when it runs.',
    settings: [],
    flags: { user: USER_FLAG },
  },
  'service uninstall': {
    description: 'Stops the service and removes it; configuration and state stay.',
    settings: [],
    flags: { user: USER_FLAG },
  },
}

/** What a command about a service runs with. */
export interface ServiceInvocation {
  /** Name of the command, and its flags. */
  readonly name: keyof ServiceCommands
  readonly flags: {
    readonly user: boolean
    readonly print?: boolean
    readonly program?: string | undefined
  }
  /** Files named on the command line. */
  readonly config: readonly string[]
  /** Whether to print JSON instead of text. */
  readonly json: boolean
}

/** Where a command about a service runs. */
interface ServiceSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: TextOutput
  readonly stderr: TextOutput
}

/** Directory and names of the default file of a program. */
interface FilePlace {
  readonly directory: string
  readonly names: readonly string[]
}

/** Runs a command about the service of a program to its exit code. */
export async function runServiceCommand(
  service: ServiceDefinition,
  invocation: ServiceInvocation,
  { env, stdout, stderr }: ServiceSurroundings,
  defaultFile: FilePlace | undefined,
): Promise<number> {
  const { name, flags, json } = invocation
  const place = { user: flags.user, env }
  if (name === 'service status') {
    const state = await readServiceState(service, place)
    const rows = Object.entries({
      running: String(state.running),
      file: state.file ?? 'none',
      ...state.manager,
    })
    stdout.write(json ? jsonLine(state) : rows.map(([key, value]) => `${key}: ${value}\n`).join(''))
    return state.running ? EXIT.ok : EXIT.failed
  }
  if (name === 'service uninstall') {
    const file = await uninstallService(service, place)
    stdout.write(
      json
        ? jsonLine({ file })
        : `${service.program}: stopped; ${file} is removed, configuration and state stay\n`,
    )
    return EXIT.ok
  }
  const started = {
    command: flags.program === undefined ? thisProgram() : [flags.program],
    configFile: invocation.config[0] ?? (await configFileOf(defaultFile, place)),
  }
  if (flags.print) {
    const { file, text, start } = planService(service, started, place)
    const commands = place.user ? start : [USER_COMMAND, ...start]
    if (json) stdout.write(jsonLine({ file, text, commands }))
    else {
      stdout.write(text)
      stderr.write(`${file}\n${commands.map((command) => `  ${command.join(' ')}\n`).join('')}`)
    }
    return EXIT.ok
  }
  const { file } = await installService(service, started, place)
  stdout.write(json ? jsonLine({ file }) : `${service.program}: started, ${file}\n`)
  return EXIT.ok
}

/** The configuration file of a service that is not named: the one that exists, or the preferred name. */
async function configFileOf(
  definition: FilePlace | undefined,
  { user, env }: { readonly user: boolean; readonly env: ServiceSurroundings['env'] },
): Promise<string> {
  const { directory, names } = definition ?? { directory: '', names: [''] }
  const all = configDirectories(directory, { env })
  // a service of the machine does not see the homes of users
  const place = (user ? all[0] : all.at(-1)) ?? ''
  const { path: found } = isAbsolute(place)
    ? await findFile({ names, directories: [place] })
    : { path: undefined }
  return found ?? join(place, names[0] ?? '')
}

/** Command that starts this program: an executable contains its script. */
function thisProgram(): string[] {
  const { argv, execPath } = process
  const isExecutable = process.getBuiltinModule('node:sea').isSea()
  return isExecutable ? [execPath] : [execPath, argv[1] ?? '']
}
