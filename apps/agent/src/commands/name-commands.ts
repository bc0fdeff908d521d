import { oneOf, setting, text } from '@proj/config'
import { argument } from '@proj/program-kit'

import { endpointName } from '../settings.ts'

const NAME = argument(endpointName(), { description: 'Name of the endpoint.' })

const DOMAIN = argument(text(), {
  description: 'Domain, shop.example.com, or *.shop.example.com for all names below it.',
})

/** Commands for the names and domains that the server keeps for the identity of the token. */
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
  'domain add': {
    description:
      'Asks for a domain for an endpoint; shows what proves it: a DNS record, or a file.',
    args: { domain: DOMAIN, name: NAME },
    flags: {
      challenge: setting(oneOf(['txt', 'http']), {
        description:
          'How it is proved. txt: by a DNS record. http: by a file of its web server. Default: as before, else txt.',
      }),
    },
    settings: ['connect'],
    examples: [
      'adit domain add shop.example.com shop',
      'adit domain add shop.example.com shop --challenge http',
    ],
  },
  'domain list': {
    description: 'Shows the domains that this identity has asked for.',
    settings: ['connect'],
    examples: ['adit domain list --json'],
  },
  'domain remove': {
    description: 'Gives up a domain.',
    args: { domain: DOMAIN },
    settings: ['connect'],
    examples: ['adit domain remove shop.example.com'],
  },
} as const
