import {
  boolean,
  defineSettings,
  integer,
  list,
  loadSettings,
  secret,
  setting,
  text,
} from '@proj/config'
import { expect, test } from 'vitest'

import { argument, defineCommands, parseCommandLine, type Command } from '../../src/index.ts'
import { pikoFlags, sameKeys } from '../../src/piko.ts'
import { commands, settings as sample } from '../fixtures/sample.ts'

function parse(argv: readonly string[], env = {}) {
  return parseCommandLine(commands, { argv, env, cwd: '/cwd' })
}

function parseGood(argv: readonly string[], env = {}) {
  const line = parse(argv, env)
  if (line.kind !== 'command') throw new Error(JSON.stringify(line))
  return line
}

test('arguments, own flags and global flags are typed values', () => {
  const { command, globals } = parseGood(['http', 'web', '[::1]:80', '--timeout', '3s', '-c', 'a'])
  expect(command).toEqual({
    name: 'http',
    args: { endpoint: 'web', address: '[::1]:80' },
    flags: { timeoutMs: 3000 },
  })
  expect(globals).toEqual({ config: ['/cwd/a'], json: false })
  // The name tells the compiler which arguments there are.
  const timeoutMs: number | undefined =
    command.name === 'http' ? command.flags.timeoutMs : undefined
  expect(timeoutMs).toBe(3000)
})

test('flags may stand before, between and after the words', () => {
  const line = parseGood(['--json', 'config', '--log.level', 'warn', 'show', '--origin'])
  expect(line.command).toEqual({ name: 'config show', args: {}, flags: { origin: true } })
  expect(line.globals.json).toBe(true)
  expect([...line.settings.values.keys()]).toEqual(['log.level'])
})

test('a list takes commas, repetition and all remaining arguments', () => {
  const line = parseGood(['access', 'a=1', 'b=2', '-c', 'x,y', '--config=z'])
  expect(line.command.args).toEqual({ pairs: ['a=1', 'b=2'] })
  expect(line.globals.config).toEqual(['/cwd/x', '/cwd/y', '/cwd/z'])
  expect(parseGood(['start', '--config=']).globals.config).toEqual([])
})

test('the last of a repeated flag counts', () => {
  const line = parseGood(['start', '--log.level=info', '--log.level=warn'])
  expect(line.settings.values.get('log.level')?.node).toMatchObject({ text: 'warn' })
})

test('a list of objects is JSON, an array or one object, and a repeated flag adds to it', async () => {
  const line = parseGood([
    'start',
    '--listeners=[{"endpoint":"a","addr":1},{"endpoint":"b","addr":"2"}]',
    '--listeners',
    '{"endpoint":"c","addr":":3"}',
  ])
  const options = { cwd: '/', env: { ADIT_LISTENERS: '[]' }, layers: [line.settings] }
  const loaded = await loadSettings(sample, options)
  expect(loaded.ok && loaded.settings.listeners.map(({ endpoint }) => endpoint)).toEqual([
    'a',
    'b',
    'c',
  ])
  const wrong = parseGood(['start', '--listeners', 'web=3000'])
  const { problems } = await loadSettings(sample, { cwd: '/', layers: [wrong.settings] })
  expect(problems).toMatchObject([
    {
      code: 'CONFIG_VALUE_INVALID',
      key: 'listeners',
      origin: { kind: 'flag', name: '--listeners' },
    },
  ])
})

test('a boolean flag stands alone, negated, or with a word', () => {
  const value = (flag: string) => parseGood(['start', flag]).globals.json
  expect(['--json', '--no-json', '--json=false', '--json=true'].map(value)).toEqual([
    true,
    false,
    false,
    true,
  ])
})

test('global flags have variables, the flags of a command have none', () => {
  const env = { ADIT_CONFIG: 'a,b', ADIT_JSON: 'true', ADIT_TIMEOUT: '1s' }
  const line = parseGood(['http', 'a', '1'], env)
  expect(line.globals).toEqual({ config: ['/cwd/a', '/cwd/b'], json: true })
  expect(line.command.flags).toEqual({ timeoutMs: 10_000 })
})

