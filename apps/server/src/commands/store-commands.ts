import { argument } from '@proj/program-kit'
import { RIGHTS } from '@proj/auth'
import { duration, list, oneOf, path, setting, text } from '@proj/config'

/** Settings that every command on the store takes. */
const STORE_SETTINGS = ['data_dir', 'log', 'cluster.database_url']

/** Commands on the store of the server or of its cluster, whether it runs or not. */
export const STORE_COMMANDS = {
  'token create': {
    description: 'Creates a token and prints it once.',
    settings: STORE_SETTINGS,
    flags: {
      endpoints: setting(list(text()), {
        default: [],
        description:
          'Endpoints that the token allows; * stands for any characters. Required for listen and connect.',
      }),
      may: setting(list(oneOf(RIGHTS)), {
        default: ['listen', 'connect'],
        description: 'Rights of the token.',
      }),
      expiresMs: setting(duration({ min: '1s', max: 'inf' }), {
        default: '90d',
        description: 'How long the token is valid.',
      }),
      tenant: setting(text(), { default: '', description: 'Tenant of the token.' }),
      name: setting(text(), { default: '', description: 'Name of the token in lists.' }),
      replaces: setting(text(), {
        description: 'Id of the token that this one replaces: it keeps the identity and its names.',
      }),
    },
    examples: [
      "adit-server token create --endpoints 'pc*' --may listen --name printers",
      "adit-server token create --endpoints '*' --expires 1d --replaces k3v9m2ab",
    ],
  },
  'token list': {
    description: 'Lists the tokens with rights, expiry and last use.',
    settings: STORE_SETTINGS,
  },
  'token revoke': {
    description: 'Revokes a token; its sessions end within seconds.',
    settings: STORE_SETTINGS,
    args: {
      id: argument(text(), { description: 'Id of the token, the part between the underscores.' }),
    },
  },
  'name list': {
    description: 'Lists the reserved names with their identities.',
    settings: STORE_SETTINGS,
  },
  'name release': {
    description: 'Releases a reserved name of any identity.',
    settings: STORE_SETTINGS,
    args: { name: argument(text(), { description: 'Name of the endpoint.' }) },
    flags: {
      tenant: setting(text(), { default: '', description: 'Tenant of the name.' }),
    },
  },
  'domain list': {
    description: 'Lists the domains that identities have asked for, with their proofs.',
    settings: STORE_SETTINGS,
  },
  'domain remove': {
    description: 'Takes a domain away from its identity, proved or not.',
    settings: STORE_SETTINGS,
    args: {
      domain: argument(text(), { description: 'The domain, with *. in front for a wildcard.' }),
    },
    flags: {
      tenant: setting(text(), {
        description: 'Tenant of the identity. Default: any; empty: those without a tenant.',
      }),
      identity: setting(text(), {
        description:
          'Identity that has asked for it, needed where several have and none has proved it.',
      }),
    },
    examples: ['adit-server domain remove shop.example.com --identity token:k3v9m2ab'],
  },
  audit: {
    description:
      'Shows the audit log: names that were taken, lost and denied, tokens that were created and revoked.',
    settings: STORE_SETTINGS,
    flags: {
      sinceMs: setting(duration({ max: 'inf' }), {
        default: '1d',
        description: 'How far back to look.',
      }),
    },
    examples: ['adit-server audit --since 1h', 'adit-server audit --since inf --json'],
  },
  backup: {
    description: 'Writes a copy of everything the server stores, also while it runs.',
    settings: STORE_SETTINGS,
    args: { file: argument(path(), { description: 'File of the copy; it must not exist.' }) },
    examples: ['adit-server backup /var/backups/adit-2026-01-31.db'],
  },
  'store copy': {
    description:
      'Copies the tokens, names and audit log of this server to the empty database of a cluster. The server must not run.',
    settings: STORE_SETTINGS,
    flags: {
      to: setting(text(), {
        description:
          'URL of the database, without a password. Default: the one in cluster.database-url.',
      }),
      toFile: setting(path(), {
        description: 'File with the URL, for one with a password.',
      }),
    },
    examples: ['adit-server store copy --to-file /run/secrets/database'],
  },
} as const
