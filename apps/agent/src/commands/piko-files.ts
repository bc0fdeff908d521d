import type { ProgramDefinition } from '@proj/program-kit'
import type { RawMap, RawMember, RawNode } from '@proj/config/layers'
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
          const { root: translated, problems } = (isForward ? forward : agent).translate(root)
          const added = isForward
            ? withMember(translated, 'accesses', 'public', allowOthers)
            : withMember(translated, 'listeners', 'request_timeout', timeoutOfRequests)
          return { root: added, problems }
        },
      }
    },
    flags: pikoFlags(AGENT, definition),
  }
}

/** Piko asks for no word before it lets other machines connect, and its file has none to say. */
function allowOthers({ origin }: RawMap): RawMember {
  return { keyOrigin: origin, value: { kind: 'scalar', text: 'true', origin } }
}

/** One timeout of Piko limits two things: connecting, and for HTTP the whole of each request. */
function timeoutOfRequests({ members }: RawMap): RawMember | undefined {
  const protocol = members.get('protocol')?.value
  const isHttp = protocol?.kind !== 'scalar' || protocol.text !== 'tcp'
  return isHttp ? members.get('timeout') : undefined
}

/** Adds a member to every element of a list. @param make - undefined: this element does not get it. */
function withMember(
  root: RawNode,
  list: string,
  name: string,
  make: (item: RawMap) => RawMember | undefined,
): RawNode {
  const member = root.kind === 'map' ? root.members.get(list) : undefined
  if (root.kind !== 'map' || member?.value.kind !== 'list') return root
  const items = member.value.items.map((item): RawNode => {
    const added = item.kind === 'map' ? make(item) : undefined
    if (item.kind !== 'map' || added === undefined) return item
    return { ...item, members: new Map([...item.members, [name, added]]) }
  })
  const value = { ...member.value, items }
  return { ...root, members: new Map([...root.members, [list, { ...member, value }]]) }
}
