import { execFileSync } from 'node:child_process'

import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parseDocument } from 'yaml'

import {
  completionScript,
  formatHelp,
  formatReference,
  formatValues,
  jsonSchema,
  loadSettings,
} from '../src/index.ts'
import { commands, settings } from './fixtures/sample.ts'
import { Workspace } from './fixtures/workspace.ts'

describe('help', () => {
  test.each([undefined, 'http', 'access', 'config', 'run', 'nonsense'])('of %s', (topic) => {
    expect(formatHelp(commands, { topic })).toMatchSnapshot()
  })

  test.each([0, 40, 60, 100, 500])('keeps to %d columns, between 40 and 100', (columns) => {
    const text = formatHelp(commands, { topic: 'http', columns })
    const widest = Math.max(
      ...text
        .split('\n')
        .filter((line) => line.includes(' (') || line.startsWith('        '))
        .map((line) => line.length),
    )
    // One word can be longer than the line is wide.
    expect(widest).toBeLessThanOrEqual(Math.min(Math.max(columns, 60), 100))
  })
})

test('the reference page', () => {
  expect(formatReference(settings, 'Settings')).toMatchSnapshot()
})

test('values are listed with origins', async () => {
  const { values } = await loadSettings(settings, {
    cwd: '/',
    env: { ADIT_CONNECT_TOKEN: 'hunter2' },
  })
  expect(formatValues(values, { origins: true })).toMatchSnapshot()
  expect(formatValues(values)).toContain('connect.token                     [secret]\n')
})

describe('the JSON Schema', () => {
  const schema = jsonSchema(settings, 'https://example.com/adit.json', 'Settings')
  const options = { strict: true, strictRequired: false, allowUnionTypes: true } as const
  const check = new Ajv2020(options).compile(schema)

  async function judge(content: string): Promise<{ schema: boolean; program: boolean }> {
    using files = new Workspace({ 'a.yaml': content })
    const env = { X: '5s' }
    const loaded = await loadSettings(settings, { cwd: files.path, files: ['a.yaml'], env })
    return { schema: check(parseDocument(content).toJS()), program: loaded.ok }
  }

  test.each([
    '{}',
    '$schema: ./adit.json',
    'connect: {url: "https://x", timeout: 30s, bind_addr: 10.0.0.1}',
    'connect: {bind_addr: [10.0.0.1, "::1"], token: 12345}',
    'connect: {timeout: "${X}", tls: {insecure_skip_verify: true}}',
    'connect:\nlisteners:\nlog: {level: }',
    'metrics_addr: 8080',
    'metrics_addr: [8080, "[::1]:80", unix:/x]',
    'max_head: 1.5kib',
    'listeners: []',
    'listeners: [{endpoint: a, addr: 3000, protocol: tcp, timeout: 0}]',
    'listeners: [{endpoint: a, addr: "x:1", timeout: inf, password: x, tls: {server_name: a}}]',
  ])('accepts what the program accepts: %s', async (content) => {
    expect(await judge(content)).toEqual({ schema: true, program: true })
  })

  test.each([
    '[]',
    'connect: true',
    'connect: []',
    'conect: {}',
    'connect: {tokn: x}',
    'connect: {token: [x]}',
    'connect: {token: {a: b}}',
    'connect: {token: a, token_file: b}',
    'connect: {url: 5}',
    'connect: {url: ftp://x}',
    'connect: {url: [http://x]}',
    'connect: {timeout: 30}',
    'connect: {timeout: 30x}',
    'connect: {timeout: -1s}',
    'connect: {timeout: true}',
    'connect: {bind_addr: [[10.0.0.1]]}',
    'connect: {bind_addr: {a: 10.0.0.1}}',
    'connect: {bind_addr: [5]}',
    'connect: {tls: {insecure_skip_verify: yes}}',
    'connect: {tls: {insecure_skip_verify: 1}}',
    'connect: {tls: {root_cas: ""}}',
    'log: {level: verbose}',
    'log: {level: INFO}',
    'log: info',
    'max_head: 65536',
    'max_head: 64K',
    'metrics_addr: true',
    'metrics_addr: [true]',
    'listeners: {endpoint: a, addr: 1}',
    'listeners: [a]',
    'listeners: [{addr: 1}]',
    'listeners: [{endpoint: a}]',
    'listeners: [{endpoint: A, addr: 1}]',
    'listeners: [{endpoint: a, addr: 1, protocol: udp}]',
    'listeners: [{endpoint: a, addr: 1, port: 1}]',
    'listeners: [{endpoint: a, addr: [1]}]',
    'listeners: [{endpoint: a, addr: 1, tls: x}]',
  ])('refuses what the program refuses: %s', async (content) => {
    expect(await judge(content)).toEqual({ schema: false, program: false })
  })
})

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'] as const)('of %s', (shell) => {
    expect(completionScript(commands, shell)).toMatchSnapshot()
  })

  test.each([
    ['adit ', 'http start access config run --config --json --help --version'],
    ['adit h', 'http'],
    ['adit config ', 'show check --config --json --help'],
    ['adit --config x sta', 'start'],
    ['adit -c x --json config sh', 'show'],
    ['adit config show --or', '--origin'],
    ['adit http --log.level w', 'warn'],
    ['adit http --connect.timeout ', ''],
    ['adit access --max', ''],
    ['adit run --c', '--config'],
  ])('bash completes %j', (line, words) => {
    const script = `${completionScript(commands, 'bash')}
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _adit; echo "\${COMPREPLY[*]}"`
    const completed = execFileSync('bash', ['-c', script, 'bash', ...line.split(' ')])
    expect(completed.toString().trim()).toBe(words)
  })

  test.each(['zsh', 'fish'] as const)('%s reads its script', (shell) => {
    const script = completionScript(commands, shell)
    const outcome = syntaxCheck(shell, script)
    expect(outcome).toMatch(/^(ok|not installed)$/)
  })
})

/** Lets a shell read a script without running it; says so when the shell is not there. */
function syntaxCheck(shell: string, script: string): string {
  using files = new Workspace({ script })
  try {
    execFileSync(shell, ['-n', `${files.path}/script`], { stdio: 'pipe' })
    return 'ok'
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing ? 'not installed' : String(error)
  }
}
