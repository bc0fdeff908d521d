import { describe, expect, test } from 'vitest'

import {
  boolean,
  defineSettings,
  duration,
  formatProblems,
  integer,
  list,
  listenAddresses,
  loadSettings,
  objects,
  oneOf,
  path,
  pikoDialect,
  pikoFlags,
  secret,
  serviceAddress,
  setting,
  size,
  text,
  type PikoOptions,
  type PikoProgram,
} from '../../src/index.ts'
import { PIKO_TABLES } from '../../src/piko/piko-table.ts'
import { Workspace } from '../fixtures/workspace.ts'

const description = 'x'
const tls = {
  cert: setting(path(), { description }),
  key: setting(path(), { description }),
  clientCas: setting(path(), { description }),
}

/** Settings that have a counterpart for most of what Piko's programs know. */
const settings = defineSettings({
  envPrefix: 'ADIT',
  tree: {
    proxy: {
      bindAddr: setting(listenAddresses(), { default: ':8000', description }),
      firstByteTimeoutMs: setting(duration({ max: 'inf' }), { default: '30s', description }),
      headTimeoutMs: setting(duration({ max: 'inf' }), { default: '10s', description }),
      keepAliveTimeoutMs: setting(duration({ max: 'inf' }), { default: '75s', description }),
      maxHeadBytes: setting(size(), { default: '32KiB', description }),
      tls,
    },
    upstream: {
      bindAddr: setting(listenAddresses(), { default: ':8001', description }),
      auth: { hmacSecretKey: setting(secret(), { description }) },
    },
    connect: {
      url: setting(text(), { description }),
      token: setting(secret(), { description }),
      timeoutMs: setting(duration(), { default: '30s', description }),
      tls: {
        rootCas: setting(path(), { description }),
        insecureSkipVerify: setting(boolean(), { default: 'false', description }),
      },
    },
    admin: { bindAddr: setting(listenAddresses(), { default: [], description }) },
    log: { level: setting(oneOf(['info', 'debug']), { default: 'info', description }) },
    gracePeriodMs: setting(duration(), { default: '1m', description }),
    listeners: objects(
      {
        endpoint: setting(text(), { required: true, description }),
        addr: setting(serviceAddress(), { required: true, description }),
        protocol: setting(oneOf(['http', 'tcp']), { default: 'http', description }),
        timeoutMs: setting(duration({ max: 'inf' }), { default: '10s', description }),
        tls: { serverName: setting(text(), { description }) },
      },
      { description },
    ),
    accesses: objects(
      {
        endpoint: setting(text(), { required: true, description }),
        bindAddr: setting(listenAddresses(), { required: true, description }),
      },
      { description },
    ),
    unused: setting(list(integer()), { default: [], description }),
  },
})

async function load(
  program: PikoProgram,
  content: string,
  options: PikoOptions = {},
  env: Readonly<Record<string, string>> = {},
) {
  using files = new Workspace({ 'piko.yaml': content })
  const dialect = pikoDialect(program, settings, options)
  const file = { path: `${files.path}/piko.yaml`, dialect }
  return await loadSettings(settings, { cwd: '/cwd', files: [file], env })
}

async function loadGood(...args: Parameters<typeof load>) {
  const loaded = await load(...args)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return loaded
}