test('a negative number needs no equals sign, other values that begin with - do', () => {
  const settings = defineSettings({ envPrefix: 'X', tree: {} })
  const one = { description: 'x', flags: { n: setting(integer(), { description: 'x' }) } }
  const definition = defineCommands({
    program: 'x',
    description: 'x',
    settings,
    globals: {},
    commands: { one },
  })
  const run = (...argv: string[]) =>
    parseCommandLine(definition, { argv: ['one', ...argv], env: {}, cwd: '/' })
  expect(run('--n', '-5')).toMatchObject({ command: { flags: { n: -5 } } })
  expect(run('--n', '--n=1').kind).toBe('error')
})

test('what follows -- is passed on, or is arguments', () => {
  expect(parseGood(['run', '80', '--', 'ls', '-l', '--json']).rest).toEqual(['ls', '-l', '--json'])
  expect(parseGood(['http', '--', 'web', '-5']).command.args).toEqual({
    endpoint: 'web',
    address: '-5',
  })
  expect(parseGood(['run', '--']).rest).toEqual([])
})

test.each([
  [['--help'], { kind: 'help', topic: undefined, all: false }],
  [['-h'], { kind: 'help', topic: undefined, all: false }],
  [['help'], { kind: 'help', topic: undefined, all: false }],
  [[], { kind: 'help', topic: undefined, all: false }],
  [['help', 'http'], { kind: 'help', topic: 'http', all: false }],
  [['http', '-h'], { kind: 'help', topic: 'http', all: false }],
  [['http', 'a', 'b', 'c', '--nonsense', '--help'], { kind: 'help', topic: 'http', all: false }],
  [['help', 'config', 'show'], { kind: 'help', topic: 'config show', all: false }],
  [['help', 'config'], { kind: 'help', topic: 'config', all: false }],
  [['http', '--help', '--all'], { kind: 'help', topic: 'http', all: true }],
  [['help', 'http', '--all'], { kind: 'help', topic: 'http', all: true }],
  [['--version'], { kind: 'version', json: false }],
  [['http', '-V', '--json'], { kind: 'version', json: true }],
])('%j asks for help or the version', (argv, line) => {
  expect(parse(argv)).toEqual(line)
})

test('a setting can have a shorter flag, and a secret the file of it', () => {
  const { settings } = parseGood(['http', 'web', '80', '--url', 'http://a:1', '--token-file', 't'])
  expect(settings.values.get('connect.url')?.node).toMatchObject({ text: 'http://a:1' })
  expect(settings.values.get('connect.token')).toMatchObject({ isPath: true, node: { text: 't' } })
})

test('--all is a flag of help alone', () => {
  expect(parse(['http', 'web', '80', '--all'])).toMatchObject({ kind: 'error', topic: 'http' })
})

test('names from a person reach no prototype', () => {
  for (const word of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    expect(parse([word]).kind).toBe('error')
    expect(parse(['start', `--${word}`]).kind).toBe('error')
    expect(parse(['start', `--no-${word}`]).kind).toBe('error')
  }
})

test('a secret on the command line is warned of, the file of one is not', () => {
  const exposed = parseGood(['start', '--connect.token', 'hunter2'])
  expect(exposed.problems).toMatchObject([{ code: 'CONFIG_SECRET_EXPOSED', severity: 'warning' }])
  expect(exposed.problems[0]?.hint).toContain('use --connect.token-file or')
  const short = parseGood(['start', '--token', 'hunter2'])
  expect(short.problems[0]?.hint).toContain('use --token-file or')
  const listener = { endpoint: 'a', addr: '1', password: 'hunter2' }
  const inside = parseGood(['start', '--listeners', JSON.stringify(listener)])
  expect(inside.problems).toMatchObject([{ code: 'CONFIG_SECRET_EXPOSED', key: 'listeners' }])
  const { password: _password, ...open } = listener
  const named = { ...open, password_file: '/run/password' }
  expect(parseGood(['start', '--listeners', JSON.stringify(named)]).problems).toEqual([])
  expect(JSON.stringify(exposed.problems)).not.toContain('hunter2')
  expect(parseGood(['start', '--connect.token-file', 'f']).problems).toEqual([])
})

