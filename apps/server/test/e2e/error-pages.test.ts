// The examples on the pages of docs/reference/errors are what the programs print: each is run as it
// stands, with the ports of a server of the test.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '@proj/testkit/clean-environment'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { startServer } from './programs.ts'

const PAGES = fileURLToPath(new URL('../../../../docs/reference/errors/', import.meta.url))
const SERVER = fileURLToPath(new URL('../../bin/adit-server.js', import.meta.url))
const AGENT = fileURLToPath(new URL('../../../agent/bin/adit.js', import.meta.url))

const EXAMPLES = readdirSync(PAGES).flatMap((name) =>
  [...readFileSync(`${PAGES}/${name}`, 'utf8').matchAll(/^```text\n\$ (.+)\n([^]*?)```/gm)].map(
    ([, command = '', output = '']) => [command, output] as const,
  ),
)

/** Without what is another one each time: the request, the time, the duration, padding. */
function plain(output: string): string {
  return output
    .replaceAll(/Request id \S+, .*/g, 'Request id ID, TIME')
    .replaceAll(/ +\d+ ms/g, ' N ms')
    .replaceAll(/\bpid \d+/g, 'pid N')
    .replaceAll(/since \d{4}-\S+?Z/g, 'since TIME')
}

test('there are examples', () => expect(EXAMPLES.length).toBeGreaterThan(3))

test.each(EXAMPLES)('%s', async (command, output) => {
  using folder = temporaryDirectory()
  const { ports } = await startServer()
  const here = { 8000: ports.proxy, 8001: ports.upstream, 8002: ports.admin }
  const withPorts = (text: string): string =>
    Object.entries(here).reduce((all, [from, to]) => all.replaceAll(`:${from}`, `:${to}`), text)
  folder.write('adit', `#!/bin/sh\nexec "${process.execPath}" "${AGENT}" "$@"\n`, 0o755)
  folder.write('adit-server', `#!/bin/sh\nexec "${process.execPath}" "${SERVER}" "$@"\n`, 0o755)
  const program = spawned('bash', ['-c', withPorts(command)], {
    env: {
      ...cleanEnvironment(),
      HOME: folder.path,
      PATH: `${folder.path}:${process.env['PATH'] ?? ''}`,
    },
  })
  await program.exited
  expect(plain(`${program.stdout}${program.stderr}`)).toBe(plain(withPorts(output)))
})
