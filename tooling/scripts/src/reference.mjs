// @ts-check
// `pnpm reference`: writes the pages and schemas that the settings in the sources give, docs/reference and
// docs/schema, and the pages of the error codes, in the format that `pnpm check` requires. Nothing has to
// be built.
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { SOURCE_OPTIONS, sourceArguments } from './adit-processes.mjs'
import { run } from './run.mjs'
import { ROOT } from './workspace.mjs'

const FOLDER_OF_CODES = join(ROOT, 'docs/reference/errors')

/** @type {readonly (readonly [file: string, args: readonly string[]])[]} */
const printed = ['agent', 'server'].flatMap((app) => [
  [`docs/reference/${app}.md`, [...sourceArguments(app), 'config', 'reference']],
  [`docs/schema/${app}.json`, [...sourceArguments(app), 'config', 'schema']],
])

/** @type {[file: string, text: string][]} */
const written = []
// The programs read no configuration for this: the result is the same on every machine.
for (const [file, args] of printed) written.push([file, await outputOf(args)])
const codes = join(import.meta.dirname, 'error-pages.mjs')
/** @type {Record<string, string>} */
const pages = JSON.parse(await outputOf([...SOURCE_OPTIONS, codes]))
written.push(...Object.entries(pages))

rmSync(FOLDER_OF_CODES, { recursive: true, force: true })
for (const [file, text] of written) {
  mkdirSync(dirname(join(ROOT, file)), { recursive: true })
  writeFileSync(join(ROOT, file), text)
}
const format = join(ROOT, 'node_modules/.bin/oxfmt')
process.exitCode = await run(
  format,
  written.map(([file]) => file),
)

/** @param {readonly string[]} args - of Node */
async function outputOf(args) {
  const options = { cwd: ROOT, maxBuffer: 16 * 1024 * 1024 }
  return (await promisify(execFile)(process.execPath, args, options)).stdout
}
