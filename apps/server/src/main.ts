import { type InheritedSocket, InheritedSockets } from '@proj/portcheck'
import { readOrigin, runProgram, WorkerParent } from '@proj/program-kit'

import { run } from './program.ts'

process.exitCode = await runProgram('adit-server', process, async (signals) => {
  const { argv, env, pid, stdout, stderr } = process
  const activated = InheritedSockets.fromServiceManager(env, pid)
  const worker = await WorkerParent.receive<InheritedSocket>(process, env)
  const { predecessor, restart } = await readOrigin<InheritedSocket>(process)
  const inherited =
    predecessor === undefined ? activated : new InheritedSockets(predecessor.sockets)
  const around = { argv: argv.slice(2), env, stdout, stderr, cwd: process.cwd(), signals }
  return await run(around, { inherited, predecessor, restart, worker })
})
