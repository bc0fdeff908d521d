import { runProgram } from '@proj/program-kit'

import { run } from './program.ts'

process.exitCode = await runProgram('adit', process, async (signals) => {
  const { argv, env, stdout, stderr } = process
  return await run({ argv: argv.slice(2), env, stdout, stderr, cwd: process.cwd(), signals })
})