describe('a server file', () => {
  test('is accepted, with a word where a meaning differs', async () => {
    const { settings: values, problems } = await loadGood(
      'server',
      [
        'cluster: {join: [], abort_if_join_fails: false, gossip: {interval: 100ms}}',
        'proxy:',
        '  bind_addr: 0.0.0.0:8000',
        '  timeout: 0',
        '  http: {read_header_timeout: 5s, idle_timeout: 5m, max_header_bytes: 1048576}',
        '  tls: {cert: a.pem, key: b.pem}',
        'upstream:',
        '  bind_addr: :8001',
        '  auth: {hmac_secret_key: hunter2, disable_disconnect_on_expiry: false}',
        '  rebalance: {threshold: 0}',
        'log: {level: debug, subsystems: []}',
        'grace_period: 2m',
      ].join('\n'),
    )
    expect(values).toMatchObject({
      proxy: {
        bindAddr: [{ host: '0.0.0.0' }],
        firstByteTimeoutMs: Infinity,
        headTimeoutMs: 5000,
        keepAliveTimeoutMs: 300_000,
        maxHeadBytes: 1_048_576,
        // Piko's paths start at the working directory, wherever its file lies.
        tls: { cert: '/cwd/a.pem', key: '/cwd/b.pem' },
      },
      log: { level: 'debug' },
      gracePeriodMs: 120_000,
    })
    expect(values.upstream.auth.hmacSecretKey?.reveal()).toBe('hunter2')
    expect(problems.map(({ code, key }) => [code, key])).toEqual([
      ['CONFIG_PIKO_DIFFERENT', 'cluster.gossip.interval'],
      ['CONFIG_PIKO_DIFFERENT', 'proxy.timeout'],
      ['CONFIG_PIKO_DIFFERENT', 'proxy.http.max_header_bytes'],
    ])
  })

  test('is refused by key, with the reason, where something would be lost', async () => {
    const { problems } = await load(
      'server',
      [
        'cluster: {join: [a, b]}',
        'proxy: {advertise_addr: 10.0.0.1:8000, tiemout: 5s}',
        'upstream: {rebalance: {threshold: 0.2}, tenants: [{id: a}]}',
        'admin: {tls: {cert: a.pem}}',
        'listeners: []',
      ].join('\n'),
    )
    expect(formatProblems(problems).replaceAll(/\/\S*\//g, '')).toMatchInlineSnapshot(`
      "error: piko.yaml:1:11: cluster.join: no counterpart: nodes find one another through the shared store here, not by gossip
      error: piko.yaml:2:9: proxy.advertise_addr: no counterpart: nodes announce their addresses in the shared store here
      error: piko.yaml:2:40: proxy.tiemout: Piko has no key "tiemout"
        hint: did you mean proxy.timeout?
      error: piko.yaml:3:24: upstream.rebalance.threshold: no counterpart: agents hold several connections here and move on their own
      error: piko.yaml:3:41: upstream.tenants: no counterpart: this program has no such setting
      error: piko.yaml:4:15: admin.tls.cert: no counterpart: this program has no such setting
      error: piko.yaml:5:1: listeners: Piko has no key "listeners"
      "
    `)
  })
})

describe('an agent file', () => {
  test('is accepted', async () => {
    const { settings: values, problems } = await loadGood(
      'agent',
      [
        'connect: {url: "http://s:8001", token: hunter2, timeout: 5s, tls: {root_cas: /ca.pem}}',
        'server: {enabled: true, bind_addr: :5000}',
        'listeners:',
        '- endpoint_id: web',
        '  addr: 3000',
        '  timeout: 15s',
        '  http_client: {max_idle_conns: -1, keep_alive_timeout: 30s}',
        '  access_log: {level: info, request_headers: {allow_list: [], block_list: [cookie]}}',
        '- {endpoint_id: api, addr: "https://localhost:3001", protocol: http, timeout: 0s}',
        '- {endpoint_id: ssh, addr: "localhost:22", protocol: tcp, timeout: 1s, tls: {server_name: a}}',
      ].join('\n'),
    )
    expect(values.admin.bindAddr).toMatchObject([{ port: 5000 }])
    expect(values.listeners).toMatchObject([
      { endpoint: 'web', addr: { address: { port: 3000 } }, timeoutMs: 15_000 },
      { endpoint: 'api', addr: { tls: true }, timeoutMs: Infinity },
      { endpoint: 'ssh', protocol: 'tcp', tls: { serverName: 'a' } },
    ])
    expect(problems.every(({ severity }) => severity === 'warning')).toBe(true)
    expect(problems.find(({ key }) => key === 'listeners[].timeout')).toMatchObject({
      origin: { line: 6, column: 3 },
    })
  })

  test('keeps the place of every value', async () => {
    const { problems } = await load(
      'agent',
      'listeners:\n- endpoint_id: web\n  addr: ":x"\n- addr: 1\n- 5\n',
    )
    expect(problems).toMatchObject([
      { key: 'listeners[0].addr', origin: { line: 3, column: 9 } },
      { key: 'listeners[1].endpoint', code: 'CONFIG_VALUE_MISSING', origin: { line: 4 } },
      { key: 'listeners[2]', code: 'CONFIG_SHAPE_WRONG', origin: { line: 5, column: 3 } },
    ])
  })
})

test('a forward file is accepted', async () => {
  const { settings: values, problems } = await loadGood(
    'forward',
    'connect: {url: "http://s:8000"}\nports: [{addr: ":3000", endpoint_id: web}]\n',
  )
  expect(values.accesses).toMatchObject([{ endpoint: 'web', bindAddr: [{ port: 3000 }] }])
  expect(problems).toMatchObject([{ code: 'CONFIG_PIKO_DIFFERENT', key: 'connect.url' }])
})

test('a port alone is that of localhost in a forward file, as with Piko', async () => {
  const { settings: values } = await loadGood(
    'forward',
    'ports: [{addr: "3000", endpoint_id: web}]\n',
  )
  expect(values.accesses).toMatchObject([{ bindAddr: [{ hostKind: 'localhost', port: 3000 }] }])
})

test.each(['', '# only words', 'connect:', 'listeners:\nconnect: {tls: }'])(
  'an agent file that says nothing is accepted: %j',
  async (content) => {
    expect((await loadGood('agent', content)).problems).toEqual([])
  },
)

test('a file that is no mapping is refused', async () => {
  expect((await load('agent', '- a\n')).problems).toMatchObject([{ code: 'CONFIG_SHAPE_WRONG' }])
})

describe('variables', () => {
  const content = 'connect: {token: "$A-${B}-${C:x}-${D:y}"}\n'
  const env = { A: '1', B: '2', D: '4' }

  test('stand for themselves unless they are to be expanded', async () => {
    const { settings: values } = await loadGood('agent', content, {}, env)
    expect(values.connect.token?.reveal()).toBe('$A-${B}-${C:x}-${D:y}')
  })

  test('are expanded as Piko does, per value', async () => {
    const { settings: values } = await loadGood('agent', content, { expandEnv: true }, env)
    expect(values.connect.token?.reveal()).toBe('1-2-x-4')
    const unset = await loadGood('agent', 'connect: {url: "${NONE}x$NONE"}', { expandEnv: true })
    expect(unset.settings.connect.url).toBe('x')
  })
})

describe('flags', () => {
  test('with another name are renamed, those without counterpart refused with the reason', () => {
    const { aliases, refused } = pikoFlags('server', settings)
    expect(aliases).toEqual({
      'proxy.timeout': 'proxy.first-byte-timeout',
      'proxy.http.read-header-timeout': 'proxy.head-timeout',
      'proxy.http.idle-timeout': 'proxy.keep-alive-timeout',
      'proxy.http.max-header-bytes': 'proxy.max-head',
    })
    expect(refused['cluster.join']).toContain('not by gossip')
    expect(refused['admin.tls.cert']).toBe('this program has no such setting')
    expect(refused).not.toHaveProperty('proxy.bind-addr')
  })
})

test('every key of Piko is translated, warned of or refused', async () => {
  for (const program of ['server', 'agent', 'forward'] as const) {
    for (const key of Object.keys(PIKO_TABLES[program])) {
      const { problems } = await load(program, nested(key.split('.')))
      const unknown = problems.filter(({ code }) => code === 'CONFIG_KEY_UNKNOWN')
      expect(unknown, `${program} ${key}`).toEqual([])
    }
  }
})

/** A file that holds one key. */
function nested([name = '', ...rest]: readonly string[]): string {
  const value = rest.length === 0 ? 'x' : nested(rest)
  return name.endsWith('[]') ? `{${name.slice(0, -2)}: [${value}]}` : `{${name}: ${value}}`
}
