import type { ProgramDefinition } from '@proj/program-kit'
import type { Dialect } from '@proj/config'
import { pikoDialect, pikoFlags } from '@proj/program-kit/piko'

import type { OwnCommands } from './commands.ts'
import type { AgentTree, settings } from '../settings.ts'
import { PIKO_AGENT_KEYS, PIKO_FORWARD_KEYS } from './piko-keys.ts'

const AGENT = { name: 'agent', keys: PIKO_AGENT_KEYS }
const FORWARD = { name: 'forward', keys: PIKO_FORWARD_KEYS }

/**
 * Reads the files of `piko agent` and of `piko forward`, which one program is here. Only the latter
 * has a list of ports.
 */
export function pikoFiles(
  definition: typeof settings,
): ProgramDefinition<AgentTree, OwnCommands>['piko'] {
  return {
    dialect: (options) => {
      const agent = pikoDialect(AGENT, definition, options)
      const forward = pikoDialect(FORWARD, definition, options)
      return {
        name: 'Piko',
        expand: agent.expand,
        translate: (root) => {
          const isForward = root.kind === 'map' && root.members.has('ports')
          if (!isForward) return agent.translate(root)
          const { root: translated, problems } = forward.translate(root)
          return { root: withPublicBinds(translated), problems }
        },
      }
    },
    flags: pikoFlags(AGENT, definition),
  }
}

type RawNode = ReturnType<Dialect['translate']>['root']

/** Piko asks for no word before it lets other machines connect, and its file has none to say. */
function withPublicBinds(root: RawNode): RawNode {
  const accesses = root.kind === 'map' ? root.members.get('accesses') : undefined
  if (root.kind !== 'map' || accesses?.value.kind !== 'list') return root
  const items = accesses.value.items.map((item): RawNode => {
    if (item.kind !== 'map') return item
    const { origin } = item
    const word = { keyOrigin: origin, value: { kind: 'scalar', text: 'true', origin } } as const
    return { ...item, members: new Map([...item.members, ['public', word]]) }
  })
  const value = { ...accesses.value, items }
  return { ...root, members: new Map([...root.members, ['accesses', { ...accesses, value }]]) }
}
