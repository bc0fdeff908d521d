// What an editor marks in broken files of the agent, and what the program says of the same files. All of
// it is kept beside this file: a verdict that changes should change on purpose.
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { formatProblems, loadSettings } from '@proj/config'
import { judgeBy } from '@proj/testkit/editor-schema'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { settings } from '../src/settings.ts'

const judge = judgeBy(fileURLToPath(new URL('../../../docs/schema/agent.json', import.meta.url)))

const BROKEN: Readonly<Record<string, string>> = {
  'a list instead of keys': '- connect',
  'no YAML': 'connect: [',
  'an unknown group': 'conect: { url: http://x }',
  'an unknown key': 'connect: { tokn: x }',
  'a flag instead of a key': 'connect: { bind-addr: 10.0.0.1 }',
  'a key in the wrong place': 'url: http://x',
  'a value instead of a group': 'connect: http://x',
  'a scheme nobody speaks': 'connect: { url: [ftp://x] }',
  'a secret that is a list': 'connect: { token: [a, b] }',
  'a secret and its file': 'connect: { token: a, token_file: b }',
  'a number that is a word': 'connect: { connections: two }',
  'a number below its range': 'connect: { connections: 0 }',
  'a number above its range': 'connect: { connections: 17 }',
  'a duration without a unit': 'connect: { timeout: 30 }',
  'a duration of an unknown unit': 'connect: { ping_interval: 2w }',
  'a family that is none': 'connect: { ip_family: 5 }',
  'a proxy of an unknown kind': 'connect: { proxy_url: socks9://x }',
  'a group of groups that is a word': 'connect: { tls: off }',
  'a boolean that is a number': 'connect: { tls: { system_cas: 1 } }',
  'a boolean that is a word': 'connect: { tls: { insecure_skip_verify: "yes" } }',
  'a TLS version that is too old': 'connect: { tls: { min_version: TLSv1.1 } }',
  'one listener that is no list': 'listeners: { endpoint: web, addr: 3000 }',
  'a listener that is a name': 'listeners: [web]',
  'a listener without a name': 'listeners: [{ addr: 3000 }]',
  'a listener without a service': 'listeners: [{ endpoint: web }]',
  'a name with a slash': 'listeners: [{ endpoint: a/b, addr: 3000 }]',
  'a protocol nobody speaks': 'listeners: [{ endpoint: web, addr: 3000, protocol: udp }]',
  'an unknown key of a listener': 'listeners: [{ endpoint: web, port: 3000 }]',
  'a header of an unknown version':
    'listeners: [{ endpoint: pg, addr: 5432, protocol: tcp, proxy_protocol: v3 }]',
  'a list of services': 'listeners: [{ endpoint: web, addr: [3000, 3001] }]',
  'an access without an address': 'accesses: [{ endpoint: pg }]',
  'an access with an unknown policy':
    'accesses: [{ endpoint: pg, bind_addr: 5432, on_conflict: try }]',
  'blocks that are numbers': 'accesses: [{ endpoint: pg, bind_addr: 5432, allow: [10] }]',
  'a level nobody writes': 'log: { level: loud }',
  'a format nobody reads': 'log: { format: xml }',
}

test.each(Object.entries(BROKEN))(
  '%s is marked by the editor and by the program',
  async (_, text) => {
    using files = temporaryDirectory()
    files.write('adit.yaml', text)
    const loaded = await loadSettings(settings, { cwd: files.path, files: ['adit.yaml'], env: {} })
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

test('a good file has no marks', () => {
  expect(
    judge('connect: { url: https://x, timeout: 5s }\nlisteners: [{ endpoint: web, addr: 80 }]'),
  ).toEqual([])
})
