import { expect, test } from 'vitest'

import { findObstacle, readOrigin } from '../../src/process/process-origin.ts'

test.for([
  [{}, 12, 11, 'linux', 'systemd', /^$/],
  [{}, 12, 1, 'linux', 'systemd', /^$/], // its shell has ended
  [{}, 12, 1, 'linux', undefined, /^$/],
  [{ SYSTEMD_EXEC_PID: '11' }, 12, 11, 'linux', 'systemd', /^$/], // started by a program of the service
  [{ SYSTEMD_EXEC_PID: '12' }, 12, 1, 'linux', 'systemd', /socket unit/],
  [{ INVOCATION_ID: '0a' }, 12, 1, 'linux', 'systemd', /socket unit/], // systemd before 248
  [{ INVOCATION_ID: '0a' }, 12, 11, 'linux', 'systemd', /^$/], // a terminal of a desktop
  [{}, 1, 0, 'linux', 'node', /container/],
  [{}, 7, 1, 'linux', 'docker-init', /container/],
  [{}, 12, 7, 'linux', 'docker-init', /^$/],
  [{}, 12, 1, 'linux', 'sh', /^$/],
  [{}, 12, 11, 'win32', undefined, /Windows/],
] as const)(
  '%o as process %d of %d on %s, init %s: %s',
  ([env, pid, ppid, platform, init, why]) => {
    expect(findObstacle({ env, pid, ppid }, platform, init) ?? '').toMatch(why)
  },
)

test('a successor is started with the script, or as the executable that contains it', async () => {
  const host = {
    argv: ['/usr/bin/node', '/opt/adit.js', 'start', '--json'],
    env: {},
    execArgv: ['--enable-source-maps'],
    execPath: '/usr/bin/node',
    pid: 12,
    ppid: 11,
    connected: false,
    disconnect: () => {},
    on: () => {},
    off: () => {},
  }
  const script = await readOrigin(host, false)
  const line = ['--enable-source-maps', '/opt/adit.js', 'start', '--json']
  expect(script.restart.command).toEqual(['/usr/bin/node', ...line])
  const executable = {
    ...host,
    argv: ['/opt/adit', './adit', 'start', '--json'],
    execPath: '/opt/adit',
  }
  const { restart } = await readOrigin(executable, true)
  expect(restart.command).toEqual(['/opt/adit', 'start', '--json'])
})
