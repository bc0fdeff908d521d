import { type InheritedSocket, InheritedSockets } from '@proj/portcheck'
import { Predecessor, runProgram } from '@proj/program-kit'

import { run } from './program.ts'
import { findObstacle } from './upgrade.ts'

process.exitCode = await runProgram('adit-server', process, async (signals) => {
  const { argv, env, execPath, execArgv, stdout, stderr, pid } = process
  // Both remove their variables: no other process may believe that they are its own.
  const predecessor = await Predecessor.receive<InheritedSocket>(process, env)
  const activated = InheritedSockets.fromServiceManager(env, pid)
  const inherited =
    predecessor === undefined ? activated : new InheritedSockets(predecessor.sockets)
  const restart = {
    command: [execPath, ...execArgv, ...argv.slice(1)] as const,
    env: { ...env },
    obstacle: findObstacle(env, pid),
  }
  const around = { argv: argv.slice(2), env, stdout, stderr, cwd: process.cwd(), signals }
  return await run(around, { inherited, predecessor, restart })
})
