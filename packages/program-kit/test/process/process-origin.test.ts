import { expect, test } from 'vitest'

import { findObstacle } from '../../src/process/process-origin.ts'

test.for([
  [{}, 12, 'linux', /^$/],
  [{ SYSTEMD_EXEC_PID: '11' }, 12, 'linux', /^$/], // started by a program of the service
  [{ SYSTEMD_EXEC_PID: '12' }, 12, 'linux', /socket unit/],
  [{}, 1, 'linux', /container/],
  [{}, 12, 'win32', /Windows/],
] as const)('%o as process %d on %s: %s', ([env, pid, platform, obstacle]) => {
  expect(findObstacle(env, pid, platform) ?? '').toMatch(obstacle)
})
