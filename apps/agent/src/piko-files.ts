import type { ProgramDefinition } from '@proj/console'
import { pikoDialect, pikoFlags } from '@proj/config'

import type { OwnCommands } from './commands.ts'
import type { AgentTree, settings } from './settings.ts'

/**
 * Reads the files of `piko agent` and of `piko forward`, which one program is here. Only the latter
 * has a list of ports.
 */
export function pikoFiles(
  definition: typeof settings,
): ProgramDefinition<AgentTree, OwnCommands>['piko'] {
  return {
    dialect: (options) => {
      const agent = pikoDialect('agent', definition, options)
      const forward = pikoDialect('forward', definition, options)
      return {
        name: 'Piko',
        expand: agent.expand,
        translate: (root) => {
          const isForward = root.kind === 'map' && root.members.has('ports')
          return (isForward ? forward : agent).translate(root)
        },
      }
    },
    flags: pikoFlags('agent', definition),
  }
}
