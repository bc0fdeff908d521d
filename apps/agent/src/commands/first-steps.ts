import { ask, defaultFileOf, EXIT, findDefaultFile, type Surroundings } from '@proj/program-kit'

/** Runs the program with other arguments, to its exit code. */
export type RunArguments = (argv: readonly string[]) => Promise<number>

/** Whether `adit` alone was typed at a terminal. */
export function isFirstStep({ argv, stdin, stdout }: Surroundings): boolean {
  return argv.length === 0 && stdin?.isTTY === true && stdout.isTTY === true
}

/**
 * `adit` alone at a terminal: asks for the server and its token, unless a configuration file has them, and for
 * the service, and publishes that.
 *
 * @param run - runs a command as if it had been typed.
 */
export async function takeFirstSteps(around: Surroundings, run: RunArguments): Promise<number> {
  const { stdin, stderr, env, signals } = around
  if (stdin === undefined) return EXIT.usage
  stderr.write('adit publishes a service of this machine. Help: adit --help. Ctrl-C ends this.\n\n')
  const { files } = await findDefaultFile(defaultFileOf('adit'), env)
  if (files[0] === undefined) {
    const code = await run(['login'])
    if (code !== EXIT.ok) return code
  } else stderr.write(`Server: as in ${files[0]}\n`)
  const question = { input: stdin, output: stderr, signal: signals.stop }
  const service = await ask('Service, a port, an address or a folder [3000]: ', question)
  if (service === undefined) return EXIT.failed
  const command = ['http', service === '' ? '3000' : service]
  stderr.write(`The same again: adit ${command.join(' ')}\n\n`)
  return await run(command)
}
