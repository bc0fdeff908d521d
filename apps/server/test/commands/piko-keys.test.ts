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
import { pikoDialect, pikoFlags, type PikoOptions } from '@proj/program-kit/piko'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { PIKO_SERVER_KEYS } from '../../src/commands/piko-keys.ts'

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

test('flags with another name are renamed, those without counterpart refused with the reason', () => {
  const { aliases, refused } = pikoFlags(SERVER, settings)
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

test('every key of Piko is translated, warned of or refused', async () => {
  for (const key of Object.keys(PIKO_SERVER_KEYS)) {
    const { problems } = await load(nested(key.split('.')))
    const unknown = problems.filter(({ code }) => code === 'CONFIG_KEY_UNKNOWN')
    expect(unknown, `server ${key}`).toEqual([])
  }
})

/** A file that holds one key. */
function nested([name = '', ...rest]: readonly string[]): string {
  const value = rest.length === 0 ? 'x' : nested(rest)
  return name.endsWith('[]') ? `{${name.slice(0, -2)}: [${value}]}` : `{${name}: ${value}}`
}
