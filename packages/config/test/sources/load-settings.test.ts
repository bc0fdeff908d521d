import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { inspect } from 'node:util'

import { describe, expect, test } from 'vitest'

import {
  defineSettings,
  formatOrigin,
  formatProblems,
  integer,
  list,
  loadSettings,
  objects,
  setting,
  text,
  type LoadOptions,
} from '../../src/index.ts'
import { layer } from '../fixtures/layer.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

async function load(options: Partial<LoadOptions>) {
  return await loadSettings(settings, { cwd: '/nowhere', ...options })
}

async function loadGood(options: Partial<LoadOptions>) {
  const loaded = await load(options)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return loaded
}

test('defaults fill what no source gives', async () => {
  const { settings: values, problems } = await loadGood({})
  expect(problems).toEqual([])
  expect(values).toEqual({
    connect: {
      url: 'http://localhost:8001',
      token: undefined,
      proxyUrl: undefined,
      bindAddr: [],
      timeoutMs: 30_000,
      tls: { rootCas: undefined, insecureSkipVerify: false },
    },
    metricsAddr: [expect.objectContaining({ host: 'localhost', port: 5000 })],
    log: { level: 'info' },
    maxHeadBytes: 65_536,
    listeners: [],
  })
})

describe('precedence', () => {
  test('is argument, flag, variable, later file, earlier file, default', async () => {
    using files = new Workspace({
      'a.yaml': 'connect: {timeout: 1s, url: http://a}\nlog: {level: debug}\nmax_head: 1KiB\n',
      'b.yaml': 'connect:\n  timeout: 2s\n  url: http://b\nlog:\n  level: warn\n',
    })
    const { settings: values, values: listed } = await loadGood({
      cwd: files.path,
      files: ['a.yaml', 'b.yaml'],
      env: { ADIT_CONNECT_TIMEOUT: '3s', ADIT_CONNECT_URL: 'http://c' },
      layers: [
        layer('flag', { 'connect.timeout': '4s', 'log.level': 'error' }),
        layer('argument', { 'log.level': 'warn' }),
      ],
    })
    expect(values.connect.timeoutMs).toBe(4000)
    expect(values.connect.url).toBe('http://c')
    expect(values.log.level).toBe('warn')
    expect(values.maxHeadBytes).toBe(1024)
    const origins = Object.fromEntries(listed.map((one) => [one.key, formatOrigin(one.origin)]))
    expect(origins).toMatchObject({
      'connect.timeout': 'flag connect.timeout',
      'connect.url': 'variable ADIT_CONNECT_URL',
      'log.level': 'argument log.level',
      max_head: 'a.yaml:3:11',
      metrics_addr: 'default',
    })
  })

  test('replaces lists as a whole', async () => {
    using files = new Workspace({
      'a.yaml': 'connect: {bind_addr: [10.0.0.1, 10.0.0.2]}\nlisteners: [{endpoint: a, addr: 1}]\n',
      'b.yaml': 'connect: {bind_addr: 10.0.0.3}\nlisteners: []\n',
    })
    const { settings: values } = await loadGood({ cwd: files.path, files: ['a.yaml', 'b.yaml'] })
    expect(values.connect.bindAddr.map(({ host }) => host)).toEqual(['10.0.0.3'])
    expect(values.listeners).toEqual([])
  })

  test('a key without value and an empty variable give nothing', async () => {
    using files = new Workspace({
      'a.yaml': 'connect: {timeout: 1s}\n',
      'b.yaml': 'connect:\n  timeout:\n  tls:\nlisteners:\nlog: ~\n',
    })
    const { settings: values } = await loadGood({
      cwd: files.path,
      files: ['a.yaml', 'b.yaml'],
      env: { ADIT_CONNECT_TIMEOUT: '' },
    })
    expect(values.connect.timeoutMs).toBe(1000)
  })

  test('a wrong value that is replaced is not looked at', async () => {
    using files = new Workspace({ 'a.yaml': 'connect: {timeout: never}\n' })
    const options = {
      cwd: files.path,
      files: ['a.yaml'],
      layers: [layer('flag', { 'connect.timeout': '9s' })],
    }
    expect((await load(options)).problems).toEqual([])
  })
})

