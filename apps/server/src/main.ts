import { EXIT, runProgram } from '@proj/console'
import { formatHelp, formatProblems, loadSettings, parseCommandLine } from '@proj/config'

import { commands, settings } from './settings.ts'
import { start } from './start.ts'
import { SOFTWARE } from './version.ts'

process.exitCode = await runProgram('adit-server', process, async (signals) => {
  const { argv, env, stdout, stderr } = process
  const cwd = process.cwd()
  const line = parseCommandLine(commands, { argv: argv.slice(2), env, cwd })
  if (line.kind === 'version') {
    stdout.write(`${SOFTWARE}\n`)
    return EXIT.ok
  }
  if (line.kind === 'help') {
    stdout.write(formatHelp(commands, { topic: line.topic, columns: stdout.columns ?? 100 }))
    return EXIT.ok
  }
  if (line.kind === 'error') {
    stderr.write(formatProblems(line.problems))
    return EXIT.usage
  }
  const { globals } = line
  const loaded = await loadSettings(settings, {
    cwd,
    files: globals.config,
    env,
    flags: line.settings,
  })
  if (loaded.problems.length > 0) stderr.write(formatProblems(loaded.problems))
  if (!loaded.ok) return EXIT.usage
  const colour = env['NO_COLOR'] === undefined || env['NO_COLOR'] === ''
  return await start(loaded.settings, { stdout, stderr, json: globals.json, colour }, signals)
})
