import {
  defineSettings,
  duration,
  formatProblems,
  listenAddresses,
  loadSettings,
  oneOf,
  path,
  secret,
  setting,
  size,
} from '@proj/config'
import { parseCommandLine } from '@proj/program-kit'
import { pikoDialect, pikoFlags, type PikoOptions } from '@proj/program-kit/piko'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { commands } from '../../src/commands/commands.ts'
import { PIKO_SERVER_KEYS } from '../../src/commands/piko-keys.ts'
import { settings as serverSettings } from '../../src/settings.ts'

const SERVER = { name: 'server', keys: PIKO_SERVER_KEYS }
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
    admin: { bindAddr: setting(listenAddresses(), { default: [], description }) },
    log: { level: setting(oneOf(['info', 'debug']), { default: 'info', description }) },
    gracePeriodMs: setting(duration(), { default: '1m', description }),
  },
})

async function load(
  content: string,
  options: PikoOptions = {},
  env: Readonly<Record<string, string>> = {},
) {
  using folder = temporaryDirectory()
  const path = folder.write('piko.yaml', content)
  const dialect = pikoDialect(SERVER, settings, options)
  return await loadSettings(settings, { cwd: '/cwd', files: [{ path, dialect }], env })
}

async function loadGood(...args: Parameters<typeof load>) {
  const loaded = await load(...args)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return loaded
}