test('the default command takes arguments that name no command', () => {
  const settings = defineSettings({ envPrefix: 'X', tree: {} })
  const definition = defineCommands({
    program: 'x',
    description: 'x',
    settings,
    globals: {},
    commands: { start: { description: 'x' } },
    defaultCommand: 'start',
  })
  const run = (...argv: string[]) => parseCommandLine(definition, { argv, env: {}, cwd: '/' })
  expect(run()).toMatchObject({ kind: 'command', command: { name: 'start' } })
  expect(run('strt').kind).toBe('error')
})

test('flags of another program are renamed or refused with the reason', () => {
  const foreignFlags = {
    aliases: { 'config.path': 'config', wide: 'json' },
    refused: { 'cluster.join': 'there is no gossip' },
  }
  const run = (...argv: string[]) =>
    parseCommandLine(commands, { argv: ['start', ...argv], env: {}, cwd: '/', foreignFlags })
  expect(run('--config.path', 'a', '--wide')).toMatchObject({
    globals: { config: ['/a'], json: true },
  })
  expect(run('--cluster.join', 'x')).toMatchObject({
    problems: [
      {
        code: 'CONFIG_PIKO_UNSUPPORTED',
        message: 'the flag --cluster.join of Piko has no counterpart: there is no gossip',
      },
    ],
  })
})

test.each<[string, Readonly<Record<string, Command>>, string]>([
  [
    'an argument after a list',
    {
      a: {
        description: 'x',
        args: {
          b: argument(list(text()), { description: 'x' }),
          c: argument(text(), { description: 'x' }),
        },
      },
    },
    'a: only the last arguments may be optional or a list',
  ],
  [
    'a required argument after an optional one',
    {
      a: {
        description: 'x',
        args: {
          b: argument(text(), { description: 'x', optional: true }),
          c: argument(text(), { description: 'x' }),
        },
      },
    },
    'a: only the last arguments may be optional or a list',
  ],
  [
    'a flag with the name of a global one',
    { a: { description: 'x', flags: { json: setting(text(), { description: 'x' }) } } },
    'a: --json is the flag of a setting',
  ],
  [
    'a flag with the name of a setting',
    { a: { description: 'x', flags: { key: setting(text(), { description: 'x' }) } } },
    'a: --key is the flag of a setting',
  ],
  [
    'a flag that is a secret',
    { a: { description: 'x', flags: { pin: setting(secret(), { description: 'x' }) } } },
    'a: --pin is a secret, which only a setting can be',
  ],
])('a definition with %s is refused', (_what, list, message) => {
  const settings = defineSettings({
    envPrefix: 'X',
    tree: { key: setting(secret(), { description: 'x' }) },
  })
  const globals = { json: setting(boolean(), { description: 'x' }) }
  const definition = { program: 'x', description: 'x', settings, globals, commands: list }
  expect(() => defineCommands(definition)).toThrow(new TypeError(message))
})

test('a definition with two flags of one name is refused', () => {
  const settings = defineSettings({
    envPrefix: 'X',
    tree: { help: setting(text(), { description: 'x' }) },
  })
  const definition = { program: 'x', description: 'x', settings, globals: {}, commands: {} }
  expect(() => defineCommands(definition)).toThrow(new TypeError('two flags are called --help'))
})

test('flags of another program are renamed, or refused with the reason', () => {
  const keys = { ...sameKeys(['connect.url']), 'connect.tenant_id': { refuse: 'no tenants' } }
  const piko = { name: 'agent', keys }
  const foreignFlags = pikoFlags(piko, sample)
  const run = (...argv: string[]) =>
    parseCommandLine(commands, { argv: ['start', ...argv], env: {}, cwd: '/', foreignFlags })
  expect(run('--connect.url', 'http://x').kind).toBe('command')
  expect(run('--connect.tenant-id', 'a')).toMatchObject({
    problems: [{ code: 'CONFIG_PIKO_UNSUPPORTED' }],
  })
})

test.each(['-1', '-la', '-x'])('an unknown %s is told that -- makes it an argument', (word) => {
  const line = parse(['http', word, '8080'])
  if (line.kind !== 'error') throw new Error('accepted')
  for (const { code, hint } of line.problems) {
    expect([code, hint]).toEqual([
      'CONFIG_FLAG_UNKNOWN',
      'write -- before arguments that begin with -',
    ])
  }
  expect(line.problems.length).toBeGreaterThan(0)
  const { args } = parseGood(['http', '--', word, '8080']).command
  expect(args).toEqual({ endpoint: word, address: '8080' })
})
