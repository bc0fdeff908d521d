// Length: one table; every setting of the agent, and the rules between them.
import {
  bindsAreTcp,
  LISTENER_SETTINGS,
  LOG_SETTINGS,
  overlappingBinds,
  tracingSettings,
} from '@proj/program-kit'
import {
  boolean,
  defineSettings,
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
import { NO_PROXY_FORMS, wrongNoProxyEntries } from '@proj/dialer'
import { ANSWER_STRICTNESSES, STREAM_REUSES, TUNNEL_LIMITS, WEIGHTS } from '@proj/tunnel'
import {
  ENDPOINT_LIMIT_SETTINGS,
  limitProblems,
  VISITOR_SETTINGS,
  visitorProblems,
} from '@proj/auth'
import { MIN_BANDWIDTH } from '@proj/tunnel/io'

import { bindsFitTheirOptions, publicBindsAreMeant } from './access/access-settings-rules.ts'
import { publicAdminIsNoticed } from './admin/admin-rules.ts'
import { ACCESS_SETTINGS } from './access/access-settings.ts'
import { HEALTH_SETTINGS, healthCanBeChecked } from './listeners/health-check.ts'
import { INSPECTOR_SETTINGS } from './inspect/inspector-settings.ts'
import { isFolder, listenerAddr } from './listeners/listener-addr.ts'
import { RULE_SETTINGS, rulesCanBeFollowed } from './listeners/rules/rule-settings.ts'
import { SERVICE_TLS_SETTINGS, serviceTlsIsUsed } from './listeners/service-tls.ts'

const { connections, pingIntervalMs, spreadIntervalMs } = TUNNEL_LIMITS
const PROXY_SCHEMES = ['http', 'https', 'socks4', 'socks4a', 'socks5', 'socks5h', 'socks']
/** A name that fits into a URL path and a host label without escaping. */
export const endpointName = () =>
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
  text({ pattern: /^[^/\u0000-\u0020\u007f]+$/, allowed: 'a name without space and slash' })

/** Every setting of the agent: key, flag, variable, default and description. */
export const settings = defineSettings({
  envPrefix: 'ADIT',
  groups: {
    connect: 'How the server is reached: source address, proxy, TLS, token.',
    admin: 'The port for health checks, metrics and status.',
    log: 'What is logged, and how.',
    tracing: 'Traces of requests, for OpenTelemetry.',
    upgrade: 'The upgrade in place.',
    drain: 'How open connections end when the agent stops.',
  },
  tree: {
    connect: {
      url: setting(list(url({ schemes: ['http', 'https', 'ws', 'wss'] }), { maxItems: 16 }), {
        alias: 'url',
        default: ['http://localhost:8001'],
        description:
          'URL of the server: its upstream port, or its proxy port for access. Several are those of several servers.',
      }),
      token: setting(secret(), { alias: 'token', description: 'Bearer token for the server.' }),
      tenantId: setting(text(), { description: 'Tenant the token belongs to.' }),
      connections: setting(integer({ min: connections.min, max: connections.max }), {
        default: connections.default,
        description:
          'Parallel connections to the server, spread over the servers where there are several.',
      }),
      timeoutMs: setting(duration({ min: '100ms' }), {
        default: '30s',
        description: 'Time for one attempt to reach the server.',
      }),
      pingIntervalMs: setting(duration({ min: pingIntervalMs.min }), {
        default: pingIntervalMs.default,
        description: 'Time between pings; set it below the idle timeout of proxies on the way.',
      }),
      spreadIntervalMs: setting(duration({ min: spreadIntervalMs.min }), {
        default: spreadIntervalMs.default,
        description:
          'Time between attempts to reach another server while several connections have the same one; it grows. inf: none.',
      }),
      bindAddr: setting(list(sourceAddress()), {
        default: [],
        description: 'Source address of connections to the server; several are tried in order.',
      }),
      bindInterface: setting(text(), {
        description: 'Interface whose addresses are used as source, instead of bind-addr.',
      }),
      bindDevice: setting(text(), {
        description:
          'Network device that the socket is bound to (Linux); unlike a source address it selects the route.',
      }),
      ipFamily: setting(oneOf(['any', '4', '6']), {
        default: 'any',
        description: 'Use only addresses of this family.',
      }),
      proxyUrl: setting(secretUrl({ schemes: PROXY_SCHEMES, words: ['direct', 'system'] }), {
        description:
          'Proxy for connections to the server, "direct", or "system" for the settings of Windows, macOS or GNOME; unset: HTTPS_PROXY and similar variables decide.',
      }),
      noProxy: setting(text(), {
        description: 'Hosts that are reached without proxy-url, in the form of NO_PROXY.',
      }),
      proxyCa: setting(path(), {
        description: 'Certificate authorities to trust for an https: proxy, PEM.',
      }),
      tls: {
        rootCas: setting(path(), {
          description: 'Certificate authorities to trust besides the built-in ones.',
        }),
        cert: setting(path(), { description: 'Client certificate with its chain, PEM.' }),
        key: setting(path(), { description: 'Private key of the client certificate, PEM.' }),
        serverName: setting(text(), {
          description: 'Name to verify in the certificate, instead of the host.',
        }),
        pin: setting(list(text()), {
          default: [],
          description: 'Accept only these public keys: SHA-256, base64.',
        }),
        minVersion: setting(oneOf(['TLSv1.2', 'TLSv1.3']), {
          default: 'TLSv1.2',
          description: 'Oldest TLS version that is accepted.',
        }),
        systemCas: setting(boolean(), {
          default: 'true',
          description: 'Trust the certificate authorities of the operating system.',
        }),
        insecureSkipVerify: setting(boolean(), {
          default: 'false',
          description: 'Do not verify the certificate; only for tests.',
        }),
      },
    },
    listeners: objects(
      {
        endpoint: setting(endpointName(), {
          required: true,
          description: 'Name that visitors use.',
        }),
        addr: setting(listenerAddr(), {
          required: true,
          description:
            'Address of the service, with https:// in front for one with TLS; or a folder, whose files are served.',
        }),
        listing: setting(boolean(), {
          default: 'false',
          description: 'List folders that have no index.html, where addr is a folder.',
        }),
        offlinePage: setting(path(), {
          description:
            'HTML file of at most 64 KiB that browsers get while no agent serves the endpoint.',
        }),
        tls: SERVICE_TLS_SETTINGS,
        ...RULE_SETTINGS,
        ...HEALTH_SETTINGS,
        protocol: setting(oneOf(['http', 'tcp']), {
          default: 'http',
          description: 'Protocol of the service.',
        }),
        timeoutMs: setting(duration({ min: '10ms' }), {
          default: '10s',
          description: 'Time to connect to the service.',
        }),
        bindAddr: setting(list(sourceAddress()), {
          default: [],
          description: 'Source address of connections to the service.',
        }),
        publicPort: setting(portOrAny(), {
          description: 'Public TCP port of the server for this service; or any.',
        }),
        exclusive: setting(boolean(), {
          default: 'false',
          description:
            'Serve the name alone: the server rejects this agent while another one serves it, and others while this one does.',
        }),
        reuse: setting(oneOf(STREAM_REUSES), {
          description:
            'When a connection to the HTTP service carries another request. safe: after a body for the same visitor alone, else after a look for bytes beyond the answer. Default: proxy.reuse of the server.',
        }),
        strictness: setting(oneOf(ANSWER_STRICTNESSES), {
          description:
            'How answers of the HTTP service are read that break the grammar of HTTP. lenient: those with one reading are repaired, and their connection is closed; the others are rejected with 502. strict: all are rejected. Default: lenient.',
        }),
        weight: setting(integer({ min: WEIGHTS.min, max: WEIGHTS.max }), {
          description:
            'How often this agent is chosen, compared to others of the endpoint: with 5 beside one of 95 it gets one of twenty. Default: 100.',
        }),
        limits: ENDPOINT_LIMIT_SETTINGS,
        proxyProtocol: setting(oneOf(['none', 'v1', 'v2']), {
          default: 'none',
          description:
            'PROXY protocol header with the address of the visitor, for a TCP service that expects it.',
        }),
        visitors: {
          ...VISITOR_SETTINGS,
          enforce: setting(oneOf(['server', 'agent']), {
            default: 'server',
            description:
              'Where the rules for visitors are enforced: by the server, or by this agent.',
          }),
        },
      },
      { description: 'Services to publish.', identity: 'endpoint', reload: 'live' },
    ),
    accesses: objects(
      {
        endpoint: setting(endpointName(), { required: true, description: 'Endpoint to reach.' }),
        ...ACCESS_SETTINGS,
      },
      {
        description: 'Remote endpoints to make reachable at local addresses.',
        identity: 'endpoint',
        reload: 'live',
      },
    ),
    admin: {
      bindAddr: setting(listenAddresses(), {
        default: [],
        description: 'Address of /health, /ready, /metrics and /status; unset: none.',
      }),
      ...LISTENER_SETTINGS,
    },
    log: LOG_SETTINGS,
    inspect: setting(boolean(), {
      description:
        'Capture what crosses the listeners and show it on a page of this machine; unset: when the agent runs on a terminal.',
    }),
    inspector: INSPECTOR_SETTINGS,
    tracing: tracingSettings(
      'Share of the requests that get a span, of those that the server has sampled; of all, where it sends no traceparent.',
    ),
    live: setting(boolean(), {
      default: 'true',
      description:
        'Show the state on a terminal while the agent runs; other outputs get plain lines.',
    }),
    upgrade: {
      timeoutMs: setting(duration({ min: 100 }), {
        default: '30s',
        description:
          'Upgrade in place: how long the new process may take for each of its two steps; then it is ended, and the old process continues to run.',
      }),
    },
    drain: {
      delayMs: setting(duration(), {
        default: '0s',
        description:
          'On SIGTERM: how long it serves as before while /ready is 503, for load balancers in front of addresses of accesses. Ctrl-C does not wait.',
      }),
      longLivedMs: setting(duration(), {
        default: '30s',
        description:
          'How long WebSockets, event streams and TCP connections stay open after SIGTERM; then they are closed. At most 2 s less than grace-period.',
      }),
    },
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
            message: 'it needs protocol tcp; HTTP services get X-Forwarded-For',
          }
        }
      }
    },
    function* reuseIsForHttp({ listeners }) {
      for (const [index, { protocol, reuse }] of listeners.entries()) {
        if (protocol === 'tcp' && reuse !== undefined) {
          yield {
            key: `listeners[${index}].reuse`,
            message: 'connections of a TCP service carry no requests: leave it out',
          }
        }
      }
    },
    function* strictnessIsForHttp({ listeners }) {
      for (const [index, { protocol, strictness }] of listeners.entries()) {
        if (protocol === 'tcp' && strictness !== undefined) {
          yield {
            key: `listeners[${index}].strictness`,
            message: 'the answers of a TCP service are not read: leave it out',
          }
        }
      }
    },
    function* limitsFit({ listeners }) {
      for (const [index, { protocol, limits }] of listeners.entries()) {
        const key = `listeners[${index}].limits`
        yield* limitProblems(key, limits, MIN_BANDWIDTH)
        if (protocol === 'http') continue
        const ofRequests = [
          ['max_body', limits.maxBodyBytes],
          ['max_time', limits.maxTimeMs],
        ] as const
        for (const [name, limit] of ofRequests) {
          if (limit === undefined) continue
          const message = 'connections of a TCP service carry no requests: leave it out'
          yield { key: `${key}.${name}`, message }
        }
      }
    },
    function* serviceTlsFits({ listeners }) {
      yield* serviceTlsIsUsed(listeners)
    },
    function* httpRulesFit({ listeners }) {
      yield* rulesCanBeFollowed(listeners)
    },
    function* healthFits({ listeners }) {
      yield* healthCanBeChecked(listeners)
    },
    function* foldersFit({ listeners }) {
      for (const [index, { addr, protocol, listing }] of listeners.entries()) {
        const key = `listeners[${index}]`
        if (listing && !isFolder(addr)) {
          yield { key: `${key}.listing`, message: 'it is for a folder, and addr is a service' }
        }
        if (protocol === 'tcp' && isFolder(addr)) {
          yield {
            key: `${key}.addr`,
            message: 'a folder is served over HTTP: it needs protocol http',
          }
        }
      }
    },
    function* offlinePageIsForHttp({ listeners }) {
      for (const [index, { protocol, offlinePage }] of listeners.entries()) {
        if (protocol === 'http' || offlinePage === undefined) continue
        yield {
          key: `listeners[${index}].offline_page`,
          message: 'a page is for an endpoint with protocol http',
        }
      }
    },
    function* publicPortIsForTcp({ listeners }) {
      const seen = new Set<number>()
      for (const [index, { protocol, publicPort }] of listeners.entries()) {
        if (publicPort === undefined) continue
        const key = `listeners[${index}].public_port`
        if (protocol === 'http') {
          yield { key, message: 'it needs protocol tcp; HTTP services share the proxy port' }
        } else if (publicPort !== 0 && seen.has(publicPort)) {
          yield { key, message: `port ${publicPort} is used twice` }
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
          const message = 'it cannot be sent to a server'
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
          yield { key: `listeners[${index}].endpoint`, message: `${endpoint} is listed twice` }
        }
        seen.add(endpoint)
      }
    },
    function* bindsCanBeHad({ accesses, admin, inspector }) {
      const port = { key: 'admin.bind_addr', addresses: admin.bindAddr }
      const page = { key: 'inspector.bind_addr', addresses: inspector.bindAddr }
      yield* bindsAreTcp([port, page])
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
    function* schemesAgree({ connect: { url: urls } }) {
      const isSecure = (one: string): boolean => /^(https|wss):/.test(one)
      if (new Set(urls.map(isSecure)).size < 2) return
      yield {
        key: 'connect.url',
        message: 'URLs with and without TLS cannot be mixed',
        hint: 'use https: for all of them; a plain one sends the token unencrypted',
      }
    },
    function* noProxyIsKnown({ connect: { noProxy = '' } }) {
      const [wrong] = wrongNoProxyEntries(noProxy)
      if (wrong === undefined) return
      yield {
        key: 'connect.no_proxy',
        message: `the entry ${JSON.stringify(wrong)} has no known form`,
        hint: `use ${NO_PROXY_FORMS}, separated by commas`,
      }
    },
    function* oneSource({ connect }) {
      if (connect.bindInterface !== undefined && connect.bindAddr.length > 0) {
        yield {
          key: 'connect.bind_interface',
          message: 'it cannot be combined with connect.bind_addr',
        }
      }
    },
  ],
})

/** Groups and lists of the settings, as they are defined. */
export type AgentTree = (typeof settings)['tree']

/** The settings as the agent gets them. */
export type AgentSettings = Resolved<AgentTree>
