import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { describe, expect, test } from 'vitest'
import {
  defineSettings,
  integer,
  oneOf,
  type RuleProblem,
  secret,
  setting,
  text,
} from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import {
  argument,
  defineCommands,
  GLOBAL_FLAGS,
  type Invocation,
  runCommandLine,
  STANDARD_COMMANDS,
} from '../../src/index.ts'
import { LOG_LEVELS } from '../../src/output/logger.ts'
import { pikoDialect, pikoFlags, PIKO_LOG_KEYS, type PikoTable } from '../../src/piko.ts'
import { Capture } from '../capture.ts'

const settings = defineSettings({
  envPrefix: 'THING',
  tree: {
    log: {
      level: setting(oneOf(LOG_LEVELS), { default: 'info', reload: 'live', description: 'L.' }),
    },
    size: setting(integer({ min: 1, max: 9 }), { default: '3', description: 'How big.' }),
    token: setting(secret(), { description: 'Who.' }),
  },
})
const KEYS: PikoTable = {
  ...PIKO_LOG_KEYS,
  'cluster.join': { refuse: 'nodes find one another' },
}
const PIKO = { name: 'server', keys: KEYS }
const own = {
  greet: { description: 'Greets.', args: { name: argument(text(), { description: 'Whom.' }) } },
} as const
const commands = defineCommands({
  program: 'thing',
  description: 'Does things.',
  settings,
  globals: GLOBAL_FLAGS,
  commands: { ...own, ...STANDARD_COMMANDS },
})
type Asked = Invocation<(typeof settings)['tree'], typeof own>

async function run(
  argv: readonly string[],
  options: {
    env?: Record<string, string>
    cwd?: string
    columns?: number
    body?: (invocation: Asked) => Promise<number>
    inspect?: readonly RuleProblem[]
    commit?: string
  } = {},
) {
  const [stdout, stderr] = [new Capture(options.columns), new Capture(options.columns)]
  let seen: Asked | undefined
  const code = await runCommandLine<(typeof settings)['tree'], typeof own>(
    {
      software: 'thing/1.2.3',
      commit: options.commit,
      settings,
      commands,
      starter: '# log:\n',
      schemaId: 'https://thing.example/schema.json',
      piko: {
        dialect: (how) => pikoDialect(PIKO, settings, how),
        flags: pikoFlags(PIKO, settings),
      },
      inspect: async () => options.inspect ?? [],
      inspects: ['greet'],
      defaultFile: { directory: 'thing', names: ['thing.yaml', 'thing.toml'] },
      run: async (invocation) => {
        seen = invocation
        return (await options.body?.(invocation)) ?? 0
      },
    },
    {
      argv,
      env: options.env ?? {},
      cwd: options.cwd ?? '/',
      stdout,
      stderr,
      signals: {
        stop: new AbortController().signal,
        isInterrupted: () => false,
        kill: new AbortController().signal,
        onReload: () => {},
        onUpgrade: () => {},
        onReopen: () => {},
      },
    },
  )
  return { code, stdout: stdout.text, stderr: stderr.text, seen }
}

const COMMIT = '0123456789abcdef0123456789abcdef01234567'
const { platform, arch, versions } = process

test.for([['--version'], ['-V'], ['version']])(
  '%s is program, commit and Node',
  async ([word = '']) => {
    const stdout = (commit: string): string =>
      `thing 1.2.3 (${commit}Node ${versions.node}, ${platform} ${arch})\n`
    const built = await run([word], { commit: COMMIT })
    expect(built).toMatchObject({ code: 0, stdout: stdout('commit 0123456789ab, '), stderr: '' })
    expect(await run([word])).toMatchObject({ code: 0, stdout: stdout(''), stderr: '' })
  },
)

test.for([['--version'], ['version']])('%s --json has the parts', async ([word = '']) => {
  const { stdout } = await run([word, '--json'], { commit: COMMIT })
  const parts = { program: 'thing', version: '1.2.3', commit: COMMIT, node: versions.node }
  expect(JSON.parse(stdout)).toEqual({ ...parts, platform, arch })
})