describe('files', () => {
  test('may be JSON, with tabs and a schema', async () => {
    using files = new Workspace({
      'a.json':
        '{\n\t"$schema": "./x.json",\n\t"connect": { "bind_addr": ["::1"], "timeout": "5s" }\n}',
    })
    const { settings: values } = await loadGood({ cwd: files.path, files: ['a.json'] })
    expect(values.connect).toMatchObject({ timeoutMs: 5000, bindAddr: [{ host: '::1' }] })
  })

  test('may be empty, or a comment only', async () => {
    using files = new Workspace({ 'a.yaml': '', 'b.yaml': '# nothing\n', 'c.yaml': '---\n' })
    const loaded = await load({ cwd: files.path, files: ['a.yaml', 'b.yaml', 'c.yaml'] })
    expect(loaded.problems).toEqual([])
  })

  test('may use anchors', async () => {
    using files = new Workspace({
      'a.yaml':
        'listeners:\n  - endpoint: a\n    addr: &here localhost:1\n  - {endpoint: b, addr: *here}\n',
    })
    const { settings: values } = await loadGood({ cwd: files.path, files: ['a.yaml'] })
    expect(values.listeners[1]?.addr).toEqual(values.listeners[0]?.addr)
  })

  test('may use an anchor again: an alias means the last one before it', async () => {
    using files = new Workspace({
      'a.yaml':
        'connect: {url: &a http://a, proxy_url: *a}\nlisteners:\n- &b {endpoint: &a x, addr: 1}\n- {endpoint: *a, addr: 2}\n',
    })
    const { problems } = await load({ cwd: files.path, files: ['a.yaml'] })
    expect(problems.map(({ key, message }) => [key, message])).toEqual([
      ['listeners[1].endpoint', 'the endpoint is the one of listeners[0]'],
    ])
  })

  test('hold text as it is written: numbers are for the grammar to judge', async () => {
    using files = new Workspace({ 'a.yaml': 'connect:\n  token: 0x10\n' })
    const { settings: values } = await loadGood({ cwd: files.path, files: ['a.yaml'] })
    expect(values.connect.token?.reveal()).toBe('0x10')
  })

  test('may be a pipe', async () => {
    using files = new Workspace()
    execFileSync('sh', ['-c', 'mkfifo "$0"', `${files.path}/pipe`])
    const loading = loadGood({ cwd: files.path, files: ['pipe'] })
    await writeFile(`${files.path}/pipe`, 'log: {level: warn}')
    expect((await loading).settings.log.level).toBe('warn')
  })

  test('that are optional are skipped when they do not exist, and reported when unreadable', async () => {
    using files = new Workspace()
    await loadGood({ cwd: files.path, optionalFiles: ['none.yaml'] })
    const failed = await load({ cwd: files.path, optionalFiles: ['.'] })
    expect(failed.problems).toMatchObject([
      { code: 'CONFIG_FILE_UNREADABLE', message: 'the file is a directory' },
    ])
  })

  test.each<[string, string | Uint8Array, object]>([
    ['not UTF-8', Uint8Array.of(0xff, 0xfe), { code: 'CONFIG_FILE_UNREADABLE' }],
    [
      'of more than 8 MiB',
      ' '.repeat(8 * 1024 * 1024 + 1),
      { code: 'CONFIG_FILE_TOO_LARGE', message: 'the file has more than 8388608 bytes' },
    ],
    [
      'of more than 4 Mi characters',
      ' '.repeat(4 * 1024 * 1024 + 1),
      { code: 'CONFIG_FILE_TOO_LARGE' },
    ],
    [
      'of a few lines that stand for billions of values',
      `a0: &a0 [1,1,1,1,1,1,1,1,1]\n${Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`).join('\n')}`,
      { code: 'CONFIG_FILE_TOO_LARGE' },
    ],
    ['of 40 levels', `${'['.repeat(40)}${']'.repeat(40)}`, { code: 'CONFIG_FILE_TOO_LARGE' }],
    ['that refers to itself', 'a: &a [*a]\n', {}],
  ])(
    '%s are refused',
    async (_what, content, problem) => {
      using files = new Workspace({ 'a.yaml': content })
      const loaded = await load({ cwd: files.path, files: ['a.yaml'] })
      expect(loaded.ok).toBe(false)
      expect(loaded.problems[0]).toMatchObject(problem)
    },
    // one of them reads 500000 values before it is refused
    30_000,
  )

  test('4 Mi characters are allowed', async () => {
    using files = new Workspace({ 'a.yaml': `#${' '.repeat(4 * 1024 * 1024 - 1)}` })
    expect((await load({ cwd: files.path, files: ['a.yaml'] })).problems).toEqual([])
  })

  test('are listed with the secrets they name, whether they exist or not', async () => {
    using files = new Workspace({ 'a.yaml': 'connect: {token_file: t}\n', t: 'x' })
    const { files: read } = await loadGood({
      cwd: files.path,
      optionalFiles: ['none'],
      files: ['a.yaml'],
    })
    expect(read).toEqual(['none', 'a.yaml', 't'].map((name) => `${files.path}/${name}`))
  })
})

