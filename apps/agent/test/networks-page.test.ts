// The commands of docs/networks.md are understood as they stand. What they do is tested with the real
// programs: test/e2e/networks.test.ts and proxies.test.ts here, listeners.test.ts of the server.
import { argumentLayer, type ParsedCommand, parseCommandLine } from '@proj/program-kit'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { commands as serverCommands } from '../../server/src/commands/commands.ts'
import { settings as serverSettings } from '../../server/src/settings.ts'
import { argumentsOf } from '../src/commands/arguments.ts'
import { commands, type OwnCommands } from '../src/commands/commands.ts'
import { settings } from '../src/settings.ts'

const PAGE = readFileSync(new URL('../../../docs/networks.md', import.meta.url), 'utf8')
const blocks = (language: string): string[] =>
  [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, text]) => text ?? '',
  )
const lines = blocks('sh').flatMap((block) => block.trimEnd().split('\n'))

test.for(lines)('%s', async (line) => {
  using folder = temporaryDirectory()
  folder.write('proxy-url', 'http://alice:p%40ss@proxy.corp:3128\n')
  const [program, ...argv] = line.split(' ')
  const problems = program === 'adit' ? problemsOfAgent : problemsOfServer
  expect(await problems(argv, folder.path)).toEqual([])
})

test('its files are those of a server', async () => {
  using folder = temporaryDirectory()
  for (const [index, block] of blocks('yaml').entries()) {
    const path = folder.write(`${index}.yaml`, block)
    const loaded = await loadSettings(serverSettings, {
      cwd: folder.path,
      env: {},
      files: [path],
    })
    expect(loaded.problems).toEqual([])
  }
  expect(lines.length).toBeGreaterThan(10)
})

async function problemsOfAgent(argv: readonly string[], cwd: string): Promise<unknown> {
  const line = parseCommandLine(commands, { argv, env: {}, cwd })
  if (line.kind !== 'command') return line
  const values = argumentsOf(line.command as ParsedCommand<OwnCommands>)
  const given = { cwd, env: {}, layers: [line.settings, argumentLayer(values, cwd)] }
  return (await loadSettings(settings, given)).problems
}

async function problemsOfServer(argv: readonly string[], cwd: string): Promise<unknown> {
  const line = parseCommandLine(serverCommands, { argv, env: {}, cwd })
  if (line.kind !== 'command') return line
  return (await loadSettings(serverSettings, { cwd, env: {}, layers: [line.settings] })).problems
}