test('help goes to standard output, as wide as the terminal', async () => {
  const { code, stdout } = await run(['help', 'config', 'show'], { columns: 60 })
  expect(code).toBe(0)
  expect(stdout).toContain('thing config show [flags]')
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(60)
})

test.for([
  ['--quiet', 'error'],
  ['--verbose', 'debug'],
] as const)('%s is log level %s, whatever else says it', async ([flag, level]) => {
  const { seen } = await run(['greet', 'you', flag], { env: { THING_LOG_LEVEL: 'warn' } })
  expect(seen?.loaded.settings.log.level).toBe(level)
})

test('--quiet and --verbose exclude one another', async () => {
  await expect(run(['greet', 'you', '--quiet', '--verbose'])).rejects.toMatchObject({
    message: '--quiet and --verbose exclude one another',
    exitCode: 2,
  })
})

test('a command of its own gets arguments, settings and surroundings', async () => {
  const { code, seen } = await run(['greet', 'you', '--size', '5', '--json'], {
    env: { THING_LOG_LEVEL: 'debug' },
    body: async () => 7,
  })
  expect(code).toBe(7)
  expect(seen?.command).toMatchObject({ name: 'greet', args: { name: 'you' } })
  expect(seen?.loaded.settings).toMatchObject({ size: 5, log: { level: 'debug' } })
  expect([seen?.json, seen?.colour]).toEqual([true, true])
})

test.for([
  [{ NO_COLOR: '1' }, false],
  [{ NO_COLOR: '' }, true],
  [{}, true],
] as const)('with %o colours are %s', async ([env, colour]) => {
  const { seen } = await run(['greet', 'you'], { env: { ...env } })
  expect(seen?.colour).toBe(colour)
})

describe('the default file', () => {
  test('is the one of the user, read when neither flag nor variable names another', async () => {
    using home = temporaryDirectory()
    const file = home.write('.config/thing/thing.toml', 'size = 4\n')
    const other = home.write('other.yaml', 'log: {level: warn}\n')
    const env = { HOME: home.path }
    const found = await run(['greet', 'you'], { env })
    expect(found.stderr).toBe('')
    expect(found.seen?.loaded.settings.size).toBe(4)
    expect(found.seen?.loaded.files).toEqual([file])
    for (const named of [
      await run(['greet', 'you', '-c', other], { env }),
      await run(['greet', 'you'], { env: { ...env, THING_CONFIG: other } }),
    ]) {
      expect(named.seen?.loaded.settings).toMatchObject({ size: 3, log: { level: 'warn' } })
      expect(named.seen?.loaded.files).toEqual([other])
    }
    expect((await run(['greet', 'you'], { env: {} })).seen?.loaded.files).toEqual([])
  })

  test('is looked for again by a reload', async () => {
    using home = temporaryDirectory()
    const { seen } = await run(['greet', 'you'], { env: { HOME: home.path } })
    expect(seen?.loaded.settings.size).toBe(3)
    home.write('.config/thing/thing.yaml', 'size: 5\n')
    const again = await seen?.load({})
    expect(again?.ok && again.settings.size).toBe(5)
  })

  test('that every user can change is warned of', async () => {
    using home = temporaryDirectory()
    const file = home.write('.config/thing/thing.yaml', 'size: 4\n')
    chmodSync(file, 0o664)
    const env = { HOME: home.path }
    expect((await run(['greet', 'you'], { env })).stderr).toBe('')
    chmodSync(file, 0o666)
    const { code, stderr } = await run(['greet', 'you'], { env })
    expect([code, stderr]).toEqual([0, expect.stringContaining(`hint: chmod o-w ${file}`)])
    const { stdout } = await run(['config', 'check', '--json'], { env })
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      problems: [{ code: 'CONFIG_FILE_WRITABLE', severity: 'warning', origin: { path: file } }],
    })
    const named = await run(['greet', 'you', '--config', file], { env })
    expect(named.stderr).toBe('')
  })

  test('that cannot be read is passed over with a warning; a mistake in one is an error', async () => {
    using home = temporaryDirectory()
    const file = home.write('.config/thing/thing.toml', 'size = 4\n')
    symlinkSync('thing.yaml', join(dirname(file), 'thing.yaml'))
    const { code, stderr, seen } = await run(['greet', 'you'], { env: { HOME: home.path } })
    expect([code, seen?.loaded.settings.size]).toEqual([0, 4])
    expect(stderr).toContain('thing.yaml: this default configuration file cannot be read')
    rmSync(join(dirname(file), 'thing.yaml'))
    mkdirSync(join(dirname(file), 'thing.yaml'))
    const directory = await run(['greet', 'you'], { env: { HOME: home.path } })
    expect([directory.code, directory.seen?.loaded.settings.size]).toEqual([0, 4])
    expect(directory.stderr).toContain('thing.yaml: this is a directory, not a default')
    home.write('.config/thing/thing.toml', 'sise = 4\n')
    const wrong = await run(['config', 'check'], { env: { HOME: home.path } })
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('did you mean size?')])
  })
})

