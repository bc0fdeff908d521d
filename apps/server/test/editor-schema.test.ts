// The examples as an editor sees them, and what it marks in broken files of the server beside what the
// program says of the same files. All of it is kept beside this file.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { formatProblems, loadSettings } from '@proj/config'
import { judgeBy, schemaOf } from '@proj/testkit/editor-schema'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { settings } from '../src/settings.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const EXAMPLES = join(ROOT, 'examples')

// The tests of reference pages hold these files and what the programs print together.
const schemas = {
  server: join(ROOT, 'docs/schema/server.json'),
  agent: join(ROOT, 'docs/schema/agent.json'),
}

// Not the manifests of Kubernetes, the files of compose and Prometheus, and packages that an example has installed.
const examples = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' }).filter(
  (file) =>
    /\.ya?ml$/.test(file) &&
    !/(?:^kubernetes|^monitoring|node_modules)\/|compose\.yaml$/.test(file),
)

test.each(examples)('an editor finds the schema of examples/%s and nothing to mark', (file) => {
  const path = join(EXAMPLES, file)
  const schema = basename(file) === 'server.yaml' ? schemas.server : schemas.agent
  expect(schemaOf(path)).toBe(schema)
  expect(judgeBy(schema)(readFileSync(path, 'utf8'))).toEqual([])
})

const judge = judgeBy(schemas.server)

const BROKEN: Readonly<Record<string, string>> = {
  'a file that is a word': 'server',
  'an unknown group': 'http: { bind_addr: :8000 }',
  'keys of another program': 'listeners: [{ endpoint: web, addr: 3000 }]',
  'a value instead of a group': 'proxy: :8000',
  'an unknown key': 'proxy: { bind_adr: :8000 }',
  'an address that is an object': 'proxy: { bind_addr: { host: localhost, port: 8000 } }',
  'a list in a list': 'upstream: { bind_addr: [[":8001"]] }',
  'an unknown policy': 'admin: { on_conflict: kill }',
  'a duration without a unit': 'proxy: { head_timeout: 10 }',
  'a duration that is a list': 'proxy: { idle_timeout: [5m] }',
  'a size without a unit': 'proxy: { max_head: 32768 }',
  'a size of a unit that means two things': 'proxy: { max_head: 32K }',
  'no connections': 'proxy: { max_connections: 0 }',
  'too many hops': 'proxy: { trusted_hops: 17 }',
  'a hop that is half': 'proxy: { trusted_hops: 0.5 }',
  'an unknown level': 'log: { level: loud }',
  'a period that is a word': 'grace_period: soon',
}

test.each(Object.entries(BROKEN))(
  '%s is marked by the editor and by the program',
  async (_, text) => {
    using files = temporaryDirectory()
    files.write('server.yaml', text)
    const loaded = await loadSettings(settings, {
      cwd: files.path,
      files: ['server.yaml'],
      env: {},
    })
    expect({ editor: judge(text).length > 0, program: !loaded.ok }).toEqual({
      editor: true,
      program: true,
    })
    // Which keys there are besides is told by the reference page.
    const said = formatProblems(loaded.problems).replaceAll(
      /(unknown key .*)\n {2}allowed: .*/g,
      '$1',
    )
    const program = said.trimEnd().split('\n')
    expect({ text, editor: judge(text), program }).toMatchSnapshot()
  },
)
