import { InheritedSockets } from '@proj/portcheck'
import { type Invocation, runCommandLine, type Surroundings } from '@proj/program-kit'

import { pikoFiles } from './commands/piko-files.ts'
import { runStoreCommand } from './commands/run-store-command.ts'
import { commands, type OwnCommands } from './commands/commands.ts'
import { type ServerTree, settings } from './settings.ts'
import { start } from './start.ts'
import { status } from './commands/status.ts'
import { findTlsFaults } from './tls/tls-material.ts'
import { SOFTWARE } from './version.ts'

/** Address of the JSON Schema of the configuration file. */
export const SCHEMA_ID = 'https://adit.example/schema/server.json'

/**
 * The program `adit-server`, from its command line to its exit code.
 *
 * @param inherited - listening sockets of another process, for the command `start`. Default: none.
 */
export async function run(
  around: Surroundings,
  inherited: InheritedSockets = new InheritedSockets(),
): Promise<number> {
  return await runCommandLine<ServerTree, OwnCommands>(
    {
      software: SOFTWARE,
      settings,
      commands,
      schemaId: SCHEMA_ID,
      piko: pikoFiles(settings),
      inspect: findTlsFaults,
      inspects: ['start'],
      run: async (invocation) => await runOwn(invocation, inherited),
    },
    around,
  )
}

async function runOwn(
  invocation: Invocation<ServerTree, OwnCommands>,
  inherited: InheritedSockets,
): Promise<number> {
  const { command } = invocation
  switch (command.name) {
    case 'start':
      return await start(invocation, inherited)
    case 'status':
      return await status(invocation, command.flags)
    default:
      return await runStoreCommand({ ...invocation, command })
  }
}