describe('mistakes', () => {
  test('on the command line end with 2, all of them said, and where help is', async () => {
    const { code, stdout, stderr, seen } = await run([
      'greet',
      'you',
      '--sise',
      '5',
      '--json=maybe',
    ])
    expect({ code, stdout, seen }).toEqual({ code: 2, stdout: '', seen: undefined })
    expect(stderr).toBe(
      [
        'error: unknown flag --sise',
        '  hint: did you mean --size?',
        'error: flag --json: "maybe" is not true or false',
        '  allowed: true or false',
        'help: thing help greet',
        '',
      ].join('\n'),
    )
  })

  test('are found in files of every form', async () => {
    using folder = temporaryDirectory()
    folder.write('a.toml', 'size = 4\n[log]\nlevel = "warn" # text\n')
    folder.write('b.jsonc', '{ "size": 5, /* last */ }')
    const { stderr, seen } = await run(['greet', 'you', '-c', 'a.toml', '-c', 'b.jsonc'], {
      cwd: folder.path,
    })
    expect(stderr).toBe('')
    expect(seen?.loaded.settings).toMatchObject({ size: 5, log: { level: 'warn' } })
    folder.write('b.jsonc', '{ "sise": 5 }')
    const { code, stderr: mistake } = await run(['greet', 'you', '-c', 'b.jsonc'], {
      cwd: folder.path,
    })
    expect([code, mistake]).toEqual([2, expect.stringContaining('b.jsonc:1:3: sise')])
  })

  test('in a file end with 2 before anything was done', async () => {
    using folder = temporaryDirectory()
    folder.write('a.yaml', 'size: 12\nlog:\n  levle: info\n')
    const { code, stderr, seen } = await run(['greet', 'you', '-c', 'a.yaml'], { cwd: folder.path })
    expect(code).toBe(2)
    expect(seen).toBeUndefined()
    expect(stderr).toContain('a.yaml:1:7: size: 12 is above 9')
    expect(stderr).toContain('a.yaml:3:3')
    expect(stderr).toContain('did you mean log.level?')
  })
})

describe('config check', () => {
  test('says that there is no mistake', async () => {
    expect(await run(['config', 'check', '--size', '5'])).toMatchObject({
      code: 0,
      stdout: 'defaults, variables and flags: no mistake\n',
      stderr: '',
    })
  })

  test('ends with 2 and every mistake', async () => {
    using folder = temporaryDirectory()
    folder.write('a.yaml', 'size: 12\nsise: 3\n')
    const { code, stdout, stderr } = await run(['config', 'check', '-c', 'a.yaml'], {
      cwd: folder.path,
    })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr.match(/^error: /gm)).toHaveLength(2)
  })

  test('prints JSON with code and place of each mistake', async () => {
    using folder = temporaryDirectory()
    const path = folder.write('a.yaml', 'size: 12\n')
    const { code, stdout, stderr } = await run(['config', 'check', '--json', '-c', path])
    expect([code, stderr]).toEqual([2, ''])
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      files: [path],
      problems: [
        { code: 'CONFIG_VALUE_INVALID', severity: 'error', origin: { line: 1, column: 7 } },
      ],
    })
  })
})

