import {
  defaultFileOf,
  type Invocation,
  runCommandLine,
  type ServiceDefinition,
  type Surroundings,
} from '@proj/program-kit'

import { pikoFiles } from './commands/piko-files.ts'
import { runStoreCommand } from './commands/run-store-command.ts'
import { commands, type OwnCommands } from './commands/commands.ts'
import { type ServerTree, settings } from './settings.ts'
import type { ProcessOrigin } from './process-origin.ts'
import { start } from './start.ts'
import { status } from './commands/status.ts'
import { findTlsFaults } from './tls/tls-material.ts'
import { upgradeServer } from './commands/upgrade-command.ts'
import { STARTER } from './starter-file.ts'
import { COMMIT, SOFTWARE } from './version.ts'
import { startWorkers } from './workers/start-workers.ts'
import { workerCount } from './workers/worker-count.ts'

/** Address of the JSON Schema of the configuration file. */
export const SCHEMA_ID = 'https://adit.example/schema/server.json'

/** The server as a service. */
export const SERVICE: ServiceDefinition = {
  program: 'adit-server',
  title: 'Adit server',
  argumentsOf: (configFile) => ['--config', configFile],
  state: 'Tokens, names and the audit log',
  carriesMany: true,
}

/** The program `adit-server`, from its command line to its exit code. */
export async function run(around: Surroundings, origin: ProcessOrigin): Promise<number> {
  return await runCommandLine<ServerTree, OwnCommands>(
    {
      software: SOFTWARE,
      commit: COMMIT,
      settings,
      commands,
      schemaId: SCHEMA_ID,
      piko: pikoFiles(settings),
      defaultFile: defaultFileOf('adit-server'),
      starter: STARTER,
      service: SERVICE,
      inspect: findTlsFaults,
      inspects: ['start'],
      run: async (invocation) => await runOwn(invocation, origin),
    },
    around,
  )
}

async function runOwn(
  invocation: Invocation<ServerTree, OwnCommands>,
  origin: ProcessOrigin,
): Promise<number> {
  const { command } = invocation
  switch (command.name) {
    case 'start': {
      const count = workerCount(invocation.loaded.settings.workers)
      const isParent = origin.worker === undefined && count > 1
      return isParent
        ? await startWorkers(invocation, origin, count)
        : await start(invocation, origin)
    }
    case 'status':
      return await status(invocation, command.flags)
    case 'upgrade':
      return await upgradeServer(invocation)
    default:
      return await runStoreCommand({ ...invocation, command })
  }
}
