import {
  boolean,
  defineSettings,
  duration,
  formatProblems,
  listenAddresses,
  loadSettings,
  objects,
  oneOf,
  path,
  secret,
  serviceAddress,
  setting,
  text,
} from '@proj/config'
import { pikoDialect, type PikoOptions } from '@proj/program-kit/piko'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { pikoFiles } from '../../src/commands/piko-files.ts'
import { PIKO_AGENT_KEYS, PIKO_FORWARD_KEYS } from '../../src/commands/piko-keys.ts'
import { settings as agentSettings } from '../../src/settings.ts'

const PROGRAMS = {
  agent: { name: 'agent', keys: PIKO_AGENT_KEYS },
  forward: { name: 'forward', keys: PIKO_FORWARD_KEYS },
}
const description = 'x'

/** Settings that have a counterpart for most of what Piko's programs know. */
const settings = defineSettings({
  envPrefix: 'ADIT',
  tree: {
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
  },
})

async function load(
  name: keyof typeof PROGRAMS,
  content: string,
  options: PikoOptions = {},
  env: Readonly<Record<string, string>> = {},
) {
  using folder = temporaryDirectory()
  const path = folder.write('piko.yaml', content)
  const dialect = pikoDialect(PROGRAMS[name], settings, options)
  return await loadSettings(settings, { cwd: '/cwd', files: [{ path, dialect }], env })
}

async function loadGood(...args: Parameters<typeof load>) {
  const loaded = await load(...args)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return loaded
}

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
    const noted = problems.find(({ key }) => key === 'listeners[].access_log.level')
    expect(noted).toMatchObject({ origin: { line: 8 } })
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

test.for(['agent', 'forward'] as const)(
  'the source address stands where its users write it, in the file of %s',
  async (name) => {
    using folder = temporaryDirectory()
    const path = folder.write('piko.yaml', 'connect: {bind_addr: 192.0.2.7}\n')
    const dialect = pikoDialect(PROGRAMS[name], agentSettings)
    const loaded = await loadSettings(agentSettings, {
      cwd: '/cwd',
      files: [{ path, dialect }],
      env: {},
    })
    if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
    expect(loaded.settings.connect.bindAddr).toMatchObject([{ host: '192.0.2.7' }])
  },
)

test('the timeout of a listener limits connecting, and for HTTP each request', async () => {
  using folder = temporaryDirectory()
  const path = folder.write(
    'piko.yaml',
    [
      'listeners:',
      '- {endpoint_id: web, addr: "3000", timeout: 15s}',
      '- {endpoint_id: api, addr: "3001", protocol: http, timeout: 1m}',
      '- {endpoint_id: ssh, addr: "localhost:22", protocol: tcp, timeout: 5s}',
    ].join('\n'),
  )
  const dialect = pikoFiles(agentSettings)?.dialect({ expandEnv: false })
  const files = [{ path, dialect }]
  const loaded = await loadSettings(agentSettings, { cwd: '/cwd', files, env: {} })
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  expect(loaded.problems).toEqual([])
  expect(loaded.settings.listeners).toMatchObject([
    { timeoutMs: 15_000, requestTimeoutMs: 15_000 },
    { timeoutMs: 60_000, requestTimeoutMs: 60_000 },
    { timeoutMs: 5_000, requestTimeoutMs: Infinity },
  ])
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

test('every key of Piko is translated, warned of or refused', async () => {
  for (const name of ['agent', 'forward'] as const) {
    for (const key of Object.keys(PROGRAMS[name].keys)) {
      const { problems } = await load(name, nested(key.split('.')))
      const unknown = problems.filter(({ code }) => code === 'CONFIG_KEY_UNKNOWN')
      expect(unknown, `${name} ${key}`).toEqual([])
    }
  }
})

/** A file that holds one key. */
function nested([name = '', ...rest]: readonly string[]): string {
  const value = rest.length === 0 ? 'x' : nested(rest)
  return name.endsWith('[]') ? `{${name.slice(0, -2)}: [${value}]}` : `{${name}: ${value}}`
}