describe('config show', () => {
  test('shows every setting as it is taken, secrets masked, with its origin', async () => {
    const env = { THING_TOKEN: 'very-secret' }
    const { code, stdout } = await run(['config', 'show', '--origin', '--size', '5'], { env })
    expect(code).toBe(0)
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['log.level', 'info', 'default'],
      ['size', '5', 'flag --size'],
      ['token', '[secret]', 'variable THING_TOKEN'],
      [''],
    ])
  })

  test('prints JSON', async () => {
    const values = JSON.parse((await run(['config', 'show', '--json'])).stdout)
    expect(values).toContainEqual({ key: 'size', text: '3', origin: { kind: 'default' } })
  })
})

test('config schema is a JSON Schema with the address it is published at', async () => {
  expect(JSON.parse((await run(['config', 'schema'])).stdout)).toMatchObject({
    $id: 'https://thing.example/schema.json',
    title: 'Configuration of thing',
    additionalProperties: false,
  })
})

test('config reference is a page of every setting', async () => {
  const { stdout } = await run(['config', 'reference'])
  expect(stdout).toMatch(/^# Configuration of thing\n/)
  expect(stdout).toContain('| `size` | `3` |')
})

test.for(['bash', 'zsh', 'fish'])('completion is a script for %s', async (shell) => {
  const { code, stdout } = await run(['completion', shell])
  expect(code).toBe(0)
  expect(stdout).toContain('greet')
  expect(stdout).toContain('piko-config')
})

test('a file of Piko is read by either name of the flag, and refused with the reason', async () => {
  using folder = temporaryDirectory()
  folder.write('piko.yaml', 'log:\n  level: ${LEVEL}\n')
  for (const flag of ['--config.path', '--piko-config']) {
    const { code, stdout } = await run(
      ['config', 'show', flag, 'piko.yaml', '--config.expand-env'],
      { cwd: folder.path, env: { LEVEL: 'warn' } },
    )
    expect(code).toBe(0)
    expect(stdout).toMatch(/^log.level +warn$/m)
  }
  folder.write('piko.yaml', 'cluster:\n  join: [node1:8003]\n')
  const { code, stderr } = await run(['config', 'check', '--config.path', 'piko.yaml'], {
    cwd: folder.path,
  })
  expect(code).toBe(2)
  expect(stderr).toMatch(/piko.yaml:2:3: cluster.join: no counterpart: nodes find one another/)
})

describe('what only the machine can tell', () => {
  const inspect = [{ key: 'size', code: 'THING_TOO_BIG', message: 'too big for here' }]

  test('is a mistake of config check, with its own code and the place of the value', async () => {
    const found = await run(['config', 'check', '--json', '--size', '4'], { inspect })
    expect(found.code).toBe(2)
    expect(JSON.parse(found.stdout)).toMatchObject({
      ok: false,
      problems: [{ code: 'THING_TOO_BIG', key: 'size', origin: { kind: 'flag' } }],
    })
  })

  test('ends a command that is inspected before it begins', async () => {
    const found = await run(['greet', 'you'], { inspect })
    expect([found.code, found.seen]).toEqual([2, undefined])
    expect(found.stderr).toBe('error: size: too big for here\n')
  })

  test('is not asked by a command that is not', async () => {
    expect(await run(['config', 'show'], { inspect })).toMatchObject({ code: 0, stderr: '' })
  })

  test('may be a warning', async () => {
    const warning = inspect.map((one) => ({ ...one, severity: 'warning' as const }))
    const found = await run(['greet', 'you'], { inspect: warning })
    expect(found.code).toBe(0)
    expect(found.stderr).toBe('warning: size: too big for here\n')
  })
})
