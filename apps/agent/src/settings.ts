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

const PROXY_SCHEMES = ['http', 'https', 'socks4', 'socks4a', 'socks5', 'socks5h', 'socks']

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
      bindDevice: setting(text(), {
        description: 'Device the socket is tied to (Linux), so that it does choose the way out.',
      }),
      ipFamily: setting(oneOf(['any', '4', '6']), {
        default: 'any',
        description: 'Use addresses of this family only.',
      }),
      proxyUrl: setting(secretUrl({ schemes: PROXY_SCHEMES, words: ['direct'] }), {
        description:
          'Proxy towards the server, or "direct"; unset: HTTPS_PROXY and its kin decide.',
      }),
      noProxy: setting(text(), {
        description: 'Hosts proxy-url is not used for, in the form of NO_PROXY.',
      }),
      proxyCa: setting(path(), { description: 'Authorities to trust for an https: proxy, PEM.' }),
      tls: {
        rootCas: setting(path(), {
          description: 'Authorities to trust besides the built-in ones.',
        }),
        cert: setting(path(), { description: 'Client certificate with its chain, PEM.' }),
        key: setting(path(), { description: 'Private key of the client certificate, PEM.' }),
        serverName: setting(text(), { description: 'Name to verify instead of the host.' }),
        pin: setting(list(text()), {
          default: [],
          description: 'SHA-256 of the public keys that are accepted, base64.',
        }),
        minVersion: setting(oneOf(['TLSv1.2', 'TLSv1.3']), {
          default: 'TLSv1.2',
          description: 'Oldest version that is accepted.',
        }),
        systemCas: setting(boolean(), {
          default: 'true',
          description: 'Trust what the operating system trusts.',
        }),
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

const ACCESS_FLAG = setting(boolean(), {
  default: 'false',
  description: 'The URL is that of a proxy port, as for access.',
})

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
    start: {
      description: 'Offers and brings what the configuration files list.',
      examples: ['adit start --config adit.yaml'],
    },
  },
  examples: ['adit http web 3000', 'adit tcp pg 5432', 'adit access pg --bind 127.0.0.1:15432'],
})
