/** JSON with comments and TOML: told by the extension, with the same values and places as YAML. */
import { describe, expect, test } from 'vitest'

import { formatProblems, loadSettings } from '../../src/index.ts'
import { toml } from '../../src/toml.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

async function load(name: string, content: string, formats = [toml]) {
  using files = new Workspace({ [name]: content })
  const env = { HOST: 'h' }
  return await loadSettings(settings, { cwd: files.path, files: [name], formats, env })
}

const FORMS = {
  'a.yaml': `connect:
  url: http://\${HOST}
  timeout: 1.5s
  bind_addr: [10.0.0.1, "::1"]
  tls: { insecure_skip_verify: false }
max_head: 2KiB
listeners:
  - { endpoint: web, addr: 3000 }
  - { endpoint: api, addr: localhost:4000, tls: { server_name: "a // b" } }
`,
  'a.jsonc': `// of this machine
{
  "connect": {
    "url": "http://\${HOST}", // a comment "with quotes"
    "timeout": "1.5s",
    "bind_addr": ["10.0.0.1", /* one more */ "::1"],
    "tls": { "insecure_skip_verify": false },
  },
  "max_head": "2KiB",
  "listeners": [
    { "endpoint": "web", "addr": 3000 },
    { "endpoint": "api", "addr": "localhost:4000", "tls": { "server_name": "a // b" } },
  ],
}
`,
  'a.toml': `max_head = '2KiB'
[connect]
url = "http://\${HOST}"
timeout = "1.5s"
bind_addr = ["10.0.0.1",
  "::1"] # a comment
tls.insecure_skip_verify = false
[[listeners]]
endpoint = "web"
addr = 3000
[[listeners]]
"endpoint" = "api"
addr = "localhost:4000"
[listeners.tls]
server_name = "a // b"
`,
}

test('the three forms have the same values', async () => {
  const loaded = await Promise.all(
    Object.entries(FORMS).map(async ([name, content]) => await load(name, content)),
  )
  expect(loaded.map(({ problems }) => formatProblems(problems))).toEqual(['', '', ''])
  const [yaml, ...others] = loaded.map((one) => one.ok && one.settings)
  expect(yaml).toMatchObject({ maxHeadBytes: 2048, connect: { url: 'http://h', timeoutMs: 1500 } })
  for (const other of others) expect(other).toEqual(yaml)
})

describe('TOML', () => {
  test('is read as it is written: numbers and dates are for the grammar to judge', async () => {
    for (const text of ['0x10', '1_000', '1e3', '1979-05-27T07:32:00Z', 'true', 'inf']) {
      const loaded = await load('a.toml', `connect.token = ${text}\n`)
      expect(loaded.ok && loaded.settings.connect.token?.reveal()).toBe(text)
    }
  })

  test('has the place of each mistake', async () => {
    const { problems } = await load(
      'a.toml',
      `max_head = 3
[connect]
tokn = "x"
bind_addr = ["10.0.0.1",
  "eth0"]
url = "\${NOPE}"
[[listeners]]
endpoint = "web"
[listeners.tls]
name = 1
[log.level]
`,
    )
    expect(
      problems.map(({ code, key, origin }) => [
        key,
        code,
        origin?.kind === 'file' && `${origin.line}:${origin.column}`,
      ]),
    ).toEqual([
      ['max_head', 'CONFIG_SIZE_INVALID', '1:12'],
      ['connect.tokn', 'CONFIG_KEY_UNKNOWN', '3:1'],
      ['connect.bind_addr[1]', 'CONFIG_ADDRESS_INVALID', '5:3'],
      [undefined, 'CONFIG_VARIABLE_UNSET', '6:7'],
      ['listeners[0].addr', 'CONFIG_VALUE_MISSING', '7:3'],
      ['listeners[0].tls.name', 'CONFIG_KEY_UNKNOWN', '10:1'],
      ['log.level', 'CONFIG_SHAPE_WRONG', '11:6'],
    ])
  })

  test.each([
    ['a value that is missing', 'connect.url =\n', '2:1'],
    ['a quote that is not closed', '\nconnect.url = "hunter2\n', '2:23'],
    ['a key that occurs twice', 'max_head = 1\nmax_head = 2\n', '2:1'],
    ['a table that is a value too', 'log = 1\n[log]\nlevel = "info"\n', '2:2'],
    ['a list of tables that is a list too', 'listeners = []\n[[listeners]]\n', '2:3'],
    ['a table that is an inline table too', 'log = {level = "info"}\n[log.x]\n', '2:2'],
  ])('is refused with %s', async (_what, content, place) => {
    const { problems } = await load('a.toml', content)
    expect(problems).toHaveLength(1)
    const [{ code, origin, message } = {} as never] = problems
    expect([code, origin?.kind === 'file' && `${origin.line}:${origin.column}`]).toEqual([
      'CONFIG_FILE_SYNTAX',
      place,
    ])
    expect(message).not.toContain('hunter2')
  })

  test.each([
    ['arrays of 40 levels', `a = ${'['.repeat(40)}${']'.repeat(40)}`],
    ['arrays of 20000 levels', `a = ${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['a table of 40 levels', `[${'a.'.repeat(40)}a]`],
    ['a key of 40 levels', `${'a.'.repeat(40)}a = 1`],
    ['inline tables of 40 levels', `a = ${'{a = '.repeat(40)}1${'}'.repeat(40)}`],
    ['more than 4 Mi characters', `#${' '.repeat(4 * 1024 * 1024)}`],
  ])('is refused with %s', async (_what, content) => {
    const { problems } = await load('a.toml', content)
    expect(problems).toMatchObject([{ code: 'CONFIG_FILE_TOO_LARGE' }])
  })

  test('reaches no prototype', async () => {
    const { problems } = await load('a.toml', '[__proto__]\npolluted = true\n[constructor]\n')
    expect(problems.map(({ key }) => key)).toEqual(['__proto__', 'constructor'])
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })

  test('is named as such where the program does not read it', async () => {
    const { problems } = await load('a.TOML', 'max_head = "2KiB"\n', [])
    expect(problems).toMatchObject([
      { code: 'CONFIG_FILE_SYNTAX', message: 'this program does not read TOML' },
    ])
  })
})

describe('JSONC', () => {
  test.each([
    ['a key without quotes', '{\n  max_head: "2KiB"\n}', '2:3'],
    ['a text without quotes', '{"max_head": 2KiB}', '1:14'],
    ['an address without quotes, not cut at its slashes', '{"connect": {"url": http://a}}', '1:21'],
    ['a comment that is not closed', '{"max_head": "2KiB" /* }', '1:25'],
    ['two values', '{"max_head": "2KiB" "3KiB"}', '1:21'],
  ])('is refused with %s', async (_what, content, place) => {
    const { problems } = await load('a.jsonc', content)
    const [first] = problems
    expect([
      first?.code,
      first?.origin?.kind === 'file' && `${first.origin.line}:${first.origin.column}`,
    ]).toEqual(['CONFIG_FILE_SYNTAX', place])
  })

  test('with a hundred thousand starts of comments is read in one pass', async () => {
    const { problems } = await load('a.jsonc', `{"max_head": "2KiB"}${'/* '.repeat(100_000)}`)
    expect(problems).toEqual([])
  })
})
