// @ts-check
// `pnpm chaos`: registers the loader for TypeScript, and moves the whole run into network and mount
// namespaces of its own where the machine allows that: its links, filters and mounts then end with it.
import { spawn, spawnSync } from 'node:child_process'
import { register } from 'tsx/esm/api'

const INSIDE = 'ADIT_CHAOS_NAMESPACES'
const UNSHARE = ['--net', '--mount', '--']

const canUnshare =
  process.platform === 'linux' &&
  process.getuid?.() === 0 &&
  spawnSync('unshare', [...UNSHARE, 'ip', 'link', 'set', 'lo', 'up']).status === 0

if (process.env[INSIDE] === undefined && canUnshare) {
  const line = ['sh', '-c', 'ip link set lo up && exec "$0" "$@"', process.execPath]
  const child = spawn('unshare', [...UNSHARE, ...line, ...process.argv.slice(1)], {
    env: { ...process.env, [INSIDE]: '1' },
    stdio: 'inherit',
  })
  // a terminal sends these to both; the run inside ends what it has started
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill('SIGTERM'))
  child.once('error', (error) => {
    throw error
  })
  child.once('exit', (code) => (process.exitCode = code ?? 1))
} else {
  register()
  const { chaos } = await import('./chaos.ts')
  process.once('SIGTERM', () => process.exit(130)) // what was started ends with us
  process.once('SIGINT', () => process.exit(130))
  process.exit(await chaos(process.argv.slice(2), process.env[INSIDE] !== undefined))
}
