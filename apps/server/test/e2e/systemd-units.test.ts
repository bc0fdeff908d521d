// The units of examples/systemd, judged by systemd itself. No systemd runs: it reads the files alone.
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

const UNITS = fileURLToPath(new URL('../../../../examples/systemd', import.meta.url))

/** Most exposure, in tenths: 100 is a service with all rights. */
const MAX_EXPOSURE = 20

/** The version of systemd-analyze; 0 where it is missing. */
function version(): number {
  try {
    const text = execFileSync('systemd-analyze', ['--version'], { encoding: 'utf8' })
    return Number(/^systemd (\d+)/.exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}

test.for(['adit.service', 'adit-server.service'])('%s has few rights', (unit, { skip }) => {
  skip(version() < 250, 'no systemd-analyze with --offline on this machine')
  const path = `${UNITS}/${unit}`
  const flags = ['security', '--offline=yes', `--threshold=${MAX_EXPOSURE}`, '--no-pager', path]
  const judged = spawnSync('systemd-analyze', flags, { encoding: 'utf8' })
  expect(judged.stdout).toContain(`Overall exposure level for ${unit}`)
  // The last line of a rejected unit has its rating.
  const rating = judged.stdout.trimEnd().split('\n').at(-1)
  expect({ status: judged.status, rating }).toMatchObject({ status: 0 })
})
