// @ts-check
// `pnpm reference`: writes the pages and schemas that the settings in the sources give, docs/reference and
// docs/schema, in the format that `pnpm check` requires. Nothing has to be built.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sourceArguments } from './adit-processes.mjs'
import { run } from './run.mjs'
import { ROOT } from './workspace.mjs'

const written = ['agent', 'server'].flatMap((app) => [
  { app, command: 'reference', file: `docs/reference/${app}.md` },
  { app, command: 'schema', file: `docs/schema/${app}.json` },
])

for (const { app, command, file } of written) {
  const args = [...sourceArguments(app), 'config', command]
  // The programs read no configuration for this: the result is the same on every machine.
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT })
  writeFileSync(join(ROOT, file), stdout)
}
const format = join(ROOT, 'node_modules/.bin/oxfmt')
process.exitCode = await run(
  format,
  written.map(({ file }) => file),
)
