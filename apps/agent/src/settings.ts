import { LOG_LEVELS } from '@proj/console'
import {
  argument,
  boolean,
  defineCommands,
  defineSettings,
  dialAddress,
  duration,
  integer,
  list,
  listenAddresses,
  objects,
  oneOf,
  path,
  type Resolved,
  secret,
  secretUrl,
  setting,
  sourceAddress,
  text,
  url,
} from '@proj/config'

/** Every setting of the agent: its key, flag, variable, default and words. */
export const settings = defineSettings({
  envPrefix: 'ADIT',
  tree: {
    connect: {
      url: setting(url({ schemes: ['http', 'https', 'ws', 'wss'] }), {
        default: 'http://localhost:8001',
        description: 'The server: its upstream port, or its proxy port for access.',
      }),
      token: setting(secret(), { description: 'Bearer token the server asks for.' }),
      tenantId: setting(text(), { description: 'Tenant the token belongs to.' }),
      connections: setting(integer({ min: 1, max: 16 }), {
        default: '2',
        description: 'Parallel connections to the server.',
      }),
      timeoutMs: setting(duration({ min: '100ms' }), {
        default: '30s',
        description: 'Time for one attempt to reach the server.',
      }),
      bindAddr: setting(list(sourceAddress()), {
        default: [],
        description: 'Source address towards the server; several are tried in order.',
      }),
      bindInterface: setting(text(), {
        description: 'Interface whose addresses are the source, instead of bind-addr.',
      }),
      proxyUrl: setting(
        secretUrl({
          schemes: ['http', 'https', 'socks4', 'socks4a', 'socks5', 'socks5h', 'socks'],
        }),
        {
          description: 'Proxy towards the server; without it HTTPS_PROXY and its kin decide.',
        },
      ),
      direct: setting(boolean(), {
        default: 'false',
        description: 'Use no proxy, whatever the environment says.',
      }),
      tls: {
        rootCas: setting(path(), {
          description: 'Authorities to trust besides the built-in ones.',
        }),
        cert: setting(path(), { description: 'Client certificate with its chain, PEM.' }),
        key: setting(path(), { description: 'Private key of the client certificate, PEM.' }),
        serverName: setting(text(), { description: 'Name to verify instead of the host.' }),
        insecureSkipVerify: setting(boolean(), {
          default: 'false',
          description: 'Trust whoever answers; for experiments only.',
        }),
      },
    },
    listeners: objects(
      {
        endpoint: setting(text(), { required: true, description: 'Name visitors use.' }),
        addr: setting(dialAddress(), { required: true, description: 'The service.' }),
        protocol: setting(oneOf(['http', 'tcp']), {
          default: 'http',
          description: 'What the service speaks.',
        }),
        timeoutMs: setting(duration({ min: '10ms' }), {
          default: '10s',
          description: 'Time to connect to the service.',
        }),
        bindAddr: setting(list(sourceAddress()), {
          default: [],
          description: 'Source address towards the service.',
        }),
      },
      { description: 'Services to offer.', identity: 'endpoint' },
    ),
    accesses: objects(
      {
        endpoint: setting(text(), { required: true, description: 'Endpoint to reach.' }),
        bindAddr: setting(listenAddresses(), {
          required: true,
          description: 'Where it is reached from here.',
        }),
      },
      { description: 'Remote endpoints to bring here.', identity: 'endpoint' },
    ),
    log: {
      level: setting(oneOf(LOG_LEVELS), {
        default: 'info',
        description: 'Least important line that is written.',
      }),
      format: setting(oneOf(['auto', 'text', 'json']), {
        default: 'auto',
        description: 'auto: text on a terminal, JSON elsewhere.',
      }),
    },
    gracePeriodMs: setting(duration(), {
      default: '1m',
      description: 'How long open connections may take to finish when the agent stops.',
    }),
  },
  rules: [
    function* endpointsDiffer({ listeners }) {
      const seen = new Set<string>()
      for (const [index, { endpoint }] of listeners.entries()) {
        if (seen.has(endpoint)) {
          yield { key: `listeners[${index}].endpoint`, message: `${endpoint} is offered twice` }
        }
        seen.add(endpoint)
      }
    },
    function* oneSource({ connect }) {
      if (connect.bindInterface !== undefined && connect.bindAddr.length > 0) {
        yield { key: 'connect.bind_interface', message: 'it excludes connect.bind_addr' }
      }
    },
  ],
})

/** The settings as the agent gets them. */
export type AgentSettings = Resolved<(typeof settings)['tree']>

/** Every command of the agent. */
export const commands = defineCommands({
  program: 'adit',
  description: 'Makes a service reachable that has no public address, and reaches one.',
  settings,
  globals: {
    config: setting(list(path()), {
      default: [],
      short: 'c',
      description: 'Configuration file; several are merged in order.',
    }),
    json: setting(boolean(), {
      default: 'false',
      description: 'Print one JSON object per event on standard output.',
    }),
  },
  commands: {
    http: {
      description: 'Offers an HTTP service.',
      args: {
        endpoint: argument(text(), { description: 'Name visitors use.' }),
        address: argument(text(), { description: 'The service: 3000, host:3000, unix:/path.' }),
      },
      settings: ['connect', 'log', 'gracePeriod'],
      examples: [
        'adit http web 3000',
        'adit http web 10.0.0.5:8080 --connect.url https://tunnel.example.com',
      ],
    },
    tcp: {
      description: 'Offers a TCP service.',
      args: {
        endpoint: argument(text(), { description: 'Name consumers use.' }),
        address: argument(text(), { description: 'The service: 5432, host:5432, unix:/path.' }),
      },
      settings: ['connect', 'log', 'gracePeriod'],
      examples: ['adit tcp pg 5432'],
    },
    access: {
      description: 'Brings remote TCP endpoints to addresses here.',
      args: {
        endpoints: argument(list(text()), { description: 'NAME, or NAME=ADDRESS for several.' }),
      },
      flags: {
        bind: setting(text(), { description: 'Address for a single NAME, 127.0.0.1:15432.' }),
      },
      settings: ['connect', 'log', 'gracePeriod'],
      examples: [
        'adit access pg --bind 127.0.0.1:15432',
        'adit access pc1=127.0.0.1:9901 pc2=127.0.0.1:9902',
      ],
    },
    start: {
      description: 'Offers and brings what the configuration files list.',
      examples: ['adit start --config adit.yaml'],
    },
  },
  examples: ['adit http web 3000', 'adit tcp pg 5432', 'adit access pg --bind 127.0.0.1:15432'],
})
