// What lies in examples/ is what people start from: every file is checked by the program it is for, and
// those that need nothing from outside are run.
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, onTestFinished, test } from 'vitest'

import { adit, aditServer, portsOf, startServer } from './programs.ts'
import { httpService } from './services.ts'

const EXAMPLES = fileURLToPath(new URL('../../../../examples', import.meta.url))

/** Those of other programs: Kubernetes (see recipes.test.ts), compose, and what an example has installed. */
const OTHERS = /(?:^kubernetes|node_modules)\/|compose\.yaml$/

const files = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml') && !OTHERS.test(file))
  .map((file) => join(EXAMPLES, file))
/** The agent's example, with the service of a test in place of port 3000. */
function folderFile(folder: string, name: string, port: number): string {
  const file = join(folder, name)
  const example = readFileSync(join(EXAMPLES, 'tls', name), 'utf8')
  writeFileSync(file, example.replace('127.0.0.1:3000', `127.0.0.1:${port}`))
  return file
}

const isWrong = (file: string) => file.includes('/wrong/')

test('there is an example for each of the five stories', () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true })
  const stories = ['corporate-proxy', 'dual-stack', 'lan-and-wifi', 'port-conflict', 'ten-printers']
  expect(folders.filter((one) => one.isDirectory()).map(({ name }) => name)).toEqual(
    expect.arrayContaining(stories),
  )
})

/** Where examples/tls finds its files: an authority, and certificates of it. */
function tlsFiles(): { readonly TLS_DIR: string } {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const authority = certificateAuthority()
  const server = authority.issue({ name: 'tunnel' })
  const agent = authority.issue({ name: 'agent', usage: 'client', hosts: ['agent.example'] })
  folder.write('fullchain.pem', server.cert)
  folder.write('privkey.pem', server.key)
  folder.write('agent.pem', agent.cert)
  folder.write('agent.key', agent.key)
  for (const name of ['agents-ca.pem', 'server-ca.pem']) folder.write(name, authority.cert)
  return { TLS_DIR: folder.path }
}

describe('config check', () => {
  test.for(files.map((file) => [file.slice(EXAMPLES.length + 1), file] as const))(
    'of %s',
    async ([, file]) => {
      const program = basename(file) === 'server.yaml' ? aditServer : adit
      const checked = program(['config', 'check', '--config', file], { env: tlsFiles() })
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

test('tls: an agent with a certificate is in, a visitor comes by https', async () => {
  const service = await httpService((_request, response) => response.end('hello'))
  const env = { ...tlsFiles(), PROXY_PORT: '0', UPSTREAM_PORT: '0', ADMIN_PORT: '0' }
  const server = aditServer(['--config', join(EXAMPLES, 'tls/server.yaml'), '--json'], { env })
  const { proxy, upstream } = portsOf(await server.event('ready'))
  const file = folderFile(env.TLS_DIR, 'agent.yaml', service.port)
  const url = `https://localhost:${upstream}`
  const agent = adit(['start', '--config', file, '--connect.url', url, '--json'], { env })
  await agent.event('ready')
  const ca = readFileSync(join(env.TLS_DIR, 'server-ca.pem'))
  const headers = { 'x-piko-endpoint': 'web' }
  const asked = get({ host: 'localhost', port: proxy, ca, headers, agent: false })
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  expect(await text(answer)).toBe('hello')
})

test('dual-stack: the server listens as the file says', async () => {
  using directory = temporaryDirectory()
  const env = {
    ADIT_DATA_DIR: directory.path,
    PROXY_PORT: '0',
    UPSTREAM_PORT: '0',
    ADMIN_PORT: '0',
  }
  const made = aditServer(['token', 'create', '--endpoints', '*', '--may', 'listen'], { env })
  expect(await made.exited).toMatchObject({ code: 0 })
  const file = join(EXAMPLES, 'dual-stack/server.yaml')
  const server = aditServer(['--config', file, '--json'], { env })
  const { proxy, upstream, admin } = portsOf(await server.event('ready'))
  for (const port of [proxy, upstream, admin]) expect(port).toBeGreaterThan(0)
})
