import { oneOf, setting } from '@proj/config'
import { argument } from '@proj/program-kit'

import { endpointName } from '../settings.ts'

const NAME = argument(endpointName(), { description: 'Name of the endpoint.' })

/** Commands for the names that the server reserves for the identity of the token. */
export const NAME_COMMANDS = {
  reserve: {
    description: 'Reserves a name: only agents with this identity may use it from now on.',
    args: { name: NAME },
    flags: {
      kind: setting(oneOf(['http', 'tcp']), {
        default: 'http',
        description: 'What it is for; only a note for people.',
      }),
    },
    settings: ['connect'],
    examples: ['adit reserve web', 'adit reserve pc1 --kind tcp'],
  },
  release: {
    description: 'Releases a reserved name.',
    args: { name: NAME },
    settings: ['connect'],
    examples: ['adit release web'],
  },
  list: {
    description: 'Shows the names that are reserved for this identity.',
    settings: ['connect'],
    examples: ['adit list --json'],
  },
} as const
