import { InheritedSockets } from '@proj/portcheck'
import { readOrigin, runProgram } from '@proj/program-kit'

import {
  type HandedAgentSocket,
  HandedUnixSockets,
  isHandedUnix,
} from './access/handed-unix-sockets.ts'
import { run } from './program.ts'

process.exitCode = await runProgram('adit', process, async (signals) => {
  const { argv, env, pid, stdout, stderr } = process
  const activated = InheritedSockets.fromServiceManager(env, pid)
  const { predecessor, restart } = await readOrigin<HandedAgentSocket>(process)
  const handedUnix = new HandedUnixSockets(predecessor?.sockets)
  const inherited =
    predecessor === undefined
      ? activated
      : new InheritedSockets(predecessor.sockets.flatMap((one) => (isHandedUnix(one) ? [] : [one])))
  const around = {
    argv: argv.slice(2),
    env,
    // Made only when it is asked for: with a pipe, its stream would be opened.
    get stdin() {
      return process.stdin
    },
    stdout,
    stderr,
    cwd: process.cwd(),
    signals,
  }
  return await run(around, { inherited, handedUnix, predecessor, restart })
})
