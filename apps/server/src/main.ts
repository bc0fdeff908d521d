import { InheritedSockets } from '@proj/portcheck'
import { runProgram } from '@proj/program-kit'

import { run } from './program.ts'

const inherited = InheritedSockets.fromServiceManager(process.env, process.pid)
process.exitCode = await runProgram('adit-server', process, async (signals) => {
  const { argv, env, stdout, stderr } = process
  const around = { argv: argv.slice(2), env, stdout, stderr, cwd: process.cwd(), signals }
  return await run(around, inherited)
})
