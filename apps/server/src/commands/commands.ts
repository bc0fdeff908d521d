import { setting, url } from '@proj/config'
import { ADMIN_TLS_FLAGS, defineCommands, GLOBAL_FLAGS, STANDARD_COMMANDS } from '@proj/program-kit'

import { settings } from '../settings.ts'
import { STORE_COMMANDS } from './store-commands.ts'

const ownCommands = {
  start: { description: 'Runs the server; the same as no command.' },
  status: {
    description: 'Shows agents, endpoints and visitors of the server on this machine.',
    settings: ['admin', 'data_dir'],
    flags: {
      url: setting(url({ schemes: ['http', 'https'] }), {
        description: 'URL of the admin port; default: the address in admin.bind-addr.',
      }),
      ...ADMIN_TLS_FLAGS,
    },
  },
  upgrade: {
    description:
      'Replaces the running server by the installed version, without refusing a connection.',
    settings: ['data_dir', 'upgrade', 'log'],
  },
  ...STORE_COMMANDS,
} as const

/** The commands that only the server has. */
export type OwnCommands = typeof ownCommands

/** Every command of the server. */
export const commands = defineCommands({
  program: 'adit-server',
  description: 'Carries visitors to services that have no public address.',
  settings,
  globals: GLOBAL_FLAGS,
  commands: { ...ownCommands, ...STANDARD_COMMANDS },
  defaultCommand: 'start',
  examples: [
    'adit-server',
    'adit-server --proxy.bind-addr 127.0.0.1:9000 --log.level debug',
    'adit-server config check --config server.yaml',
  ],
})
