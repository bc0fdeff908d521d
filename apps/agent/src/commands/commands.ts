import {
  ADMIN_TLS_FLAGS,
  GLOBAL_FLAGS,
  STANDARD_COMMANDS,
  argument,
  defineCommands,
} from '@proj/program-kit'
import { boolean, integer, list, path, setting, text, textOf, url } from '@proj/config'

import { ACCESS_SETTINGS } from '../access/access-settings.ts'
import { NAME_COMMANDS } from './name-commands.ts'
import { endpointName, settings } from '../settings.ts'

const ACCESS_FLAG = setting(boolean(), {
  default: 'false',
  description: 'The URL is that of a proxy port, as access uses it.',
})

/** Flags and arguments that stand for a setting accept what it accepts, and hand on the text. */
const LISTENER = settings.tree.listeners.item

const LISTENER_FLAGS = {
  exclusive: setting(boolean(), {
    default: 'false',
    description: 'Serve the name alone; by default agents of one identity share it.',
  }),
  weight: setting(textOf(LISTENER.weight.type), {
    description:
      'How often this agent is chosen, compared to others of the endpoint: 5 beside one of 95; default: 100.',
  }),
  visitorAllow: setting(list(textOf(LISTENER.visitors.allow.type)), {
    description: 'Addresses and blocks that may visit, 192.0.2.0/24; default: all.',
  }),
  visitorDeny: setting(list(textOf(LISTENER.visitors.deny.type)), {
    description: 'Addresses and blocks that may not visit, even when allowed.',
  }),
  visitorEnforce: setting(textOf(LISTENER.visitors.enforce.type), {
    description: 'Where the rules for visitors are enforced: server, the default, or agent.',
  }),
}

/** Flags for a service with TLS. */
const SERVICE_TLS_FLAGS = {
  insecureService: setting(boolean(), {
    default: 'false',
    description: 'Do not verify the certificate of an https service; only for tests.',
  }),
  serviceCa: setting(path(), {
    description: 'Certificate authorities to trust for an https service besides the built-in ones.',
  }),
  serviceName: setting(text(), {
    description: 'Name to verify in the certificate of an https service, instead of the host.',
  }),
  serviceCert: setting(path(), {
    description: 'Client certificate with its chain for an https service, PEM.',
  }),
  serviceKey: setting(path(), { description: 'Private key of service-cert, PEM.' }),
}

/** Flags of an HTTP service. */
const HTTP_FLAGS = {
  ...LISTENER_FLAGS,
  ...SERVICE_TLS_FLAGS,
  listing: setting(boolean(), {
    default: 'false',
    description: 'List folders that have no index.html.',
  }),
  hostHeader: setting(textOf(LISTENER.hostHeader.type), {
    description:
      'Host that the service gets: keep, that of the visitor, the default; service, that of its address; or a name.',
  }),
  cors: setting(list(textOf(LISTENER.cors.type)), {
    description: 'Origins whose pages may read answers, * for all.',
  }),
  reuse: setting(textOf(LISTENER.reuse.type), {
    description:
      'When a connection to the service carries another request: never, safe, always; default: as the server is set.',
  }),
  strictness: setting(textOf(LISTENER.strictness.type), {
    description:
      'How answers of the service that break the grammar of HTTP are read: lenient repairs those with one reading, strict rejects all; default: lenient.',
  }),
  visitorUser: setting(text(), { description: 'User name that visitors must give.' }),
  visitorPasswordFile: setting(path(), {
    description: 'File with the password of visitor-user.',
  }),
}

/** Flags of a TCP service. */
const TCP_FLAGS = {
  ...LISTENER_FLAGS,
  publicPort: setting(textOf(LISTENER.publicPort.type), {
    description: 'Public TCP port of the server for this service; or any.',
  }),
  proxyProtocol: setting(textOf(LISTENER.proxyProtocol.type), {
    description:
      'PROXY protocol header with the address of the visitor, v1 or v2, for a service that expects it.',
  }),
}

