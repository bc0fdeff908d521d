// Length: every setting of the server in one table, with the rules that join them.
import { isIP } from 'node:net'

import {
  bindsAreTcp,
  LISTENER_SETTINGS,
  LOG_SETTINGS,
  overlappingBinds,
  tracingSettings,
} from '@proj/program-kit'
import {
  addressBlock,
  boolean,
  defineSettings,
  duration,
  integer,
  list,
  listenAddresses,
  objects,
  oneOf,
  path,
  percent,
  rate,
  secret,
  setting,
  text,
  url,
} from '@proj/config'
import { STREAM_REUSES, TUNNEL_LIMITS } from '@proj/tunnel'
import { BALANCES, STREAM_QUOTA_LIMITS } from '@proj/tunnel/server'
import { MIN_BANDWIDTH } from '@proj/tunnel/io'
import {
  ENDPOINT_LIMIT_SETTINGS,
  limitProblems,
  patternProblem,
  VISITOR_SETTINGS,
  visitorProblems,
} from '@proj/auth'

import { ACCESS_LOG_SETTINGS } from './access-log/access-log-settings.ts'
import { OIDC_SETTINGS, oidcRule } from './admin/oidc/oidc-settings.ts'
import { AUTH_SETTINGS, authRule } from './auth/auth-settings.ts'
import {
  CLUSTER_SETTINGS,
  clusterFitsTogether,
  REBALANCE_SETTINGS,
} from './cluster/cluster-settings.ts'
import { PROXY_PROTOCOL_FROM } from './proxy-protocol.ts'
import { durationLimit, integerLimit, sizeLimit } from './limits.ts'
import { DOMAIN_PROOF_SETTINGS } from './domains/domain-settings.ts'
import { canonicalDomain } from './proxy/domains.ts'
import { PROXY_LIMITS } from './proxy/proxy-options.ts'
import { PUBLIC_PORT_SETTINGS } from './public-ports/public-port-settings.ts'
import { RESERVATION_LIMITS } from './store/reservation-store.ts'
import { UPSTREAM_PORT_LIMITS } from './upstream/upstream-connections.ts'
import { READY_TIMEOUT } from './upstream/returning-endpoints.ts'
import {
  operatorsHaveTheirAuthority,
  TLS_PORTS,
  TLS_SETTINGS,
  tlsFitsTogether,
  type TlsSettings,
} from './tls/tls-settings.ts'
import { WORKERS_SETTING, workersFit } from './workers/worker-count.ts'

