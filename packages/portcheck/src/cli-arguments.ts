// The command line of `portcheck`. Everything after `--` is a command to run.
import { parseArgs } from 'node:util'

import { parsePortRange, type PortRange } from '@proj/config/address'

/** What the command line asks for. */
export interface CliArguments {
  /** Addresses to look at. */
  readonly wants: readonly string[]
  /** A command to run with the port, after `--`. */
  readonly command: readonly string[]
  readonly explain: boolean
  readonly verify: boolean
  readonly json: boolean
  readonly strict: boolean
  readonly quiet: boolean
  readonly commandLine: boolean
  readonly hold: boolean
  /** Look for a free port among these. */
  readonly find: PortRange | undefined
  /** How long to wait for a busy port, in milliseconds. */
  readonly waitMs: number | undefined
  readonly help: boolean
  readonly version: boolean
}

/** The help text. */
export const USAGE = `Usage: portcheck [options] ADDRESS...
       portcheck [options] --find FIRST-LAST [HOST]
       portcheck [options] --hold ADDRESS -- COMMAND [ARGUMENT...]

Says what would happen if you listened on an address: whether the bind works, who holds the
port, and whose connections you would get or lose.

ADDRESS is 3000, :3000, 127.0.0.1:3000, [::1]:3000, localhost:3000 or NAME:3000.

  --explain      name the holders, and give advice
  --verify       listen for a moment and check that connections arrive
  --find RANGE   choose a free port, such as 4000-4100
  --wait TIME    wait for a busy port, such as 10s
  --hold         keep the port until interrupted, or hand it to COMMAND
  --cmdline      with --explain: show command lines of your own processes
  --strict       exit with 3 when the port is free, but with a warning
  --json         one JSON object per address and line
  --quiet        no output, only the exit status
  --version      print the version
  --help         print this text

COMMAND runs with PORT set. With --hold the socket stays open all the time and is passed on:
COMMAND listens on the file descriptors in PORTCHECK_FDS (3, or 3,4 for localhost). Without
--hold the port is free again when COMMAND starts.

Exit status: 0 free, 1 busy, 2 wrong usage, 3 free with a warning (--strict), 4 not permitted
or no such address, 5 could not tell; with several addresses the highest; that of COMMAND.
`

/**
 * Reads the command line.
 * @throws {Error} with a message for the user when it is wrong.
 */
export function parseCliArguments(argv: readonly string[]): CliArguments {
  const separator = argv.indexOf('--')
  const own = separator === -1 ? argv : argv.slice(0, separator)
  const command = separator === -1 ? [] : argv.slice(separator + 1)
  const { values, positionals } = parseArgs({
    args: [...own],
    allowPositionals: true,
    options: {
      explain: { type: 'boolean', default: false },
      verify: { type: 'boolean', default: false },
      find: { type: 'string' },
      wait: { type: 'string' },
      hold: { type: 'boolean', default: false },
      cmdline: { type: 'boolean', default: false },
      strict: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      version: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { find, wait, cmdline, ...flags } = values
  const asked = {
    ...flags,
    wants: positionals,
    command,
    commandLine: cmdline,
    find: find === undefined ? undefined : parsePortRange(find),
    waitMs: wait === undefined ? undefined : parseWait(wait),
  }
  refuseContradictions(asked, separator !== -1)
  return asked
}

function parseWait(text: string): number {
  const [, amount, unit = ''] = /^(\d{1,6})(ms|s|m)$/.exec(text) ?? []
  const unitMs = new Map([
    ['ms', 1],
    ['s', 1000],
    ['m', 60_000],
  ]).get(unit)
  if (amount === undefined || unitMs === undefined) {
    throw new Error(`${JSON.stringify(text)} is no time to wait, write 500ms, 10s or 2m`)
  }
  return Number(amount) * unitMs
}

function refuseContradictions(asked: CliArguments, hasSeparator: boolean): void {
  if (asked.help || asked.version) return
  if (asked.find !== undefined && asked.wants.length > 1) {
    throw new Error('--find takes at most one host')
  }
  if (asked.find === undefined && asked.wants.length === 0) throw new Error('no address is given')
  if (hasSeparator && asked.command.length === 0) throw new Error('no command stands after --')
  const one = asked.hold || asked.command.length > 0
  if (one && asked.wants.length > 1) throw new Error('only one address can be held')
}