describe('paths', () => {
  test('start at the directory of their file, or at the working directory', async () => {
    using files = new Workspace({ 'a.yaml': 'connect: {tls: {root_cas: ca.pem}}\n' })
    const fromFile = await loadGood({ cwd: '/cwd', files: [`${files.path}/a.yaml`] })
    expect(fromFile.settings.connect.tls.rootCas).toBe(`${files.path}/ca.pem`)
    const fromFlag = await loadGood({
      cwd: '/cwd',
      layers: [layer('flag', { 'connect.tls.root_cas': 'ca.pem' })],
    })
    expect(fromFlag.settings.connect.tls.rootCas).toBe('/cwd/ca.pem')
    const env = { ADIT_CONNECT_TLS_ROOT_CAS: '../ca.pem' }
    const fromVariable = await loadGood({ cwd: '/cwd', env })
    expect(fromVariable.settings.connect.tls.rootCas).toBe('/ca.pem')
  })
})

describe('secrets', () => {
  test('come from a file by key, variable and flag, without the last newline', async () => {
    using files = new Workspace({
      'a.yaml':
        'connect: {token_file: token}\nlisteners: [{endpoint: a, addr: 1, password_file: pw}]\n',
      token: 'hunter2\n',
      pw: 'swordfish\r\n',
      other: ' hunter3\n\n',
    })
    const options = { cwd: files.path, files: ['a.yaml'] }
    const fromFile = await loadGood(options)
    expect(fromFile.settings.connect.token?.reveal()).toBe('hunter2')
    expect(fromFile.settings.listeners[0]?.password?.reveal()).toBe('swordfish')
    const env = { ADIT_CONNECT_TOKEN_FILE: 'other' }
    const fromVariable = await loadGood({ ...options, env })
    expect(fromVariable.settings.connect.token?.reveal()).toBe(' hunter3\n')
    const fromFlag = await loadGood({
      ...options,
      env,
      layers: [layer('flag', { 'connect.token': `${files.path}/pw` }, { isPath: true })],
    })
    expect(fromFlag.settings.connect.token?.reveal()).toBe('swordfish')
  })

  test('a stronger source replaces a weaker one whichever way it is given', async () => {
    using files = new Workspace({ 'a.yaml': 'connect: {token_file: absent}\n' })
    const env = { ADIT_CONNECT_TOKEN: 'hunter2' }
    const { settings: values } = await loadGood({ cwd: files.path, files: ['a.yaml'], env })
    expect(values.connect.token?.reveal()).toBe('hunter2')
  })

  test('given twice by one source are refused', async () => {
    using files = new Workspace({ 'a.yaml': 'connect: {token: hunter2, token_file: x}\n' })
    const env = { ADIT_CONNECT_PROXY_URL: 'http://x', ADIT_CONNECT_PROXY_URL_FILE: 'x' }
    const { problems } = await load({ cwd: files.path, files: ['a.yaml'], env })
    expect(problems).toMatchObject([
      { code: 'CONFIG_SECRET_TWICE', key: 'connect.token' },
      { code: 'CONFIG_SECRET_TWICE', key: 'connect.proxy_url' },
    ])
  })

  test('of 64 KiB are read, one byte more is refused', async () => {
    using files = new Workspace({ ok: 'x'.repeat(65_536), big: 'x'.repeat(65_537) })
    const { settings: values } = await loadGood({
      cwd: files.path,
      env: { ADIT_CONNECT_TOKEN_FILE: 'ok' },
    })
    expect(values.connect.token?.reveal()).toHaveLength(65_536)
    const failed = await load({ cwd: files.path, env: { ADIT_CONNECT_TOKEN_FILE: 'big' } })
    expect(failed.problems).toMatchObject([
      { code: 'CONFIG_FILE_UNREADABLE', message: expect.stringContaining('more than 65536 bytes') },
    ])
  })

  test('appear in no print of what was loaded, right or wrong', async () => {
    using files = new Workspace({
      'good.yaml': 'connect: {token: hunter2, proxy_url: "http://u:hunter2@p:1"}\n',
      'bad.yaml': 'connect: {token: [hunter2], proxy_url: "hunter2:hunter2@p"}\n',
      'syntax.yaml': 'connect:\n  token: *hunter2\n',
      'tag.yaml': 'connect:\n  token: !hunter2 x\n',
      'variable.yaml': 'connect:\n  token: hunter2${NONE}\n',
      'escape.yaml': 'connect:\n  token: "\\hunter2"\n',
    })
    for (const file of ['good', 'bad', 'syntax', 'tag', 'variable', 'escape']) {
      const loaded = await load({ cwd: files.path, files: [`${file}.yaml`] })
      expect(loaded.ok).toBe(file === 'good')
      const prints = [
        inspect(loaded, { depth: 20, showHidden: true }),
        JSON.stringify(loaded),
        formatProblems(loaded.problems),
        inspect(loaded.values.map(({ text }) => text)),
      ]
      expect(prints.join('\n')).not.toContain('hunter2')
    }
  })
})

