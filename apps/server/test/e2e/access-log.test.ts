// The access log of the program: a file that is renamed and opened again on SIGUSR1, as logrotate does it.
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

import { aditServer, portsOf } from './programs.ts'

const BINDS = ['proxy', 'upstream', 'admin'].map((name) => `--${name}.bind-addr=127.0.0.1:0`)

async function ready(...args: readonly string[]) {
  const server = aditServer([...BINDS, '--upstream.start-wait=0s', '--json', ...args])
  const { proxy } = portsOf(await server.event('ready'))
  return { server, port: proxy }
}

test.runIf(process.platform !== 'win32')(
  'the access log is opened again on SIGUSR1, and written to the end',
  async () => {
    using folder = temporaryDirectory()
    const path = join(folder.path, 'access.log')
    const { server, port } = await ready(
      '--access-log.format=combined',
      `--access-log.path=${path}`,
    )
    const visit = async (target: string): Promise<void> => {
      const answer = await fetch(`http://127.0.0.1:${port}${target}`)
      expect(answer.status).toBeGreaterThanOrEqual(400)
      await answer.arrayBuffer()
    }
    const has = (file: string, text: string) => (): boolean =>
      existsSync(file) && readFileSync(file, 'utf8').includes(text)
    await visit('/one')
    await until(has(path, '"GET /one HTTP/1.1"'))
    renameSync(path, `${path}.1`)
    await visit('/two')
    await until(has(`${path}.1`, '"GET /two HTTP/1.1"'))
    server.kill('SIGUSR1')
    await until(() => existsSync(path))
    await visit('/three?token=secret')
    server.kill('SIGTERM')
    expect((await server.exited).code).toBe(0)
    expect(readFileSync(path, 'utf8')).toContain('"GET /three?token=*** HTTP/1.1"')
    expect(readFileSync(`${path}.1`, 'utf8').split('\n')).toHaveLength(3)
  },
)

test('without a path the access log goes to standard output', async () => {
  const { server, port } = await ready('--access-log.format=json')
  await (await fetch(`http://127.0.0.1:${port}/out`)).arrayBuffer()
  const line = await until(() => server.stdout.split('\n').find((one) => one.includes('/out')))
  expect(JSON.parse(line)).toMatchObject({ kind: 'request', target: '/out' })
})

test('an access log that cannot be opened is an error of the configuration', async () => {
  const server = aditServer([...BINDS, '--access-log.format=json', '--access-log.path=/dev/null/x'])
  expect((await server.exited).code).toBe(2)
  expect(server.stderr).toContain('access_log.path: the file cannot be opened')
})
