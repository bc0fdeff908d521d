// Files as their programs document them, and what is made of each.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { convert } from '../../src/import/import-file.ts'
import { settings } from '../../src/settings.ts'

const FILES = join(import.meta.dirname, 'files')
const folder = temporaryDirectory()

test.for(['frpc.toml', 'frpc.ini', 'ngrok.yml', 'cloudflared.yml', 'piko.yaml'])(
  '%s becomes a configuration without a mistake, and every other line is told',
  async (name) => {
    const { yaml, notes } = await convert(name, readFileSync(join(FILES, name), 'utf8'))
    const file = folder.write(`${name}.yaml`, yaml)
    const loaded = await loadSettings(settings, { cwd: folder.path, env: {}, files: [file] })
    expect(loaded.ok ? [] : loaded.problems).toEqual([])
    const told = notes.map(({ line, text }) => `${line}: ${text}`).join('\n')
    expect(`${yaml}\n${told}\n`).toMatchSnapshot()
  },
)

test('a file of another program is not taken for one of these', async () => {
  await expect(convert('x.yaml', 'a: 1\n')).rejects.toThrow('is no file of frpc')
  await expect(convert('x.yaml', '- a\n')).rejects.toThrow('is no file of frpc')
  await expect(convert('x.toml', 'a = \n')).rejects.toThrow('x.toml')
})

test('names that no host name can have are changed, and stay apart', async () => {
  const proxy = (name: string): string =>
    `[[proxies]]\nname = "${name}"\ntype = "tcp"\nlocalPort = 1\n`
  const { yaml, notes } = await convert('a.toml', ['A b', 'a_b', '---'].map(proxy).join(''))
  expect([...yaml.matchAll(/endpoint: (\S+)/g)].map(([, name]) => name)).toEqual([
    'a-b',
    'a-b-2',
    'service',
  ])
  expect(notes).toHaveLength(3)
})