describe('variables in values', () => {
  test('are replaced in files alone', async () => {
    using files = new Workspace({
      'a.yaml': 'connect: {url: "${URL}", token: "a$$b"}\nlog: {level: "${LEVEL:-warn}"}\n',
    })
    const { settings: values } = await loadGood({
      cwd: files.path,
      files: ['a.yaml'],
      env: { URL: 'http://x', ADIT_CONNECT_PROXY_URL: 'http://${URL}@h' },
    })
    expect(values.connect.url).toBe('http://x')
    expect(values.connect.token?.reveal()).toBe('a$b')
    expect(values.log.level).toBe('warn')
    expect(values.connect.proxyUrl?.reveal()).toBe('http://${URL}@h')
  })

  test('cannot add keys', async () => {
    using files = new Workspace({ 'a.yaml': 'log: {level: "${X}"}\n' })
    const env = { X: 'info\nmax_head: 1KiB' }
    const { problems } = await load({ cwd: files.path, files: ['a.yaml'], env })
    expect(problems).toMatchObject([{ code: 'CONFIG_VALUE_INVALID', key: 'log.level' }])
  })
})

describe('limits of lists', () => {
  const small = defineSettings({
    envPrefix: 'X',
    tree: {
      few: setting(list(integer(), { maxItems: 2 }), { default: [], description: 'x' }),
      name: setting(text(), { required: true, description: 'x' }),
    },
  })

  test.each([
    ['1', true],
    ['1,2', true],
    ['1,2,3', false],
  ])('at most two elements: %s', async (given, ok) => {
    const loaded = await loadSettings(small, { cwd: '/', env: { X_FEW: given, X_NAME: 'n' } })
    expect(loaded.ok).toBe(ok)
  })

  test('a value that is required and missing is reported', async () => {
    const loaded = await loadSettings(small, { cwd: '/' })
    expect(loaded.problems).toEqual([
      {
        code: 'CONFIG_VALUE_MISSING',
        severity: 'error',
        key: 'name',
        message: 'a value is required',
        allowed: 'any text',
      },
    ])
  })

  test('at most as many objects as its definition says, or 10000', async () => {
    const item = { name: setting(text(), { description: 'x' }) }
    const lists = defineSettings({
      envPrefix: 'X',
      tree: {
        few: objects(item, { description: 'x', maxItems: 2 }),
        many: objects(item, { description: 'x' }),
      },
    })
    const given = (length: number) => Array.from({ length }, () => ({}))
    const problems = async (few: number, many: number) => {
      const content = JSON.stringify({ few: given(few), many: given(many) })
      using files = new Workspace({ 'a.json': content })
      const loaded = await loadSettings(lists, { cwd: files.path, files: ['a.json'] })
      return loaded.problems.map(({ key, message }) => `${key}: ${message}`)
    }
    expect(await problems(2, 10_000)).toEqual([])
    expect(await problems(3, 10_001)).toEqual([
      'few: 3 elements are more than the allowed 2',
      'many: 10001 elements are more than the allowed 10000',
    ])
  })
})

