/** What a person sees. Each text here was read as a person would; change them with the same care. */
import { formatProblems } from '@proj/config'
import { describe, expect, test } from 'vitest'

import { parseCommandLine } from '../../src/index.ts'
import { commands } from '../fixtures/sample.ts'

function complainOf(...argv: string[]): string {
  const line = parseCommandLine(commands, { argv, env: {}, cwd: '/' })
  return 'problems' in line ? formatProblems(line.problems) : line.kind
}

describe('command lines', () => {
  test.each([
    'htp web',
    'config',
    'config shw',
    'http web',
    'http Web 3000',
    'http a b c',
    'http web 3000 --conect.token hunter2',
    'http web 3000 --connect.timeout',
    'http web 3000 --connect.url --json',
    'http web 3000 --timeout=never --json=yes -x',
    'http web 3000 --connect.token=a --connect.token-file=b',
    'access a=b --max-head 1KiB',
    'run 70000 -- ls',
    'start -- ls',
    'start --no-json=true',
    '',
  ])('adit %s', (line) => {
    expect(complainOf(...line.split(' ').filter(Boolean))).toMatchSnapshot()
  })
})

describe('codes', () => {
  test.each([
    ['strt', 'CONFIG_COMMAND_UNKNOWN'],
    ['http web', 'CONFIG_ARGUMENT_MISSING'],
    ['start now', 'CONFIG_ARGUMENT_UNEXPECTED'],
    ['start --nothing', 'CONFIG_FLAG_UNKNOWN'],
    ['start --timeout 1s', 'CONFIG_FLAG_UNKNOWN'],
    ['start --log.level', 'CONFIG_FLAG_VALUE'],
  ])('of the command line %j', (text, code) => {
    const line = parseCommandLine(commands, { argv: text.split(' '), env: {}, cwd: '/' })
    expect(line).toMatchObject({ kind: 'error', problems: [{ code, severity: 'error' }] })
  })
})
