// The first command of a newcomer prints nothing of third parties, and sends them nothing.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'
import { readManifest, ROOT } from '../src/workspace.mjs'

test('no script of package.json calls turbo itself', () => {
  const direct = Object.entries(readManifest(ROOT).scripts ?? {}).filter(([, script]) =>
    /(?:^|&& )(?:exec )?turbo /.test(script),
  )
  expect(direct).toEqual([])
})

test('turbo.mjs prints no notice of turbo on a new machine', () => {
  using home = temporaryDirectory()
  const { TURBO_TELEMETRY_DISABLED: _, CI: __, ...env } = process.env
  const args = [join(ROOT, 'tooling/scripts/src/turbo.mjs'), 'run', 'build', '--dry']
  const said = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', process.execPath, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...env, HOME: home.path, XDG_CONFIG_HOME: home.path },
  })
  expect(said).toContain('build')
  expect(said).not.toMatch(/telemetry|anonymous/i)
})