describe('rules', () => {
  test('see typed values and report at the place of the value', async () => {
    using files = new Workspace({
      'a.yaml':
        'connect: {tls: {insecure_skip_verify: true}}\nlisteners:\n- {endpoint: a, addr: 1}\n- {endpoint: a, addr: 2}\n',
    })
    const { problems } = await load({ cwd: files.path, files: ['a.yaml'] })
    expect(problems).toMatchObject([
      { code: 'CONFIG_RULE_BROKEN', severity: 'warning', origin: { line: 1, column: 39 } },
      {
        code: 'CONFIG_RULE_BROKEN',
        severity: 'error',
        key: 'listeners[1].endpoint',
        origin: { line: 4, column: 14 },
      },
    ])
  })

  test('find what they can beside values that are wrong', async () => {
    using files = new Workspace({
      'a.yaml':
        'listeners:\n- {endpoint: A, addr: 1}\n- {endpoint: b, addr: 1}\n- {endpoint: b, addr: x}\n- {endpoint: b, addr: 3}\n',
    })
    const { problems } = await load({ cwd: files.path, files: ['a.yaml'] })
    expect(problems.map(({ code, key }) => [code, key])).toEqual([
      ['CONFIG_VALUE_INVALID', 'listeners[0].endpoint'],
      ['CONFIG_ADDRESS_INVALID', 'listeners[2].addr'],
      ['CONFIG_RULE_BROKEN', 'listeners[3].endpoint'],
    ])
    expect(problems[2]?.message).toBe('the endpoint is the one of listeners[1]')
  })

  test('that throw are not swallowed', async () => {
    const broken = defineSettings({
      envPrefix: 'X',
      tree: {},
      rules: [
        () => {
          throw new Error('a bug')
        },
      ],
    })
    await expect(loadSettings(broken, { cwd: '/' })).rejects.toThrow('a bug')
  })
})

test('ends with the reason of its signal, and at a limit when a file does not end', async () => {
  using files = new Workspace({ 'a.yaml': '' })
  const reason = new Error('stop')
  const options = { cwd: files.path, files: ['a.yaml'], signal: AbortSignal.abort(reason) }
  await expect(load(options)).rejects.toBe(reason)
  symlinkSync('/dev/zero', `${files.path}/endless`)
  const { problems } = await load({ cwd: files.path, files: ['endless'] })
  expect(problems).toMatchObject([{ code: 'CONFIG_FILE_TOO_LARGE' }])
})
