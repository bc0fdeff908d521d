// The command line of `portcheck`. Everything after `--` is a command to run.
import { parseArgs } from 'node:util'

import { parsePortRange, type PortRange } from '@proj/config/address'

/** The parsed command line. */
export interface CliArguments {
  readonly wants: readonly string[]
  /** The command after `--`, which runs with the port. */
  readonly command: readonly string[]
  readonly explain: boolean
  readonly verify: boolean
  readonly json: boolean
  readonly strict: boolean
  readonly quiet: boolean
  readonly commandLine: boolean
  readonly hold: boolean
  /** Find a free port in this range. */
  readonly find: PortRange | undefined
  /** How long to wait for a busy port, ms. */
  readonly waitMs: number | undefined
  readonly help: boolean
  readonly version: boolean
}

export const USAGE = `Usage: portcheck [options] ADDRESS...
       portcheck [options] --find FIRST-LAST [HOST]
       portcheck [options] --hold ADDRESS -- COMMAND [ARGUMENT...]

Shows what would happen if you listened on an address: whether the bind works, which program
holds the port, and which connections you would get or lose.

ADDRESS is 3000, :3000, 127.0.0.1:3000, [::1]:3000, localhost:3000 or NAME:3000.

  --explain      show the holders of the port, and advice
  --verify       listen for a moment and check that connections arrive
  --find RANGE   choose a free port, such as 4000-4100
  --wait TIME    wait for a busy port, such as 10s
  --hold         hold the port until a signal, or pass it to COMMAND
  --cmdline      with --explain: show command lines of your own processes
  --strict       exit with 3 when the port is free, but with a warning
  --json         one JSON object per address and line
  --quiet        no output, only the exit status
  --version      print the version
  --help         print this text

COMMAND runs with PORT set. With --hold the socket stays open and COMMAND inherits it: the file
descriptors are in PORTCHECK_FDS (3, or 3,4 for localhost), and LISTEN_FDS and LISTEN_PID are set as
systemd does for socket activation (not on Windows). Without --hold the port is free again when
COMMAND starts.

Exit status: 0 free, 1 busy, 2 wrong usage, 3 free with a warning (--strict), 4 not permitted
or no such address, 5 unknown. With several addresses the highest one; with COMMAND its status.
`

/**
 * Parses the command line.
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
  const parsed = {
    ...flags,
    wants: positionals,
    command,
    commandLine: cmdline,
    find: find === undefined ? undefined : parsePortRange(find),
    waitMs: wait === undefined ? undefined : parseWait(wait),
  }
  rejectContradictions(parsed, separator !== -1)
  return parsed
}

function parseWait(text: string): number {
  const [, amount, unit = ''] = /^(\d{1,6})(ms|s|m)$/.exec(text) ?? []
  const unitMs = new Map([
    ['ms', 1],
    ['s', 1000],
    ['m', 60_000],
  ]).get(unit)
  if (amount === undefined || unitMs === undefined) {
    throw new Error(`${JSON.stringify(text)} is not a duration, write 500ms, 10s or 2m`)
  }
  return Number(amount) * unitMs
}

function rejectContradictions(parsed: CliArguments, hasSeparator: boolean): void {
  if (parsed.help || parsed.version) return
  if (parsed.find !== undefined && parsed.wants.length > 1) {
    throw new Error('--find accepts at most one host')
  }
  if (parsed.find === undefined && parsed.wants.length === 0) throw new Error('no address is given')
  if (hasSeparator && parsed.command.length === 0) throw new Error('there is no command after --')
  const one = parsed.hold || parsed.command.length > 0
  if (one && parsed.wants.length > 1) throw new Error('only one address can be held')
}
