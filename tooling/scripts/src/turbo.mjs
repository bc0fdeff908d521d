// @ts-check
// `turbo` for the scripts of package.json: the same, without its telemetry and notices.
import { join } from 'node:path'
import { QUIET_TURBO, run } from './run.mjs'
import { ROOT } from './workspace.mjs'

const turbo = join(ROOT, 'node_modules/.bin/turbo')
process.exitCode = await run(turbo, process.argv.slice(2), { env: QUIET_TURBO })
