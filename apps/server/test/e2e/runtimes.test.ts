// What the README of each package says about runtimes: its build is loaded by `require()` of Node, and by Bun
// and Deno where these are on the path.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const PACKAGES = fileURLToPath(new URL('../../../../packages/', import.meta.url))
const SENTENCE =
  'Node 20.20 or newer, ESM; CommonJS code can `require()` it. Bun and Deno load it too, but only Node runs its tests.'

interface Manifest {
  readonly private?: boolean
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
}

/** Built files of the entry points of each package that is published, by package. */
const ENTRIES = readdirSync(PACKAGES)
  .filter((name) => existsSync(`${PACKAGES}${name}/package.json`))
  .map((name) => {
    const text = readFileSync(`${PACKAGES}${name}/package.json`, 'utf8')
    return { name, manifest: JSON.parse(text) as Manifest }
  })
  .filter(({ manifest }) => manifest.private !== true)
  .map(({ name, manifest }) => ({
    name,
    files: Object.values(manifest.exports)
      .map((entry) => (typeof entry === 'string' ? entry : entry.default))
      .filter((file) => file.endsWith('.js'))
      .map((file) => `${PACKAGES}${name}/${file}`),
  }))

const RUNTIMES = [
  { runtime: 'node', args: ['-e'], load: (file: string) => `require(${JSON.stringify(file)})` },
  { runtime: 'bun', args: ['-e'], load: (file: string) => `await import(${JSON.stringify(file)})` },
  {
    runtime: 'deno',
    args: ['eval'],
    load: (file: string) => `await import(${JSON.stringify(file)})`,
  },
]

test('there are packages, each with an entry point', () => {
  expect(ENTRIES.length).toBeGreaterThan(7)
  expect(ENTRIES.filter(({ files }) => files.length === 0)).toEqual([])
})

test.for(ENTRIES)('the README of $name says where it runs', ({ name }) => {
  expect(readFileSync(`${PACKAGES}${name}/README.md`, 'utf8')).toContain(SENTENCE)
})

test.for(RUNTIMES)('$runtime loads each package', ({ runtime, args, load }, { skip }) => {
  const command = runtime === 'node' ? process.execPath : runtime
  skip(spawnSync(command, ['--version']).error !== undefined, `no ${runtime}`)
  const script = ENTRIES.flatMap(({ files }) => files)
    .map((file) => `if (Object.keys(${load(file)}).length === 0) throw new Error('no exports')`)
    .join('\n')
  const { status, stderr } = spawnSync(command, [...args, script], {
    encoding: 'utf8',
    env: { ...process.env, DENO_NO_UPDATE_CHECK: '1' },
  })
  expect({ status, stderr }).toMatchObject({ status: 0 })
})
