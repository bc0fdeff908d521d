// What lies in examples/ is what people start from: every file is checked by the program it is for, and
// those that need nothing from outside are run.
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

import { adit, aditServer, portsOf, startServer } from './programs.ts'

const EXAMPLES = fileURLToPath(new URL('../../../../examples', import.meta.url))

const files = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => join(EXAMPLES, file))
const isWrong = (file: string) => file.includes('/wrong/')

test('there is an example for each of the five stories', () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true })
  const stories = ['corporate-proxy', 'dual-stack', 'lan-and-wifi', 'port-conflict', 'ten-printers']
  expect(folders.filter((one) => one.isDirectory()).map(({ name }) => name)).toEqual(
    expect.arrayContaining(stories),
  )
})

describe('config check', () => {
  test.for(files.map((file) => [file.slice(EXAMPLES.length + 1), file] as const))(
    'of %s',
    async ([, file]) => {
      const program = basename(file) === 'server.yaml' ? aditServer : adit
      const checked = program(['config', 'check', '--config', file])
      const { code } = await checked.exited
      const said = checked.stderr.split(':')[0]
      const verdict = isWrong(file) ? { code: 2, said: 'error' } : { code: 0, said: '' }
      expect({ code, said }).toEqual(verdict)
    },
  )
})

test('ten-printers: one process holds ten addresses on one port', async () => {
  const server = await startServer()
  const desk = adit(
    [
      'start',
      '--config',
      join(EXAMPLES, 'ten-printers/desk.yaml'),
      '--connect.url',
      `http://127.0.0.1:${server.ports.proxy}`,
      '--json',
    ],
    { env: { PRINTER_PORT: '0' } },
  )
  const ready = (await desk.event('ready')) as { accesses: { endpoint: string }[] }
  expect(ready.accesses.map(({ endpoint }) => endpoint)).toEqual(
    Array.from({ length: 10 }, (_, index) => `printer-${index + 1}`),
  )
})

test('dual-stack: the server listens as the file says', async () => {
  const file = join(EXAMPLES, 'dual-stack/server.yaml')
  const server = aditServer(['--config', file, '--json'], {
    env: { PROXY_PORT: '0', UPSTREAM_PORT: '0', ADMIN_PORT: '0' },
  })
  const { proxy, upstream, admin } = portsOf(await server.event('ready'))
  for (const port of [proxy, upstream, admin]) expect(port).toBeGreaterThan(0)
})
