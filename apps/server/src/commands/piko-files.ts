import type { ProgramDefinition } from '@proj/program-kit'
import { pikoDialect, pikoFlags } from '@proj/program-kit/piko'

import type { ServerTree, settings } from '../settings.ts'
import type { OwnCommands } from './commands.ts'
import { PIKO_SERVER_KEYS } from './piko-keys.ts'

/** Reads the files of `piko server`. */
export function pikoFiles(
  definition: typeof settings,
): ProgramDefinition<ServerTree, OwnCommands>['piko'] {
  const program = { name: 'server', keys: PIKO_SERVER_KEYS }
  return {
    dialect: (options) => pikoDialect(program, definition, options),
    flags: pikoFlags(program, definition),
  }
}
