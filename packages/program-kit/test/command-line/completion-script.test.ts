import { execFileSync } from 'node:child_process'

import { defineSettings, list, oneOf, path, portOrAny, setting, textOf } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import {
  argument,
  type CommandsInfo,
  completionScript,
  defineCommands,
  formatHelp,
} from '../../src/index.ts'
import { commands } from '../fixtures/sample.ts'

describe('completion', () => {
  test.each(['bash', 'zsh', 'fish', 'powershell'] as const)('of %s', (shell) => {
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
    expect(bashCompletes(commands, line)).toBe(words)
  })

  test('offers the values of arguments and flags that have only so many', () => {
    const kinds = { kind: argument(oneOf(['v1', 'v2', 'any']), { description: 'Which one.' }) }
    const flags = { port: setting(textOf(portOrAny()), { description: 'The port.' }) }
    const small = defineCommands({
      program: 'adit',
      description: 'Has kinds.',
      settings: defineSettings({ envPrefix: 'ADIT', tree: {} }),
      globals: {},
      commands: { pick: { description: 'Picks one.', args: kinds, flags } },
    })
    expect(bashCompletes(small, 'adit pick ')).toBe('v1 v2 any --port --help')
    expect(bashCompletes(small, 'adit pick v')).toBe('v1 v2')
    expect(bashCompletes(small, 'adit pick v1 --port ')).toBe('any')
    expect(completionScript(small, 'zsh')).toContain("'any:Which one.'")
    expect(completionScript(small, 'fish')).toContain("-a 'any' -d 'Which one.'")
    const help = formatHelp(small, { topic: 'pick' })
    expect(help).toContain('  <kind>\n        Which one. (v1|v2|any)\n')
    expect(help).toContain('  --port <port>\n')
  })

  test('offers files where an argument is a path', () => {
    const small = defineCommands({
      program: 'adit',
      description: 'Has files.',
      settings: defineSettings({ envPrefix: 'ADIT', tree: {} }),
      globals: {},
      commands: {
        copy: {
          description: 'Copies.',
          args: {
            how: argument(oneOf(['all', 'new']), { description: 'How.' }),
            files: argument(list(path()), { description: 'Files.' }),
          },
          flags: { into: setting(path(), { description: 'The folder.' }) },
        },
        list: { description: 'Lists.' },
      },
    })
    expect(bashCompletes(small, 'adit copy ')).toBe('all new files')
    expect(bashCompletes(small, 'adit copy notes')).toBe('files')
    expect(bashCompletes(small, 'adit copy --i')).toBe('--into')
    expect(bashCompletes(small, 'adit copy --into ')).toBe('files')
    expect(bashCompletes(small, 'adit list ')).toBe('--help')
    const zsh = completionScript(small, 'zsh')
    expect(zsh.match(/'all:How\.'[^)]*\); files=1 ;;/)).not.toBeNull()
    expect(zsh.match(/files=1/g)).toHaveLength(1)
    const fish = completionScript(small, 'fish')
    expect(fish).toContain(`-n 'test "$(_adit_command)" = "copy"' -F\n`)
    expect(fish.match(/ -F$/gm)).toHaveLength(1)
  })

  test('PowerShell gets every word of the others once, and quotes that stay inside', () => {
    const script = completionScript(
      defineCommands({
        program: 'adit',
        description: 'Has quotes.',
        settings: defineSettings({ envPrefix: 'ADIT', tree: {} }),
        globals: {},
        commands: {
          pick: {
            description: "It's \u2019one\u2018 $(of) many.",
            args: {
              first: argument(oneOf(['v1', 'v2']), { description: 'First.' }),
              second: argument(oneOf(['v1', 'v3']), { description: 'Second.' }),
            },
          },
        },
      }),
      'powershell',
    )
    expect(script).toContain("'pick' = 'It''s \u2019\u2019one\u2018\u2018 $(of) many.'\n")
    const [, block = ''] = script.match(/ {4}'pick' = \[ordered\]@\{\n([^}]*)\}/) ?? []
    const keys = [...block.matchAll(/^ +'([^']+)' = /gm)].map(([, key]) => key)
    expect(keys).toEqual(['v1', 'v2', 'v3', '--help'])
  })

  test.for(['zsh', 'fish', 'powershell'] as const)('%s reads its script', (shell, { skip }) => {
    const script = completionScript(commands, shell)
    const outcome = syntaxCheck(shell, script)
    skip(outcome === 'not installed', `no ${shell} on this machine`)
    expect(outcome).toBe('ok')
  })
})

/** What bash offers at the end of a line. */
function bashCompletes(program: CommandsInfo, line: string): string {
  const script = `${completionScript(program, 'bash')}
      files=; compopt() { [ "$*" = '-o default' ] && files=files; }
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _adit; echo "\${COMPREPLY[*]} $files"`
  return execFileSync('bash', ['-c', script, 'bash', ...line.split(' ')])
    .toString()
    .trim()
}

/** Lets a shell read a script without running it; says so when the shell is not there. */
function syntaxCheck(shell: string, script: string): string {
  using folder = temporaryDirectory()
  const file = folder.write('script', script)
  const [command, args] =
    shell === 'powershell'
      ? ['pwsh', ['-NoProfile', '-Command', `[ScriptBlock]::Create((Get-Content -Raw '${file}'))`]]
      : [shell, ['-n', file]]
  try {
    execFileSync(command, args, { stdio: 'pipe' })
    return 'ok'
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    return missing ? 'not installed' : String(error)
  }
}
