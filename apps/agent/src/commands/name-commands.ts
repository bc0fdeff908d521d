import { EXIT, formatTable, type Invocation, printable, argument } from '@proj/program-kit'
import { oneOf, setting } from '@proj/config'
import { releaseName, reservedNames, reserveName, type ReservedName } from '@proj/tunnel'

import type { OwnCommands } from './commands.ts'
import { explained } from './explained.ts'
import { serverOptions } from '../connect/server-options.ts'
import { type AgentTree, endpointName } from '../settings.ts'

const NAME = argument(endpointName(), { description: 'Name of the endpoint.' })

/** Commands about the names that the server holds for whoever has the token. */
export const NAME_COMMANDS = {
  reserve: {
    description: 'Holds a name: from now on only agents with this identity may offer it.',
    args: { name: NAME },
    flags: {
      kind: setting(oneOf(['http', 'tcp']), {
        default: 'http',
        description: 'What it is meant for; a note for people.',
      }),
    },
    settings: ['connect'],
    examples: ['adit reserve web', 'adit reserve pc1 --kind tcp'],
  },
  release: {
    description: 'Gives a reserved name up.',
    args: { name: NAME },
    settings: ['connect'],
    examples: ['adit release web'],
  },
  list: {
    description: 'Shows the names that are held for this identity.',
    settings: ['connect'],
    examples: ['adit list --json'],
  },
} as const

/** An invocation of one of them. */
export type NameInvocation = Invocation<AgentTree, OwnCommands> & {
  readonly command: { readonly name: keyof typeof NAME_COMMANDS }
}

/** Runs one of the commands about names. */
export async function runNameCommand(invocation: NameInvocation): Promise<number> {
  const { command, loaded, json, around } = invocation
  const { stdout, env, signals } = around
  const server = await serverOptions(loaded.settings.connect, env)
  const print = (value: unknown, text: string): void =>
    void stdout.write(json ? `${JSON.stringify(value)}\n` : text)
  const signal = signals.stop
  try {
    switch (command.name) {
      case 'reserve': {
        const { kind } = command.flags
        const held = await reserveName(server, command.args.name, { kind, signal })
        print(held, `${printable(held.endpoint)} is reserved for ${printable(held.identity)}\n`)
        break
      }
      case 'release': {
        const { name } = command.args
        await releaseName(server, name, { signal })
        print({ released: name }, `${printable(name)} is released\n`)
        break
      }
      case 'list': {
        const names = await reservedNames(server, { signal })
        print(names, formatNames(names))
      }
    }
    return EXIT.ok
  } catch (error) {
    if (signals.stop.aborted) return EXIT.ok
    throw explained(error)
  }
}

function formatNames(names: readonly ReservedName[]): string {
  if (names.length === 0) return 'no names are reserved\n'
  const rows = names.map(({ endpoint, kind, since, sessions, port }) => [
    printable(endpoint),
    port === undefined ? kind : `${kind} ${port}`,
    sessions === 0 ? 'offline' : 'online',
    `${since.slice(0, 16)}Z`,
  ])
  return formatTable([['NAME', 'KIND', 'STATE', 'SINCE'], ...rows])
}
