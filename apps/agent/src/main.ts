import { EXIT, runProgram, UserError } from '@proj/console'
import { formatHelp, formatProblems, loadSettings, parseCommandLine } from '@proj/config'

import { reportConnect } from './connect-report.ts'
import { run } from './run.ts'
import { commands, settings } from './settings.ts'
import { SOFTWARE } from './version.ts'

process.exitCode = await runProgram('adit', process, async (signals) => {
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
  const { command, globals } = line
  const loaded = await loadSettings(settings, {
    cwd,
    files: globals.config,
    env,
    flags: line.settings,
    arguments: argumentsOf(command),
  })
  if (loaded.problems.length > 0) stderr.write(formatProblems(loaded.problems))
  if (!loaded.ok) return EXIT.usage
  const host = { stdout, stderr, env, json: globals.json }
  if (command.name === 'connect explain' || command.name === 'connect diagnose') {
    const question = command.name === 'connect explain' ? 'explain' : 'diagnose'
    const { access } = command.flags
    return await reportConnect(question, loaded.settings.connect, access, host, signals.stop)
  }
  return await run(loaded.settings, host, signals)
})

type Command = Extract<
  ReturnType<typeof parseCommandLine<typeof commands.commands, typeof commands.globals>>,
  { kind: 'command' }
>['command']

/** What a command's arguments say about the settings; `start` leaves them to the files. */
function argumentsOf(command: Command): Record<string, readonly Record<string, string>[]> {
  switch (command.name) {
    case 'http':
    case 'tcp': {
      const { endpoint, address } = command.args
      return { listeners: [{ endpoint, addr: address, protocol: command.name }], accesses: [] }
    }
    case 'access':
      return { accesses: accessesOf(command.args.endpoints, command.flags.bind), listeners: [] }
    default:
      return {}
  }
}

function accessesOf(
  endpoints: readonly string[],
  bind: string | undefined,
): Record<string, string>[] {
  if (bind !== undefined && (endpoints.length !== 1 || endpoints[0]?.includes('='))) {
    throw new UserError('--bind goes with a single NAME', {
      exitCode: EXIT.usage,
      hint: 'write NAME=ADDRESS for each of several',
    })
  }
  return endpoints.map((item) => {
    const at = item.indexOf('=')
    const endpoint = at < 0 ? item : item.slice(0, at)
    // Without an address the system picks a free port of the loopback; start-up prints it.
    const address = at < 0 ? (bind ?? '127.0.0.1:0') : item.slice(at + 1)
    return { endpoint, bind_addr: address }
  })
}
