import { execFileSync } from 'node:child_process'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { completionScript } from '../../src/index.ts'
import { commands } from '../fixtures/sample.ts'

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish'] as const)('of %s', (shell) => {
    expect(completionScript(commands, shell)).toMatchSnapshot()
  })

  test.each([
    ['adit ', 'http start access config run --config --json --help --version'],
    ['adit h', 'http'],
    ['adit config ', 'show check --config --json --help'],
    ['adit --config x sta', 'start'],
    ['adit -c x --json config sh', 'show'],
    ['adit config show --or', '--origin'],
    ['adit http --log.level w', 'warn'],
    ['adit http --connect.timeout ', ''],
    ['adit access --max', ''],
    ['adit run --c', '--config'],
  ])('bash completes %j', (line, words) => {
    const script = `${completionScript(commands, 'bash')}
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _adit; echo "\${COMPREPLY[*]}"`
    const completed = execFileSync('bash', ['-c', script, 'bash', ...line.split(' ')])
    expect(completed.toString().trim()).toBe(words)
  })

  test.each(['zsh', 'fish'] as const)('%s reads its script', (shell) => {
    const script = completionScript(commands, shell)
    const outcome = syntaxCheck(shell, script)
    expect(outcome).toMatch(/^(ok|not installed)$/)
  })
})

/** Lets a shell read a script without running it; says so when the shell is not there. */
function syntaxCheck(shell: string, script: string): string {
  using folder = temporaryDirectory()
  const file = folder.write('script', script)
  try {
    execFileSync(shell, ['-n', file], { stdio: 'pipe' })
    return 'ok'
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing ? 'not installed' : String(error)
  }
}