/** Every setting of the server: key, flag, variable, default and description. */
export const settings = defineSettings({
  envPrefix: 'ADIT',
  groups: {
    proxy: 'The port for visitors.',
    upstream: 'The port for agents.',
    admin: 'The port for operators: health checks, metrics and status.',
    cluster: 'Several servers as one.',
    handshakes: 'How often one address may try to connect as an agent or consumer.',
    public_ports: 'TCP ports that endpoints can ask for.',
    log: 'What is logged, and how.',
    access_log: 'The log of requests and connections of visitors.',
    tracing: 'Traces of requests, for OpenTelemetry.',
    names: 'Names that identities reserve.',
    domain_proof:
      'Domains that identities ask for, proved by a TXT record or a file of their owner.',
    ready: 'When the server is ready for visitors.',
    drain: 'How open connections end when the server stops.',
    upgrade: 'The upgrade in place.',
  },
  tree: {
    proxy: {
      bindAddr: setting(listenAddresses(), {
        default: ':8000',
        description:
          'Where visitors and consumers connect. Default without tokens, JWT keys and client certificates: loopback.',
      }),
      ...LISTENER_SETTINGS,
      proxyProtocolFrom: PROXY_PROTOCOL_FROM,
      tls: TLS_SETTINGS,
      auth: AUTH_SETTINGS,
      headTimeoutMs: durationLimit(PROXY_LIMITS.headTimeoutMs, {
        description: 'Longest time from the first byte of a request head to its last; then 408.',
      }),
      firstByteTimeoutMs: durationLimit(PROXY_LIMITS.firstByteTimeoutMs, {
        description:
          'Longest time from the last byte of a request to the first byte of its answer; then 504.',
      }),
      idleTimeoutMs: durationLimit(PROXY_LIMITS.idleTimeoutMs, {
        description:
          'Longest time without a byte in either direction, also of an upload. The whole exchange has no limit.',
      }),
      minRate: integerLimit(PROXY_LIMITS.minRate, {
        description:
          'Least bytes per second that a visitor sends of its body and takes of its answer, on average; then 408 or a reset. 0: only idle-timeout.',
      }),
      minRateGraceMs: durationLimit(PROXY_LIMITS.minRateGraceMs, {
        description: 'How long a visitor may be slower than min-rate at first.',
      }),
      upgradeIdleTimeoutMs: durationLimit(PROXY_LIMITS.upgradeIdleTimeoutMs, {
        description: 'Like idle-timeout, for WebSockets and other upgraded connections.',
      }),
      visitorCheckTimeoutMs: durationLimit(PROXY_LIMITS.visitorCheckTimeoutMs, {
        description: "Longest time for the check of a visitor's credentials; then 504.",
      }),
      keepAliveTimeoutMs: durationLimit(PROXY_LIMITS.keepAliveTimeoutMs, {
        description: 'Longest time between requests on a kept-alive connection; then it is closed.',
      }),
      maxHeadBytes: sizeLimit(PROXY_LIMITS.maxHeadBytes, {
        description: 'Largest request head; then 431.',
      }),
      maxConnections: integerLimit(PROXY_LIMITS.maxConnections, {
        description: 'Most visitors at once; one more gets 503.',
      }),
      maxConnectionsPerSource: integerLimit(PROXY_LIMITS.maxConnectionsPerSource, {
        description:
          'Of these, most of one address, or /64 of IPv6, at most half; no limit with trusted-hops.',
      }),
      maxLoopDelayMs: durationLimit(PROXY_LIMITS.maxLoopDelayMs, {
        description:
          'How late the event loop may be before requests above a limit that follows the delay get 503. inf: never.',
      }),
      queueTargetMs: durationLimit(PROXY_LIMITS.queueTargetMs, {
        description:
          'In an overload: how long requests may wait in addition to the time that their services take; more get 503. inf: any number waits.',
      }),
      minRequests: integerLimit(PROXY_LIMITS.minRequests, {
        description:
          'Requests that may wait for an answer at once in an overload; it begins with eight times as many, or when visitors give up.',
      }),
      maxRequests: integerLimit(PROXY_LIMITS.maxRequests, {
        description: 'Most requests that run at once; one more gets 503.',
      }),
      trustedHops: integerLimit(PROXY_LIMITS.trustedHops, {
        description:
          'Number of proxies in front of this server whose X-Forwarded headers are trusted, whatever their addresses. Use trusted-proxies where these are known.',
      }),
      trustedProxies: setting(list(addressBlock()), {
        default: [],
        description:
          'Proxies in front of this server whose forwarding headers are trusted, as addresses and blocks; instead of trusted-hops.',
      }),
      trustedHeader: setting(oneOf(['x-forwarded-for', 'forwarded']), {
        default: 'x-forwarded-for',
        description:
          'The header that these proxies write: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239). The other is not read.',
      }),
      sendForwarded: setting(boolean(), {
        default: 'false',
        description: 'Send Forwarded (RFC 7239) to services, besides the X-Forwarded headers.',
      }),
      reuse: setting(oneOf(STREAM_REUSES), {
        default: 'safe',
        description:
          'When a connection to a service carries another request. safe: after a body for the same visitor alone, else after a look for bytes beyond the answer. An agent may ask for another value for an endpoint.',
      }),
      errorPages: setting(path(), {
        description:
          'Folder with pages that browsers get for errors in place of ours: CODE.html, STATUS.html, default.html. Read again on reload.',
        reload: 'live',
      }),
      maxInterimResponses: integerLimit(PROXY_LIMITS.maxInterimResponses, {
        description: 'Most interim responses (1xx) before the final one; then 502.',
      }),
      maxInterimBytes: sizeLimit(PROXY_LIMITS.maxInterimBytes, {
        description: 'Most bytes of interim responses; then 502.',
      }),
      maxHops: integerLimit(PROXY_LIMITS.maxHops, {
        description:
          'Adit servers a request may pass, this one included; one more is answered 508.',
      }),
      baseDomain: setting(list(text()), {
        default: [],
        description:
          'Domains whose subdomains are endpoints; default: the first label of any host is the endpoint.',
      }),
      publicUrl: setting(url({ schemes: ['http', 'https'] }), {
        description:
          'URL under which visitors come in; endpoints are announced below its host. Default: base-domain.',
      }),
    },
    upstream: {
      bindAddr: setting(listenAddresses(), {
        default: ':8001',
        description:
          'Where agents connect. Default without tokens, JWT keys and client certificates: loopback.',
      }),
      ...LISTENER_SETTINGS,
      proxyProtocolFrom: PROXY_PROTOCOL_FROM,
      tls: TLS_SETTINGS,
      auth: AUTH_SETTINGS,
      maxConnections: integerLimit(UPSTREAM_PORT_LIMITS.maxConnections, {
        description: 'Most connections at once; one more gets 503.',
      }),
      maxUnauthenticatedPerSource: integerLimit(UPSTREAM_PORT_LIMITS.maxUnauthenticatedPerSource, {
        description:
          'Of these, most of one address, or /64 of IPv6, that have not authenticated; then 503.',
      }),
      absentWaitMs: durationLimit(TUNNEL_LIMITS.absentWaitMs, {
        description:
          'How long visitors wait for an endpoint whose connection was just lost, or that is reserved, after a start; and a connection of `adit access` for any endpoint.',
      }),
      startWaitMs: durationLimit(TUNNEL_LIMITS.startWaitMs, {
        description:
          'For how long after a start HTTP visitors of any endpoint without an agent wait for it, each up to absent_wait.',
      }),
      busyWaitMs: durationLimit(TUNNEL_LIMITS.busyWaitMs, {
        description: 'How long visitors wait for an agent that is busy or full; then 503.',
      }),
      maxWaiting: integerLimit(TUNNEL_LIMITS.maxWaiting, {
        description:
          'Visitors that wait for agents at once, a quarter of them for one endpoint; one more is rejected at once.',
      }),
      maxSourceShare: integerLimit(STREAM_QUOTA_LIMITS.maxSourceShare, {
        description:
          'Most connections of one address, or /64 of IPv6, in percent of the streams of its agents; then 429. 100: no limit.',
      }),
      maxEndpointShare: integerLimit(STREAM_QUOTA_LIMITS.maxEndpointShare, {
        description:
          'Most streams to an agent that are for one of its endpoints, in percent; then 503. 100: no limit.',
      }),
      rebalance: REBALANCE_SETTINGS,
      tenantsShareNames: setting(boolean(), {
        default: 'false',
        description:
          'One space of names for all tenants, as in Piko: visitors without a tenant reach every endpoint, and agents of any tenant may serve any name.',
      }),
      tenants: objects(
        {
          id: setting(
            text({ pattern: /[^/\s]{1,253}/, allowed: '1 to 253 characters, no slash' }),
            {
              required: true,
              description: 'Name that agents send in x-piko-tenant-id.',
            },
          ),
          auth: AUTH_SETTINGS,
          baseDomain: setting(text(), {
            description: 'Domain whose subdomains are the endpoints of the tenant.',
          }),
        },
        {
          description: 'Tenants. Each has its own keys and its own names of endpoints.',
          identity: 'id',
        },
      ),
    },
    admin: {
      bindAddr: setting(listenAddresses(), {
        default: 'localhost:8002',
        description: 'Where health, metrics and status are served.',
      }),
      ...LISTENER_SETTINGS,
      tls: TLS_SETTINGS,
      auth: AUTH_SETTINGS,
      token: setting(secret(), {
        description: 'Token that the command status shows to the admin port.',
      }),
      oidc: OIDC_SETTINGS,
    },
    cluster: CLUSTER_SETTINGS,
    handshakes: {
      rate: setting(rate('events'), {
        default: '12000/m',
        description: 'Most handshakes of one address, or /64 of IPv6; then 429. inf: no limit.',
      }),
      failureRate: setting(rate('events'), {
        default: '60/m',
        description: 'Most rejected credentials of one address; then 429 for all credentials.',
      }),
    },
    publicPorts: PUBLIC_PORT_SETTINGS,
    endpoints: objects(
      {
        name: setting(text(), {
          required: true,
          description: 'Endpoints that the rules apply to: a name, or a pattern such as pc*.',
        }),
        visitors: VISITOR_SETTINGS,
        limits: ENDPOINT_LIMIT_SETTINGS,
        balance: setting(oneOf(BALANCES), {
          description:
            'How one of several agents is chosen: in turn by their weights (round-robin, default), the one with the fewest open streams (least-busy), the same one for each address or /64 of IPv6 (visitor), or the one that a cookie names (cookie). The first entry that says so and fits is used.',
        }),
      },
      {
        description:
          'Rules and limits of the operator for visitors of endpoints, in addition to those of the agents.',
        identity: 'name',
        reload: 'live',
      },
    ),
    domains: objects(
      {
        domain: setting(text(), {
          required: true,
          description:
            'Domain, such as shop.example.com, or *.shop.example.com for all names below it, of any depth.',
        }),
        endpoint: setting(text(), {
          required: true,
          description:
            'Endpoint that it leads to. The agents that may serve the endpoint get the visitors of the domain.',
        }),
        tenant: setting(text(), { description: 'Tenant of the endpoint. Default: none.' }),
      },
      {
        description:
          'Domains of endpoints besides their names below base-domain. The longest one that fits a host is used.',
        identity: 'domain',
        reload: 'live',
      },
    ),
    domainProof: DOMAIN_PROOF_SETTINGS,
    log: LOG_SETTINGS,
    accessLog: ACCESS_LOG_SETTINGS,
    tracing: tracingSettings(
      'Share of the requests and TCP connections that get a span. A trusted proxy that sends traceparent decides itself.',
    ),
    names: {
      maxPerIdentity: setting(integer({ min: 1 }), {
        default: RESERVATION_LIMITS.maxPerIdentity,
        description: 'Most names that one identity may reserve.',
      }),
      maxPerTenant: setting(integer({ min: 1 }), {
        default: RESERVATION_LIMITS.maxPerTenant,
        description: 'Most names that the identities of one tenant may reserve together.',
      }),
      maxTotal: setting(integer({ min: 1 }), {
        default: RESERVATION_LIMITS.maxTotal,
        description: 'Most names that may be reserved in total.',
      }),
      probeTimeoutMs: durationLimit(TUNNEL_LIMITS.probeTimeoutMs, {
        description:
          'How long an agent may be silent when another one of its identity asks for its name.',
      }),
    },
    workers: WORKERS_SETTING,
    dataDir: setting(path(), {
      description:
        'Directory for reserved names, tokens and the audit log; default: a directory of the user or service.',
    }),
    insecureOpen: setting(boolean(), {
      default: 'false',
      description: 'Allow ports without credentials that other machines can reach.',
    }),
    ready: {
      endpoints: setting(percent(), {
        description:
          'Share of the endpoints with agents at the last stop, crash or upgrade that must have one again before /ready is 200, such as 90%. Default: none of them.',
      }),
      timeoutMs: durationLimit(READY_TIMEOUT, {
        description: 'How long after the start /ready waits for these endpoints at most.',
      }),
    },
    drain: {
      delayMs: setting(duration(), {
        default: '5s',
        description:
          'On SIGTERM: how long visitors are still accepted while /ready is 503, so that load balancers notice. It ends early without agents; Ctrl-C does not wait.',
      }),
      idleMs: setting(duration(), {
        default: '1s',
        description:
          'On SIGTERM, after the ports are closed: how long kept-alive connections may be idle; then they are closed.',
      }),
      longLivedMs: setting(duration(), {
        default: '30s',
        description:
          'How long WebSockets, event streams and TCP connections stay open after SIGTERM; then they are closed. At most 2 s less than grace-period.',
      }),
    },
    upgrade: {
      delayMs: setting(duration({ max: '10m' }), {
        default: '2s',
        description:
          'Upgrade in place: how long each answer ends its kept-alive connection before the successor gets the sockets; connections that are idle for longer are closed.',
      }),
      timeoutMs: setting(duration({ min: '100ms', max: '1h' }), {
        default: '30s',
        description:
          'Upgrade in place: how long the successor (the new process) may take to read its settings, and then to listen; after that it is ended, and the running process continues.',
      }),
    },
    gracePeriodMs: setting(duration(), {
      default: '1m',
      description: 'How long running exchanges may take to finish when the server stops.',
    }),
  },
  rules: [
    ...TLS_PORTS.map(
      (name) =>
        function* tlsIsWhole(all: Readonly<Record<typeof name, { readonly tls: TlsSettings }>>) {
          yield* tlsFitsTogether(name, all[name].tls)
        },
    ),
    operatorsHaveTheirAuthority,
    function* endpointsAreSound({ endpoints }) {
      for (const [index, { name, visitors, limits }] of endpoints.entries()) {
        const problem = patternProblem(name)
        if (problem !== undefined) {
          yield { key: `endpoints[${index}].name`, message: `the pattern ${problem}` }
        }
        yield* visitorProblems(`endpoints[${index}].visitors`, visitors)
        yield* limitProblems(`endpoints[${index}].limits`, limits, MIN_BANDWIDTH)
      }
    },
    function* domainsDiffer({ upstream: { tenants } }) {
      const seen = new Set<string>()
      for (const [index, { baseDomain }] of tenants.entries()) {
        if (baseDomain === undefined) continue
        const domain = baseDomain.toLowerCase()
        if (seen.has(domain)) {
          const message = 'another tenant has this domain'
          yield { key: `upstream.tenants[${index}].base_domain`, message }
        }
        seen.add(domain)
      }
    },
    function* domainsAreSound({ proxy, domains }) {
      const hint = 'write a name such as shop.example.com, without scheme, port and path'
      for (const [index, text] of proxy.baseDomain.entries()) {
        const name = canonicalDomain(text)
        if (name !== undefined && !name.startsWith('*')) continue
        yield { key: `proxy.base_domain[${index}]`, message: `${text} is no domain`, hint }
      }
      const seen = new Map<string, number>()
      for (const [index, { domain }] of domains.entries()) {
        const key = `domains[${index}].domain`
        const name = canonicalDomain(domain)
        if (name === undefined) yield { key, message: `${domain} is no domain`, hint }
        else if (seen.has(name)) {
          yield { key, message: `domains[${seen.get(name) ?? 0}] is the same domain` }
        } else seen.set(name, index)
      }
    },
    function* clusterIsWhole({ cluster }) {
      yield* clusterFitsTogether(cluster)
    },
    workersFit,
    function* bindsCanBeHad({ proxy, upstream, admin, cluster }) {
      const binds = [
        { key: 'proxy.bind_addr', addresses: proxy.bindAddr },
        { key: 'upstream.bind_addr', addresses: upstream.bindAddr },
        { key: 'admin.bind_addr', addresses: admin.bindAddr },
        ...(cluster.databaseUrl === undefined
          ? []
          : [{ key: 'cluster.bind_addr', addresses: cluster.bindAddr }]),
      ]
      yield* bindsAreTcp(binds)
      yield* overlappingBinds(binds)
    },
    function* trustIsSaidOnce({ proxy: { trustedHops, trustedProxies } }) {
      if (trustedHops === 0 || trustedProxies.length === 0) return
      const message = 'proxies are trusted by proxy.trusted_proxies already'
      yield { key: 'proxy.trusted_hops', message, hint: 'remove one of the two' }
    },
    function* publicUrlFits({ proxy: { baseDomain, publicUrl } }) {
      if (publicUrl === undefined) return
      const key = 'proxy.public_url'
      const { hostname } = new URL(publicUrl)
      if (isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0) {
        yield { key, message: 'its host is an address, so no endpoint can have a name below it' }
      } else if (
        baseDomain.length > 0 &&
        !baseDomain.some((one) => canonicalDomain(one) === hostname)
      ) {
        const message = `its host is not proxy.base_domain (${baseDomain.join(', ')}), so no endpoint is found below it`
        yield { key, message }
      }
    },
    authRule,
    oidcRule,
  ],
})

/** Groups and lists of the settings, as they are defined. */
export type ServerTree = (typeof settings)['tree']
