// Files as their programs document them, and what is made of each.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { formatProblems, loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { convert } from '../../src/import/import-file.ts'
import { settings } from '../../src/settings.ts'

const FILES = join(import.meta.dirname, 'files')
const folder = temporaryDirectory()

/** What the agent reads from what is made of a file, and what is told. */
async function imported(name: string, content: string) {
  const { yaml, notes } = await convert(name, content)
  const file = folder.write(`${name}.yaml`, yaml)
  const loaded = await loadSettings(settings, { cwd: folder.path, env: {}, files: [file] })
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return { settings: loaded.settings, told: notes.map(({ text }) => text).join('\n') }
}

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
  const long = `${'a'.repeat(49)}-b`
  const { yaml, notes } = await convert('a.toml', ['A b', 'a_b', '---', long].map(proxy).join(''))
  expect([...yaml.matchAll(/endpoint: (\S+)/g)].map(([, name]) => name)).toEqual([
    'a-b',
    'a-b-2',
    'service',
    'a'.repeat(49),
  ])
  expect(notes).toHaveLength(4)
})

test('a dollar sign of another program begins no variable', async () => {
  const { settings: read } = await imported(
    'frpc.toml',
    `[[proxies]]
    name = "web"
    type = "http"
    localPort = 80
    requestHeaders.set.key = 'a$$b\${HOME}$c'`,
  )
  expect(read.listeners[0]?.requestHeaders).toMatchObject([{ value: 'a$$b${HOME}$c' }])
})

test('accesses that other machines reach are public, and this is told', async () => {
  const { settings: read, told } = await imported(
    'piko.yaml',
    `ports: [{ endpoint_id: all, addr: ':15432' }, { endpoint_id: own, addr: '15433' }]`,
  )
  expect(read.accesses.map((one) => one.public)).toEqual([true, false])
  expect(read.accesses.map((one) => one.bindAddr)).toMatchObject([
    [{ host: '*', port: 15_432 }],
    [{ host: 'localhost', port: 15_433 }],
  ])
  expect(told).toBe('other machines can connect to :15432: list them in allow')
})

test('rules for visitors that are left out are told as such', async () => {
  const { told } = await imported(
    'ngrok.yml',
    'tunnels: { a: { addr: 1, oauth: { provider: x }, basic_auth: [x], domain: a.ngrok.app } }',
  )
  expect(told.split('\n')).toEqual([
    expect.stringMatching(/^a pair of basic_auth has no colon: its visitors are let in without it/),
    expect.stringMatching(/^tunnels\.a\.oauth is left out: its visitors are let in without it/),
    'a.ngrok.app is a name of ngrok: the server has its own name for a',
  ])
})

test('a plugin without a counterpart, and a name with several paths, are told', async () => {
  const ini =
    '[common]\n[a]\nplugin = unix_domain_socket\nplugin_unix_path = /x\n[b]\nlocal_port = 1\n'
  const { told } = await imported('frpc.ini', ini)
  expect(told).toContain('the proxy a is left out: Adit has no plugin unix_domain_socket')
  const rule = (port: number): string => `{ hostname: a.example.com, service: 'http://x:${port}' }`
  const paths = await imported('c.yml', `ingress: [${rule(1)}, ${rule(2)}]`)
  expect(paths.told.split('\n')).toEqual([
    'a.example.com is not a setting of the agent: run adit domain add a.example.com a',
    'a.example.com leads to a: make a-2 one of its routes',
  ])
})