describe('a server file', () => {
  test('is accepted, with a word where a meaning differs', async () => {
    const { settings: values, problems } = await loadGood(
      [
        'cluster: {join: [piko], abort_if_join_fails: false, gossip: {interval: 100ms}}',
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
      ['CONFIG_PIKO_DIFFERENT', 'cluster.join'],
      ['CONFIG_PIKO_DIFFERENT', 'cluster.gossip.interval'],
      ['CONFIG_PIKO_DIFFERENT', 'proxy.timeout'],
      ['CONFIG_PIKO_DIFFERENT', 'proxy.http.max_header_bytes'],
    ])
  })

  test('is refused by key, with the reason, where something would be lost', async () => {
    const { problems } = await load(
      [
        'proxy: {tiemout: 5s}',
        'upstream: {tenants: [{id: a}]}',
        'admin: {tls: {cert: a.pem}}',
        'listeners: []',
      ].join('\n'),
    )
    expect(formatProblems(problems).replaceAll(/\/\S*\//g, '')).toMatchInlineSnapshot(`
      "error: piko.yaml:1:9: proxy.tiemout: Piko has no key "tiemout"
        hint: did you mean proxy.timeout?
      error: piko.yaml:2:12: upstream.tenants: no counterpart: this program has no such setting
      error: piko.yaml:3:15: admin.tls.cert: no counterpart: this program has no such setting
      error: piko.yaml:4:1: listeners: Piko has no key "listeners"
      "
    `)
  })
})

test('a file of ours is told from one of Piko', async () => {
  const { problems } = await load('nothing: 1\nproxy: {first_byte_timeout: 5s}\n')
  expect(
    problems.map(({ key, hint }) => [key, hint?.includes('--config reads those of Adit')]),
  ).toEqual([
    ['nothing', undefined],
    ['proxy.first_byte_timeout', true],
  ])
})

test('flags with another name are renamed, those without counterpart refused with the reason', () => {
  const { aliases, refused } = pikoFlags(SERVER, settings)
  expect(aliases).toEqual({
    'proxy.timeout': 'proxy.first-byte-timeout',
    'proxy.http.read-header-timeout': 'proxy.head-timeout',
    'proxy.http.idle-timeout': 'proxy.keep-alive-timeout',
    'proxy.http.max-header-bytes': 'proxy.max-head',
  })
  expect(refused['admin.tls.cert']).toBe('this program has no such setting')
  expect(refused).not.toHaveProperty('proxy.bind-addr')
})

test('every key of Piko is translated, warned of or refused', async () => {
  for (const key of Object.keys(PIKO_SERVER_KEYS)) {
    const { problems } = await load(nested(key.split('.')))
    const unknown = problems.filter(({ code }) => code === 'CONFIG_KEY_UNKNOWN')
    expect(unknown, `server ${key}`).toEqual([])
  }
})

describe('with the settings of the server', () => {
  /** Shapes of the files in Piko's documentation, its demo and its chart. */
  const files = {
    'its demo': 'cluster:\n  join:\n    - piko-1\n    - piko-2\n    - piko-3\n',
    'its StatefulSet': 'cluster:\n  node_id_prefix: ${POD_NAME}-\n  join:\n    - piko\n',
    'its chart, larger': [
      'cluster:',
      '  node_id_prefix: ${POD_NAME}-',
      '  join: [piko]',
      '  join_timeout: 60s',
      '  abort_if_join_fails: true',
      '  gossip: { bind_addr: ":8003", interval: 100ms, max_packet_size: 1400 }',
      'proxy:',
      '  bind_addr: ":8000"',
      '  timeout: 30s',
      '  access_log: { level: info, disable: false }',
      '  http: { read_timeout: 10s, read_header_timeout: 10s, write_timeout: 10s, idle_timeout: 5m, max_header_bytes: 1048576 }',
      'upstream:',
      '  bind_addr: ":8001"',
      '  rebalance: { threshold: 0.2, shed_rate: 0.005, min_conns: 50 }',
      'admin: { bind_addr: ":8002" }',
      'log: { level: info }',
      'grace_period: 1m',
    ].join('\n'),
    'its reference': [
      'proxy: { bind_addr: ":8000", advertise_addr: "", timeout: 1ms, access_log: true, tls: { enabled: false, cert: "", key: "" } }',
      'upstream: { bind_addr: ":8001", advertise_addr: 10.26.104.14:8001 }',
      'admin: { bind_addr: ":8002", advertise_addr: 10.26.104.14:8002 }',
      'cluster: { node_id: "", join: [10.26.104.14], gossip: { bind_addr: ":8003", advertise_addr: 10.26.104.14:8003 } }',
      'usage: { disable: true }',
      'log: { level: info, subsystems: [gossip] }',
      'grace_period: 1m0s',
    ].join('\n'),
  } as const

  test.for(Object.entries(files))('%s has warnings at most', async ([, content]) => {
    using folder = temporaryDirectory()
    const path = folder.write('piko.yaml', content)
    const dialect = pikoDialect(SERVER, serverSettings, { expandEnv: true })
    const { problems } = await loadSettings(serverSettings, {
      cwd: '/cwd',
      files: [{ path, dialect }],
      env: { POD_NAME: 'piko-0' },
    })
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(problems.map(({ key }) => key)).toContain('cluster.join')
  })

  test('what Piko has for its nodes is for the nodes here', async () => {
    using folder = temporaryDirectory()
    const path = folder.write('piko.yaml', files['its chart, larger'])
    const dialect = pikoDialect(SERVER, serverSettings, { expandEnv: true })
    const loaded = await loadSettings(serverSettings, {
      cwd: '/cwd',
      files: [{ path, dialect }],
      env: { POD_NAME: 'piko-0' },
    })
    if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
    expect(loaded.settings).toMatchObject({
      cluster: { nodeIdPrefix: 'piko-0-', bindAddr: [{ port: 8003 }] },
      upstream: { rebalance: { threshold: 0.2, shedRate: 0.005, minConns: 50 } },
    })
  })

  test('no flag of the server is refused, and every one that does nothing says why', () => {
    const { refused, ignored = {} } = pikoFlags(SERVER, serverSettings)
    expect(refused).toEqual({})
    expect(ignored['cluster.join']?.reason).toContain('set cluster.database_url')
    expect(ignored['cluster.abort-if-join-fails']?.isBoolean).toBe(true)
    expect(ignored['proxy.http.read-timeout']?.isBoolean).toBe(false)
  })

  test('flags that do nothing are warnings, and take their value along', () => {
    const line = parseCommandLine(commands, {
      argv: [
        '--proxy.http.read-timeout',
        '10s',
        '--cluster.abort-if-join-fails',
        '--cluster.join=a,b',
        '--proxy.timeout',
        '0',
        '--proxy.access-log.disable=false',
        '--admin.advertise-addr',
        '',
        'start',
      ],
      env: {},
      cwd: '/cwd',
      foreignFlags: pikoFlags(SERVER, serverSettings),
    })
    if (line.kind !== 'command') throw new Error(line.kind)
    expect(line.command.name).toBe('start')
    expect(line.problems.map(({ severity, message }) => `${severity} ${message}`)).toEqual([
      expect.stringContaining('warning the flag --proxy.http.read-timeout has no effect: there is'),
      expect.stringContaining(
        'warning the flag --cluster.abort-if-join-fails has no effect: a node',
      ),
      expect.stringContaining('warning the flag --cluster.join has no effect: nodes find'),
      expect.stringContaining('warning the flag --proxy.timeout: it limits the wait'),
    ])
    // Zero is no limit in Piko.
    expect(line.settings.values.get('proxy.first_byte_timeout')?.node).toMatchObject({
      text: 'inf',
    })
  })

  test('a flag that does nothing needs its value all the same', () => {
    const line = parseCommandLine(commands, {
      argv: ['start', '--cluster.join'],
      env: {},
      cwd: '/cwd',
      foreignFlags: pikoFlags(SERVER, serverSettings),
    })
    expect(line).toMatchObject({
      kind: 'error',
      problems: [{ code: 'CONFIG_FLAG_VALUE', severity: 'error' }],
    })
  })
})

/** A file that holds one key. */
function nested([name = '', ...rest]: readonly string[]): string {
  const value = rest.length === 0 ? 'x' : nested(rest)
  return name.endsWith('[]') ? `{${name.slice(0, -2)}: [${value}]}` : `{${name}: ${value}}`
}
