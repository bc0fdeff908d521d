import {
  defaultFileOf,
  EXIT,
  type Invocation,
  runCommandLine,
  type ServiceDefinition,
  type Surroundings,
  UserError,
} from '@proj/program-kit'
import { isTunnelError } from '@proj/tunnel'

import { addedBy, argumentsOf, hasMadeUpName } from './commands/arguments.ts'
import { pikoFiles } from './commands/piko-files.ts'
import { importFile } from './import/import-file.ts'
import { commands, type OwnCommands } from './commands/commands.ts'
import { runConnectCommand } from './commands/connect-commands.ts'
import { addListener, removeListener } from './commands/listener-commands.ts'
import { runDoctor } from './commands/doctor.ts'
import { isFirstStep, takeFirstSteps } from './commands/first-steps.ts'
import { logIn } from './commands/log-in.ts'
import { runNameCommand } from './commands/run-name-command.ts'
import { type AgentTree, settings } from './settings.ts'
import { type ProcessOrigin, start } from './start.ts'
import { printInspector } from './commands/inspect.ts'
import { showStatus } from './commands/status.ts'
import { upgradeAgent } from './commands/upgrade.ts'
import { STARTER } from './starter-file.ts'
import { COMMIT, SOFTWARE } from './version.ts'

/** Address of the JSON Schema of the configuration file. */
export const SCHEMA_ID = 'https://adit.example/schema/agent.json'

/** The agent as a service. */
export const SERVICE: ServiceDefinition = {
  program: 'adit',
  title: 'Adit agent',
  argumentsOf: (configFile) => ['start', '--config', configFile, '--no-live'],
  tokenVariable: 'ADIT_CONNECT_TOKEN_FILE',
}

/** Most names that are made up for one start. */
const MAX_NAMES = 5

/**
 * The program `adit`, from its command line to its exit code.
 *
 * @param attempt - how many names that were made up are taken.
 */
export async function run(
  around: Surroundings,
  origin: ProcessOrigin,
  attempt = 0,
): Promise<number> {
  if (isFirstStep(around)) {
    return await takeFirstSteps(around, async (argv) => {
      // What is asked for has its getter: a spread would read it.
      const { env, stdin, stdout, stderr, cwd, signals } = around
      return await run({ argv, env, ...(stdin && { stdin }), stdout, stderr, cwd, signals }, origin)
    })
  }
  return await runCommandLine<AgentTree, OwnCommands>(
    {
      software: SOFTWARE,
      commit: COMMIT,
      settings,
      commands,
      schemaId: SCHEMA_ID,
      piko: pikoFiles(settings),
      defaultFile: defaultFileOf('adit'),
      starter: STARTER,
      service: SERVICE,
      argumentsOf: (command) => argumentsOf(command, { folder: around.cwd, attempt }),
      run: async (invocation) => {
        try {
          return await runOwn(invocation, origin)
        } catch (error) {
          if (isStopped(error, around.signals.stop)) return EXIT.failed
          const isMadeUp = hasMadeUpName(invocation.command) && attempt + 1 < MAX_NAMES
          if (!isMadeUp || !isNameTaken(error)) throw error
          return await run(around, origin, attempt + 1)
        }
      },
    },
    around,
  )
}

/** Whether a command failed because it was told to stop: that is no defect. */
function isStopped(error: unknown, stop: AbortSignal): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return stop.aborted && (error === stop.reason || cause === stop.reason)
}

/** Whether the server rejected the name because another identity has it. */
function isNameTaken(error: unknown): boolean {
  const cause = error instanceof UserError ? error.cause : error
  return isTunnelError(cause, 'TUNNEL_NAME_TAKEN') || isTunnelError(cause, 'TUNNEL_NAME_IN_USE')
}

async function runOwn(
  invocation: Invocation<AgentTree, OwnCommands>,
  origin: ProcessOrigin,
): Promise<number> {
  const { command } = invocation
  switch (command.name) {
    case 'doctor':
      return await runDoctor(invocation)
    case 'login':
      return await logIn(invocation, { url: command.args.url, ...command.flags })
    case 'status':
      return await showStatus(invocation, command.flags)
    case 'import':
      return await importFile(invocation, command.args)
    case 'inspect':
      return await printInspector(invocation, command.flags)
    case 'upgrade':
      return await upgradeAgent(invocation, command.flags)
    case 'add': {
      const { cwd } = invocation.around
      const listener = addedBy(command, { folder: cwd, attempt: 0 })
      return await addListener(invocation, { listener, cwd }, command.flags.pid)
    }
    case 'remove':
      return await removeListener(invocation, command.args.endpoint, command.flags.pid)
    case 'reserve':
    case 'release':
    case 'list':
    case 'domain add':
    case 'domain list':
    case 'domain remove':
      return await runNameCommand({ ...invocation, command })
    case 'connect explain':
      return await runConnectCommand('explain', command.flags.access, invocation)
    case 'connect diagnose':
      return await runConnectCommand('diagnose', command.flags.access, invocation)
    default:
      return await start(invocation, origin)
  }
}
