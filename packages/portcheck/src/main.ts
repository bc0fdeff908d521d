// Entry of the command `portcheck`; the only module that uses the process object.
import { readFileSync } from 'node:fs'

import { runCli } from './cli/cli.ts'

const { argv, env, stdout, stderr } = process
// A reader such as `head` can close the pipe early.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

process.exitCode = await runCli({
  argv: argv.slice(2),
  env,
  version: readVersion(),
  color: stdout.isTTY && (env['NO_COLOR'] ?? '') === '',
  stdout: (text) => void stdout.write(text),
  stderr: (text) => void stderr.write(text),
})

function readVersion(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  )
  const known = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return known ? String(manifest.version) : 'unknown'
}