/** Name and address of `adit http` and `adit add`. */
const PUBLISHED = {
  endpoint: argument(text(), {
    description: 'Name that visitors use; when it is left out, one is made up.',
  }),
  address: argument(textOf(LISTENER.addr.type), {
    description:
      'Address of the service: 3000, host:3000, https://host:8443, unix:/path; or a folder: ./site.',
    optional: true,
  }),
}

/** The agent that a command is for. */
const PID_FLAG = setting(integer({ min: 1 }), {
  description: 'Process of the agent; needed when several run here.',
})

/** Settings of the commands that run listeners and accesses. */
const RUNNING = [
  'connect',
  'admin',
  'inspect',
  'inspector',
  'log',
  'live',
  'upgrade',
  'drain',
  'grace_period',
]

const ownCommands = {
  login: {
    description:
      'Tries a server and a token, and writes both into the configuration file of this user.',
    args: {
      url: argument(text(), {
        description: 'URL of the server; at a terminal it is asked for when it is left out.',
        optional: true,
      }),
    },
    flags: {
      tokenStdin: setting(boolean(), {
        default: 'false',
        description: 'Read the token from standard input.',
      }),
    },
    settings: ['connect'],
    examples: [
      'adit login https://tunnel.example.com',
      'adit login https://tunnel.example.com --token-file ./token',
    ],
  },
  http: {
    description: 'Publishes an HTTP service, or the files of a folder.',
    args: PUBLISHED,
    flags: HTTP_FLAGS,
    settings: RUNNING,
    examples: [
      'adit http web 3000',
      'adit http 3000',
      'adit http web ./site',
      'adit http web 10.0.0.5:8080 --connect.url https://tunnel.example.com',
      'adit http web 5173 --host-header service',
      'adit http web https://localhost:8443 --service-ca ./ca.pem',
      'adit http web 3000 --visitor-user ann --visitor-password-file ./password',
    ],
  },
  tcp: {
    description: 'Publishes a TCP service.',
    args: {
      endpoint: argument(endpointName(), { description: 'Name that consumers use.' }),
      address: argument(textOf(LISTENER.addr.type), {
        description: 'Address of the service: 5432, host:5432, unix:/path.',
      }),
    },
    flags: TCP_FLAGS,
    settings: RUNNING,
    examples: [
      'adit tcp pg 5432',
      'adit tcp pg 5432 --public-port 9901',
      'adit tcp pg 5432 --visitor-allow 192.0.2.0/24',
    ],
  },
  access: {
    description: 'Makes remote TCP endpoints reachable at local addresses.',
    args: {
      endpoints: argument(list(text()), { description: 'NAME, or NAME=ADDRESS for several.' }),
    },
    flags: {
      bind: setting(list(text()), {
        default: [],
        description: 'Addresses for a single NAME, 127.0.0.1:15432.',
      }),
      onConflict: setting(textOf(ACCESS_SETTINGS.onConflict.type), {
        description:
          'When an address is taken: fail, wait until it is free, take the next free port, or retry ' +
          'without end while the others are served.',
      }),
      wait: setting(textOf(ACCESS_SETTINGS.waitMs.type), {
        description: 'Longest wait of --on-conflict=wait, 30s.',
      }),
      public: setting(boolean(), {
        default: 'false',
        description: 'Allow addresses that other machines can reach.',
      }),
      allow: setting(list(textOf(ACCESS_SETTINGS.allow.type)), {
        default: [],
        description: 'Addresses and blocks that may connect.',
      }),
      deny: setting(list(textOf(ACCESS_SETTINGS.deny.type)), {
        default: [],
        description: 'Addresses and blocks that may not connect, even when allowed.',
      }),
      socketMode: setting(textOf(ACCESS_SETTINGS.socketMode.type), {
        description: 'Permissions of unix sockets, 0660.',
      }),
      timeout: setting(textOf(ACCESS_SETTINGS.timeoutMs.type), {
        description: 'How long a new connection waits while the server cannot be reached, 15s.',
      }),
    },
    settings: RUNNING,
    examples: [
      'adit access pg --bind 127.0.0.1:15432',
      'adit access pc1=127.0.0.1:9901 pc2=127.0.0.1:9902',
      'adit access pg --bind localhost:15432 --on-conflict next',
      'adit access pg --bind :15432 --allow 192.168.1.0/24',
      'adit access pg --bind unix:/run/adit/pg.sock --socket-mode 0660',
    ],
  },
  add: {
    description: 'Adds a listener to a running agent of this user; it is in no file.',
    args: PUBLISHED,
    flags: {
      ...HTTP_FLAGS,
      ...TCP_FLAGS,
      protocol: setting(textOf(LISTENER.protocol.type), {
        description: 'Protocol of the service: http, the default, or tcp.',
      }),
      pid: PID_FLAG,
    },
    settings: [],
    examples: ['adit add api 3001', 'adit add pg 5432 --protocol tcp --public-port 9901'],
  },
  remove: {
    description: 'Ends a listener of a running agent of this user; open connections go on.',
    args: { endpoint: argument(endpointName(), { description: 'Name that visitors use.' }) },
    flags: { pid: PID_FLAG },
    settings: [],
    examples: ['adit remove api'],
  },
  ...NAME_COMMANDS,
  'connect explain': {
    description: 'Shows what connecting would do, without connecting.',
    flags: { access: ACCESS_FLAG },
    settings: ['connect'],
    examples: ['adit connect explain --connect.url https://tunnel.example.com'],
  },
  'connect diagnose': {
    description: 'Connects to the server step by step and says which step fails, and why.',
    flags: { access: ACCESS_FLAG },
    settings: ['connect'],
    examples: ['adit connect diagnose --connect.proxy-url http://proxy.corp:3128 --json'],
  },
  doctor: {
    description:
      'Tries the server, the token, the clocks, the certificate and every service, and says what to do.',
    settings: ['connect', 'listeners', 'log'],
    examples: ['adit doctor', 'adit doctor --json'],
  },
  start: {
    description: 'Runs the listeners and accesses of the configuration files.',
    examples: ['adit start --config adit.yaml'],
  },
  status: {
    description: 'Shows the running agents of this user on this machine, or the state of a server.',
    settings: [],
    flags: {
      url: setting(url({ schemes: ['http', 'https'] }), {
        description: 'Admin port of a server to show instead: http://localhost:8002.',
      }),
      ...ADMIN_TLS_FLAGS,
    },
  },
  import: {
    description:
      'Makes a configuration from a file of frpc, ngrok, cloudflared or Piko, and lists what it leaves out.',
    args: {
      file: argument(textOf(path()), {
        description: 'The file: frpc.toml, frpc.ini, ngrok.yml, cloudflared.yml, piko.yaml.',
      }),
      output: argument(textOf(path()), {
        description: 'File to write, which must not exist yet; default: standard output.',
        optional: true,
      }),
    },
    settings: [],
    examples: ['adit import frpc.toml', 'adit import ngrok.yml adit.yaml'],
  },
  inspect: {
    description: 'Prints the address of the inspector of a running agent of this user.',
    settings: [],
    flags: { pid: PID_FLAG },
    examples: ['adit inspect'],
  },
  upgrade: {
    description:
      'Replaces a running agent of this user by the installed version, without refusing a connection.',
    settings: [],
    flags: { pid: PID_FLAG },
    examples: ['adit upgrade', 'adit upgrade --pid 4711'],
  },
} as const

/** The commands that only the agent has. */
export type OwnCommands = typeof ownCommands

/** Every command of the agent. */
export const commands = defineCommands({
  program: 'adit',
  description: 'Publishes services that have no public address, and connects to them.',
  settings,
  globals: GLOBAL_FLAGS,
  commands: { ...ownCommands, ...STANDARD_COMMANDS },
  examples: ['adit http web 3000', 'adit tcp pg 5432', 'adit access pg --bind 127.0.0.1:15432'],
})
