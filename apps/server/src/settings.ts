import {
  ADMIN_TLS_FLAGS,
  bindsAreTcp,
  GLOBAL_FLAGS,
  LISTENER_SETTINGS,
  LOG_LEVELS,
  overlappingBinds,
  STANDARD_COMMANDS,
  defineCommands,
} from '@proj/program-kit'
import {
  boolean,
  defineSettings,
  duration,
  integer,
  listenAddresses,
  objects,
  oneOf,
  path,
  rate,
  secret,
  setting,
  text,
  url,
} from '@proj/config'
import { TUNNEL_LIMITS } from '@proj/tunnel'
import { patternProblem, VISITOR_SETTINGS, visitorProblems } from '@proj/auth'

import { AUTH_SETTINGS, authRule } from './auth/auth-settings.ts'
import { durationLimit, integerLimit, sizeLimit } from './limits.ts'
import { PROXY_LIMITS } from './proxy/proxy-options.ts'
import { PUBLIC_PORT_SETTINGS } from './public-ports/public-port-settings.ts'
import { STORE_COMMANDS } from './commands/store-commands.ts'
import { RESERVATION_LIMITS } from './store/reservation-store.ts'
import { TLS_PORTS, TLS_SETTINGS, tlsFitsTogether, type TlsSettings } from './tls/tls-settings.ts'

/** Every setting of the server: its key, flag, variable, default and words. */
export const settings = defineSettings({
  envPrefix: 'ADIT',
  tree: {
    proxy: {
      bindAddr: setting(listenAddresses(), {
        default: ':8000',
        description:
          'Where visitors and consumers connect. Unset, while the server asks nobody for a token: loopback alone.',
      }),
      ...LISTENER_SETTINGS,
      tls: TLS_SETTINGS,
      auth: AUTH_SETTINGS,
      headTimeoutMs: durationLimit(PROXY_LIMITS.headTimeoutMs, {
        description: 'From the first byte of a request head to its last; then 408.',
      }),
      firstByteTimeoutMs: durationLimit(PROXY_LIMITS.firstByteTimeoutMs, {
        description: 'From the request to the first byte of its answer; then 504.',
      }),
      idleTimeoutMs: durationLimit(PROXY_LIMITS.idleTimeoutMs, {
        description: 'Without a byte in either direction; an exchange has no limit as a whole.',
      }),
      upgradeIdleTimeoutMs: durationLimit(PROXY_LIMITS.upgradeIdleTimeoutMs, {
        description: 'Like idle-timeout, for WebSockets and other upgraded connections.',
      }),
      keepAliveTimeoutMs: durationLimit(PROXY_LIMITS.keepAliveTimeoutMs, {
        description: 'Between requests on a kept-alive connection; then it is closed.',
      }),
      maxHeadBytes: sizeLimit(PROXY_LIMITS.maxHeadBytes, {
        description: 'Largest request head; then 431.',
      }),
      maxConnections: integerLimit(PROXY_LIMITS.maxConnections, {
        description: 'Visitors at once; one more is answered 503.',
      }),
      trustedHops: integerLimit(PROXY_LIMITS.trustedHops, {
        description: 'Proxies in front of this server whose X-Forwarded headers are believed.',
      }),
      baseDomain: setting(text(), {
        description: 'Domain below which endpoints live; without it, the first label of any host.',
      }),
    },
    upstream: {
      bindAddr: setting(listenAddresses(), {
        default: ':8001',
        description:
          'Where agents connect. Unset, while the server asks nobody for a token: loopback alone.',
      }),
      ...LISTENER_SETTINGS,
      tls: TLS_SETTINGS,
      auth: AUTH_SETTINGS,
      tenants: objects(
        {
          id: setting(
            text({ pattern: /[^/\s]{1,253}/, allowed: '1 to 253 characters, no slash' }),
            {
              required: true,
              description: 'What agents call it, in x-piko-tenant-id.',
            },
          ),
          auth: AUTH_SETTINGS,
          baseDomain: setting(text(), {
            description: 'Domain below which its endpoints live, for visitors.',
          }),
        },
        {
          description: 'Tenants, whose names never meet, each with keys of its own.',
          identity: 'id',
        },
      ),
    },
    admin: {
      bindAddr: setting(listenAddresses(), {
        default: 'localhost:8002',
        description: 'Where health, metrics and status are shown.',
      }),
      ...LISTENER_SETTINGS,
      tls: TLS_SETTINGS,
      auth: AUTH_SETTINGS,
      token: setting(secret(), {
        description: 'What the command status shows to an admin port that asks for a token.',
      }),
    },
    handshakes: {
      rate: setting(rate('events'), {
        default: '12000/m',
        description: 'Handshakes of one address, or /64 of IPv6; then 429. inf: no limit.',
      }),
      failureRate: setting(rate('events'), {
        default: '60/m',
        description: 'Refused credentials of one address; then 429, whatever it shows.',
      }),
    },
    publicPorts: PUBLIC_PORT_SETTINGS,
    endpoints: objects(
      {
        name: setting(text(), {
          required: true,
          description: 'Endpoints that are meant: a name, or a pattern such as pc*.',
        }),
        visitors: VISITOR_SETTINGS,
      },
      {
        description: 'What the operator demands of endpoints, beside what their agents do.',
        identity: 'name',
        reload: 'live',
      },
    ),
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
    names: {
      maxPerIdentity: setting(integer({ min: 1 }), {
        default: RESERVATION_LIMITS.maxPerIdentity,
        description: 'Names one identity may reserve.',
      }),
      maxTotal: setting(integer({ min: 1 }), {
        default: RESERVATION_LIMITS.maxTotal,
        description: 'Names that may be reserved at all.',
      }),
      probeTimeoutMs: durationLimit(TUNNEL_LIMITS.probeTimeoutMs, {
        description:
          'Silence after which an agent is given up whose name is asked for; longer for slow lines.',
      }),
    },
    dataDir: setting(path(), {
      description:
        'Where reserved names, tokens and the audit log are kept; unset: a directory of the user or service.',
    }),
    insecureOpen: setting(boolean(), {
      default: 'false',
      description: 'Whether ports that ask nobody for a token may be open to other machines.',
    }),
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
    function* endpointsAreSound({ endpoints }) {
      for (const [index, { name, visitors }] of endpoints.entries()) {
        const problem = patternProblem(name)
        if (problem !== undefined) {
          yield { key: `endpoints[${index}].name`, message: `the pattern ${problem}` }
        }
        yield* visitorProblems(`endpoints[${index}].visitors`, visitors)
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
    function* bindsCanBeHad({ proxy, upstream, admin }) {
      const binds = [
        { key: 'proxy.bind_addr', addresses: proxy.bindAddr },
        { key: 'upstream.bind_addr', addresses: upstream.bindAddr },
        { key: 'admin.bind_addr', addresses: admin.bindAddr },
      ]
      yield* bindsAreTcp(binds)
      yield* overlappingBinds(binds)
    },
    authRule,
  ],
})

/** Groups and lists of the settings, as they are defined. */
export type ServerTree = (typeof settings)['tree']

const ownCommands = {
  start: { description: 'Runs the server; the same as no command.' },
  status: {
    description: 'Shows agents, endpoints and visitors of the server that runs here.',
    settings: ['admin'],
    flags: {
      url: setting(url({ schemes: ['http', 'https'] }), {
        description: 'Its admin port; without it, where admin.bind-addr has it.',
      }),
      ...ADMIN_TLS_FLAGS,
    },
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
