import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

import { type TemporaryDirectory, temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import {
  installService,
  launchdAgent,
  planService,
  readServiceState,
  type ServiceErrorCode,
  type ServiceDefinition,
  systemdUnit,
  systemdUserUnit,
  uninstallService,
  windowsTask,
} from '../../src/index.ts'

const AGENT: ServiceDefinition = {
  program: 'thing',
  title: 'Thing agent',
  argumentsOf: (file) => ['start', '--config', file],
  tokenVariable: 'THING_TOKEN_FILE',
}
const SERVER: ServiceDefinition = {
  program: 'thing-server',
  title: 'Thing server',
  argumentsOf: (file) => ['--config', file],
  state: 'Tokens',
  carriesMany: true,
}
const STARTED = { command: ['/usr/bin/thing'], configFile: '/etc/adit/thing.yaml' }
/** Words that each of the three languages reads in another way. */
const HARD = { command: ['/opt/a b/thing'], configFile: String.raw`/etc/50% $HOME/"q"\ & <x>.yaml` }

describe('text', () => {
  test('of a unit of the machine: words stand for themselves', () => {
    const unit = systemdUnit(AGENT, HARD)
    expect(unit).toContain(
      String.raw`ExecStart="/opt/a b/thing" start --config "/etc/50%% $$HOME/\"q\"\\ & <x>.yaml"` +
        '\n',
    )
    expect(unit).toContain(
      'LoadCredential=token:/etc/adit/token\nEnvironment=THING_TOKEN_FILE=%d/token\n',
    )
    expect(systemdUnit(SERVER, STARTED)).not.toContain('LoadCredential')
  })

  test('of a unit of a user, of launchd and of Windows', () => {
    expect(systemdUserUnit(AGENT, STARTED)).toMatchSnapshot('systemd')
    expect(launchdAgent(AGENT, HARD, '/Users/ann/Library/Logs/thing.log')).toMatchSnapshot(
      'launchd',
    )
    expect(windowsTask(AGENT, HARD, String.raw`PC\ann`)).toMatchSnapshot('windows')
  })

  test.for([
    ['--system', systemdUnit(AGENT, { ...STARTED, command: [process.execPath] })],
    ['--system', systemdUnit(SERVER, { ...STARTED, command: [process.execPath] })],
    ['--user', systemdUserUnit(AGENT, { ...HARD, command: [process.execPath] })],
  ] as const)('systemd-analyze verify %s finds no mistake', ([scope, unit], { skip }) => {
    skip(systemdVersion() < 250, 'no systemd-analyze with --recursive-errors on this machine')
    using folder = temporaryDirectory()
    const file = folder.write('thing.service', unit)
    const env = { ...process.env, XDG_RUNTIME_DIR: folder.path }
    const flags = ['verify', scope, '--man=no', '--recursive-errors=no', file]
    const { status, stderr } = spawnSync('systemd-analyze', flags, { encoding: 'utf8', env })
    expect({ status, stderr: stderr.split('\n').filter((line) => line.includes('thing')) }).toEqual(
      {
        status: 0,
        stderr: [],
      },
    )
  })
})

test('a service is installed, installed again, asked and removed', async () => {
  using machine = emptyMachine()
  const place = machine.place(false)
  const unit = `${machine.root}/etc/systemd/system/thing.service`
  await installService(AGENT, STARTED, place)
  expect(readFileSync(unit, 'utf8')).toBe(systemdUnit(AGENT, STARTED))
  const started = ['daemon-reload', 'enable thing.service', 'restart thing.service'].map(
    (args) => `systemctl ${args}`,
  )
  const made =
    'useradd --system --user-group --home-dir /var/lib/adit --no-create-home --shell /usr/sbin/nologin adit'
  expect(machine.calls()).toEqual(['getent passwd adit', made, ...started])
  const again = { ...STARTED, command: ['/usr/local/bin/thing'] }
  await installService(AGENT, again, place)
  expect(readFileSync(unit, 'utf8')).toBe(systemdUnit(AGENT, again))
  expect(await readServiceState(AGENT, place)).toEqual({
    running: true,
    file: '/etc/systemd/system/thing.service',
    manager: { ActiveState: 'active', FragmentPath: '/a=b' },
  })
  machine.calls()
  await uninstallService(AGENT, place)
  expect(machine.calls()).toEqual([
    'systemctl disable --now thing.service',
    'systemctl daemon-reload',
  ])
  expect(existsSync(unit)).toBe(false)
  expect(existsSync(`${machine.root}/etc/adit/token`)).toBe(true)
})

test('a service of a user needs no other user and no file of a token', async () => {
  using machine = emptyMachine()
  rmSync(`${machine.root}/etc/adit/token`)
  const { file } = await installService(AGENT, STARTED, machine.place(true))
  expect(file).toBe('/home/ann/.config/systemd/user/thing.service')
  expect(machine.calls()).toEqual([
    'systemctl --user daemon-reload',
    'systemctl --user enable thing.service',
    'systemctl --user restart thing.service',
  ])
})

describe('is not installed', () => {
  const cases: [ServiceErrorCode, (machine: Machine) => void][] = [
    ['SERVICE_NO_MANAGER', ({ root }) => rmSync(`${root}/run/systemd/system`, { recursive: true })],
    [
      'SERVICE_FOREIGN',
      ({ folder }) => folder.write('etc/systemd/system/thing.service', '[Unit]\n'),
    ],
    ['SERVICE_FOREIGN', ({ folder }) => folder.write('usr/lib/systemd/system/thing.service', '')],
    [
      'SERVICE_FOREIGN',
      ({ root }) => {
        mkdirSync(`${root}/etc/systemd/system`, { recursive: true })
        symlinkSync('/dev/null', `${root}/etc/systemd/system/thing.service`)
      },
    ],
    ['SERVICE_CONFIG_MISSING', ({ root }) => rmSync(`${root}/etc/adit/thing.yaml`)],
    ['SERVICE_TOKEN_MISSING', ({ root }) => rmSync(`${root}/etc/adit/token`)],
    ['SERVICE_TOKEN_EXPOSED', ({ root }) => chmodSync(`${root}/etc/adit/token`, 0o640)],
    ['SERVICE_NO_RIGHT', ({ folder }) => folder.write('etc/systemd', '')],
    [
      'SERVICE_COMMAND_FAILED',
      ({ folder }) => folder.write('bin/systemctl', '#!/bin/sh\nexit 3\n'),
    ],
  ]
  test.for(cases)('%s', async ([code, change]) => {
    using machine = emptyMachine()
    change(machine)
    await expect(installService(AGENT, STARTED, machine.place(false))).rejects.toMatchObject({
      code,
    })
  })

  test('for the machine, with a program that its services do not see', async () => {
    using machine = emptyMachine()
    const hidden = { ...STARTED, command: ['/home/ann/bin/thing'] }
    await expect(installService(AGENT, hidden, machine.place(false))).rejects.toMatchObject({
      code: 'SERVICE_PROGRAM_HIDDEN',
    })
    await installService(AGENT, hidden, machine.place(true))
  })

  test('for the machine, with a script behind a link that leads to such a folder', async () => {
    using machine = emptyMachine()
    const script = machine.folder.write('home/ann/checkout/thing.js', '')
    machine.folder.write('usr/bin/other', '')
    symlinkSync(script, join(machine.folder.path, 'usr/bin/thing'))
    const linked = { ...STARTED, command: ['/usr/bin/other', '/usr/bin/thing'] }
    await expect(installService(AGENT, linked, machine.place(false))).rejects.toMatchObject({
      code: 'SERVICE_PROGRAM_HIDDEN',
      message: 'a service of the machine does not see /home/ann/checkout/thing.js',
    })
  })

  test('for the machine on macOS and Windows', () => {
    for (const platform of ['darwin', 'win32'] as const) {
      expect(() => planService(AGENT, STARTED, { user: false, env: {}, platform })).toThrow(
        expect.objectContaining({ code: 'SERVICE_SCOPE_UNSUPPORTED' }),
      )
    }
  })

  test('and what is not installed, or is of others, is not removed', async () => {
    using machine = emptyMachine()
    const place = machine.place(false)
    await expect(uninstallService(AGENT, place)).rejects.toMatchObject({
      code: 'SERVICE_NOT_INSTALLED',
    })
    machine.folder.write('etc/systemd/system/thing.service', '[Unit]\n')
    await expect(uninstallService(AGENT, place)).rejects.toMatchObject({ code: 'SERVICE_FOREIGN' })
    expect(machine.calls()).toEqual([])
  })
})

interface Machine extends Disposable {
  readonly folder: TemporaryDirectory
  readonly root: string
  readonly place: (user: boolean) => Parameters<typeof installService>[2]
  /** Command lines since the last call. */
  readonly calls: () => string[]
}

/** A folder as the root of a machine with systemd, whose programs write down how they are called. */
function emptyMachine(): Machine {
  const folder = temporaryDirectory()
  const root = folder.path
  const log = folder.write('calls', '')
  for (const directory of ['run/systemd/system', 'home/ann', 'bin']) {
    mkdirSync(`${root}/${directory}`, { recursive: true })
  }
  folder.write('etc/adit/thing.yaml', '')
  chmodSync(folder.write('etc/adit/token', 'secret'), 0o600)
  for (const [name, rest] of [
    [
      'systemctl',
      'case "$*" in *show*) printf "ActiveState=active\\nFragmentPath=/a=b\\n" ;; esac',
    ],
    ['getent', 'exit 2'],
    ['useradd', ''],
  ]) {
    const script = folder.write(`bin/${name}`, `#!/bin/sh\necho "${name} $*" >>"${log}"\n${rest}\n`)
    chmodSync(script, 0o755)
  }
  const env = { PATH: `${root}/bin`, HOME: '/home/ann' }
  return {
    folder,
    root,
    place: (user) => ({ user, env, root, platform: 'linux' }),
    calls: () => {
      const calls = readFileSync(log, 'utf8').split('\n').slice(0, -1)
      folder.write('calls', '')
      return calls
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  }
}

function systemdVersion(): number {
  try {
    const text = execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' })
    return Number(/^systemd (\d+)/.exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}
