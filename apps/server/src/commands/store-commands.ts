import { argument } from '@proj/program-kit'
import { RIGHTS } from '@proj/auth'
import { duration, list, oneOf, path, setting, text } from '@proj/config'

/** Settings that every command on the store takes. */
const STORE_SETTINGS = ['data_dir', 'log']

/** Commands that work on what the server keeps, whether it runs or not. */
export const STORE_COMMANDS = {
  'token create': {
    description: 'Makes a token and prints it, this once.',
    settings: STORE_SETTINGS,
    flags: {
      endpoints: setting(list(text()), {
        default: [],
        description:
          'Endpoints it is for; * stands for any characters. Needed for listen and connect.',
      }),
      may: setting(list(oneOf(RIGHTS)), {
        default: ['listen', 'connect'],
        description: 'What its bearer may do.',
      }),
      expiresMs: setting(duration({ min: '1s', max: 'inf' }), {
        default: '90d',
        description: 'How long it is good for.',
      }),
      tenant: setting(text(), { default: '', description: 'Tenant it belongs to.' }),
      name: setting(text(), { default: '', description: 'What to call it in lists.' }),
      replaces: setting(text(), {
        description:
          'Id of a token whose names its bearer goes on to have: a token that follows it.',
      }),
    },
    examples: [
      "adit-server token create --endpoints 'pc*' --may listen --name printers",
      "adit-server token create --endpoints '*' --expires 1d --replaces k3v9m2ab",
    ],
  },
  'token list': {
    description: 'Shows the tokens: what they are for, how long, when they were last used.',
    settings: STORE_SETTINGS,
  },
  'token revoke': {
    description: 'Ends a token, and within seconds every session that lives on it.',
    settings: STORE_SETTINGS,
    args: { id: argument(text(), { description: 'Its id, the part between the underscores.' }) },
  },
  'name list': {
    description: 'Shows the names that are reserved, and for whom.',
    settings: STORE_SETTINGS,
  },
  'name release': {
    description: 'Gives a reserved name up, whoever it is held for.',
    settings: STORE_SETTINGS,
    args: { name: argument(text(), { description: 'Name of the endpoint.' }) },
    flags: {
      tenant: setting(text(), { default: '', description: 'Tenant whose name it is.' }),
    },
  },
  audit: {
    description: 'Shows who took, lost and was refused names, and which tokens came and went.',
    settings: STORE_SETTINGS,
    flags: {
      sinceMs: setting(duration({ max: 'inf' }), {
        default: '1d',
        description: 'How far to look back.',
      }),
    },
    examples: ['adit-server audit --since 1h', 'adit-server audit --since inf --json'],
  },
  backup: {
    description: 'Writes a copy of everything the server keeps, also while it runs.',
    settings: STORE_SETTINGS,
    args: { file: argument(path(), { description: 'The copy; it must not exist.' }) },
    examples: ['adit-server backup /var/backups/adit-2026-01-31.db'],
  },
} as const
