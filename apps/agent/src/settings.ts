import { bindsAreTcp, LISTENER_SETTINGS, LOG_LEVELS, overlappingBinds } from '@proj/program-kit'
import {
  boolean,
  defineSettings,
  dialAddress,
  duration,
  integer,
  list,
  listenAddresses,
  objects,
  oneOf,
  path,
  portOrAny,
  type Resolved,
  secret,
  secretUrl,
  setting,
  sourceAddress,
  text,
  url,
} from '@proj/config'
import { VISITOR_SETTINGS, visitorProblems } from '@proj/auth'

import { bindsFitTheirOptions, publicBindsAreMeant } from './access/access-rules.ts'
import { publicAdminIsNoticed } from './admin/admin-rules.ts'
import { ACCESS_SETTINGS } from './access/access-settings.ts'

const PROXY_SCHEMES = ['http', 'https', 'socks4', 'socks4a', 'socks5', 'socks5h', 'socks']
/** What can stand in a URL path and in a host label without being taken apart. */
export const endpointName = () =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
  text({ pattern: /^[^/\u0000-\u0020\u007f]+$/, allowed: 'a name without space and slash' })

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
      pingIntervalMs: setting(duration({ min: '100ms' }), {
        default: '10s',
        description:
          'Time between signs of life: shorter than what proxies allow a silent connection.',
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
        endpoint: setting(endpointName(), { required: true, description: 'Name visitors use.' }),
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
        publicPort: setting(portOrAny(), {
          description: 'TCP port of the server that everybody can reach the service on; or any.',
        }),
        proxyProtocol: setting(oneOf(['none', 'v1', 'v2']), {
          default: 'none',
          description: 'Header that tells a TCP service who the visitor is; it must expect one.',
        }),
        visitors: {
          ...VISITOR_SETTINGS,
          enforce: setting(oneOf(['server', 'agent']), {
            default: 'server',
            description: 'Who turns visitors away: the server, or this agent behind it.',
          }),
        },
      },
      { description: 'Services to offer.', identity: 'endpoint', reload: 'live' },
    ),
    accesses: objects(
      {
        endpoint: setting(endpointName(), { required: true, description: 'Endpoint to reach.' }),
        ...ACCESS_SETTINGS,
      },
      { description: 'Remote endpoints to bring here.', identity: 'endpoint', reload: 'live' },
    ),
    admin: {
      bindAddr: setting(listenAddresses(), {
        default: [],
        description: 'Where /health, /ready, /metrics and /status are served; unset: nowhere.',
      }),
      ...LISTENER_SETTINGS,
    },
    log: {
      level: setting(oneOf(LOG_LEVELS), {
        default: 'info',
        reload: 'live',
        description: 'Least important line that is written.',
      }),
      format: setting(oneOf(['auto', 'text', 'json']), {
        default: 'auto',
        description: 'auto: text on a terminal, JSON elsewhere.',
      }),
    },
    live: setting(boolean(), {
      default: 'true',
      description:
        'Show the state at the end of a terminal while it runs; elsewhere there are plain lines.',
    }),
    gracePeriodMs: setting(duration(), {
      default: '1m',
      description: 'How long open connections may take to finish when the agent stops.',
    }),
  },
  rules: [
    function* proxyProtocolIsForTcp({ listeners }) {
      for (const [index, { protocol, proxyProtocol }] of listeners.entries()) {
        if (protocol === 'http' && proxyProtocol !== 'none') {
          yield {
            key: `listeners[${index}].proxy_protocol`,
            message: 'it is for protocol tcp: HTTP services get X-Forwarded-For',
          }
        }
      }
    },
    function* publicPortIsForTcp({ listeners }) {
      const seen = new Set<number>()
      for (const [index, { protocol, publicPort }] of listeners.entries()) {
        if (publicPort === undefined) continue
        const key = `listeners[${index}].public_port`
        if (protocol === 'http') {
          yield { key, message: 'it is for protocol tcp: HTTP services share the proxy port' }
        } else if (publicPort !== 0 && seen.has(publicPort)) {
          yield { key, message: `port ${publicPort} is asked for twice` }
        }
        seen.add(publicPort)
      }
    },
    function* visitorsAreSound({ listeners }) {
      for (const [index, { visitors, protocol }] of listeners.entries()) {
        const key = `listeners[${index}].visitors`
        yield* visitorProblems(key, visitors, protocol)
        if (visitors.enforce === 'agent') continue
        const { hmacSecretKey, jwks } = visitors.jwt
        const local = hmacSecretKey === undefined ? 'jwks.endpoint' : 'hmac_secret_key'
        if (hmacSecretKey !== undefined || jwks.endpoint !== undefined) {
          const message = 'it is not handed to a server'
          yield {
            key: `${key}.jwt.${local}`,
            message,
            hint: 'set enforce: agent, or give a key in PEM',
          }
        }
      }
    },
    function* endpointsDiffer({ listeners }) {
      const seen = new Set<string>()
      for (const [index, { endpoint }] of listeners.entries()) {
        if (seen.has(endpoint)) {
          yield { key: `listeners[${index}].endpoint`, message: `${endpoint} is offered twice` }
        }
        seen.add(endpoint)
      }
    },
    function* bindsCanBeHad({ accesses, admin }) {
      const port = { key: 'admin.bind_addr', addresses: admin.bindAddr }
      yield* bindsAreTcp([port])
      const binds = accesses.map(({ bindAddr }, index) => ({
        key: `accesses[${index}].bind_addr`,
        addresses: bindAddr,
      }))
      yield* overlappingBinds([port, ...binds])
    },
    function* adminIsForThisMachine({ admin }) {
      yield* publicAdminIsNoticed(admin)
    },
    function* bindsFit({ accesses }) {
      yield* bindsFitTheirOptions(accesses)
    },
    function* bindsAreMeant({ accesses }) {
      yield* publicBindsAreMeant(accesses)
    },
    function* oneSource({ connect }) {
      if (connect.bindInterface !== undefined && connect.bindAddr.length > 0) {
        yield { key: 'connect.bind_interface', message: 'it excludes connect.bind_addr' }
      }
    },
  ],
})

/** Groups and lists of the settings, as they are defined. */
export type AgentTree = (typeof settings)['tree']

/** The settings as the agent gets them. */
export type AgentSettings = Resolved<AgentTree>
