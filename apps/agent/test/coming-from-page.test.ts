// What docs/coming-from.md says of Adit is there: commands are understood as they stand, settings are in the schema.
import { type ParsedCommand, parseCommandLine } from '@proj/program-kit'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

import { commands as serverCommands } from '../../server/src/commands/commands.ts'
import { argumentsOf } from '../src/commands/arguments.ts'
import { commands, type OwnCommands } from '../src/commands/commands.ts'

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
}

const read = (path: string): string =>
  readFileSync(new URL(`../../../docs/${path}`, import.meta.url), 'utf8')
const PAGE = read('coming-from.md')
const SCHEMA = JSON.parse(read('schema/agent.json')) as Schema

/** In place of the words that stand for something. */
const WORDS: Readonly<Record<string, string>> = {
  ADDRESS: '127.0.0.1:2022',
  DOMAIN: 'shop.example.com',
  FILE: 'password',
  HOSTNAME: 'shop.example.com',
  NAME: 'web',
  URL: 'https://tunnel.example.com',
}

const prose = PAGE.replaceAll(/^```.*?^```$/gms, '')
// without those about the package, whose functions are no settings
const rows = prose.split('\n').filter((line) => line.startsWith('| ') && !line.includes('@proj/'))
const codes = [
  ...[...prose.matchAll(/`(adit[^`]*)`/g)].map(([, code = '']) => code),
  // the second column is ours
  ...rows.flatMap((row) =>
    [...(row.split('|')[2] ?? '').matchAll(/`([^`]+)`/g)].map(([, c = '']) => c),
  ),
]
const script = [...PAGE.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, text = '']) =>
  text.trimEnd().split('\n'),
)
const lines = [
  ...script.map((line) => line.replace(/ +#.*$/, '')),
  // flags of Piko: run-command-line.test.ts of program-kit
  ...codes.filter((code) => code.startsWith('adit') && !code.includes('--config.path')),
  ...codes.filter((code) => code.startsWith('--')).map((flags) => `adit http web 3000 ${flags}`),
]
const keys = codes.flatMap((code) => /^([a-z_]+(?:\.[a-z_]+)*)(?:: .*)?$/.exec(code)?.[1] ?? [])

test.for([...new Set(lines)])('%s', (line) => {
  expect(() => understand(line)).not.toThrow()
})

test.for([...new Set(keys)])('%s is a setting', (key) => {
  const roots = [SCHEMA, SCHEMA.properties?.['listeners']?.items ?? {}]
  const found = roots.map((root) =>
    key.split('.').reduce<Schema | undefined>((at, name) => at?.properties?.[name], root),
  )
  expect(found.some((schema) => schema !== undefined)).toBe(true)
})

test('the page has some of each', () => {
  expect(lines.length).toBeGreaterThan(20)
  expect(keys.length).toBeGreaterThan(8)
})

/** Throws for a command line that its program does not understand. */
function understand(line: string): void {
  const [program = '', ...words] = line.split(' ')
  const isServer = program === 'adit-server'
  const definition = isServer ? serverCommands : commands
  // the name of a command alone speaks of it
  if (Object.hasOwn(definition.commands, words.join(' '))) return
  const around = { argv: words.map((word) => WORDS[word] ?? word), env: {}, cwd: '/' }
  const parsed = isServer
    ? parseCommandLine(serverCommands, around)
    : parseCommandLine(commands, around)
  if (parsed.kind !== 'command') throw new Error(`it is taken for ${parsed.kind}`)
  if (!isServer) argumentsOf(parsed.command as ParsedCommand<OwnCommands>)
}
