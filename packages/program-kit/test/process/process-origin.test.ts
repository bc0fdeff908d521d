import { expect, test } from 'vitest'

import { findObstacle } from '../../src/process/process-origin.ts'

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
