// examples/folder, and a name that is made up, with the programs as a user has them.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { exchangeRaw } from '@proj/testkit/raw-http'
import { expect, test } from 'vitest'

import { adit, startServer } from './programs.ts'

const EXAMPLE = fileURLToPath(new URL('../../../../examples/folder/', import.meta.url))
const PAGE = 'This page comes from a folder.'

async function page(port: number, endpoint: string): Promise<string> {
  const head = `GET / HTTP/1.1\r\nhost: ${endpoint}.localhost\r\nconnection: close\r\n\r\n`
  return (await exchangeRaw(port, head)).body.toString()
}

test('a folder is published from a file, and from a command line without a name', async () => {
  const server = await startServer()
  const url = `http://127.0.0.1:${server.ports.upstream}`
  const file = ['start', '--config', join(EXAMPLE, 'agent.yaml'), '--json']
  const agent = adit(file, { env: { ADIT_SERVER: url } })
  const unnamed = ['http', './site', '--connect.url', url, '--json']
  const others = [1, 2].map(() => adit(unnamed, { cwd: EXAMPLE }))
  const [, ...made] = await Promise.all(
    [agent, ...others].map(async (one) => await one.event('ready')),
  )
  expect(await page(server.ports.proxy, 'site')).toContain(PAGE)

  const names = made.map(
    ({ listeners }) => (listeners as [{ readonly endpoint: string }])[0].endpoint,
  )
  expect(names[0]).toMatch(/^[a-z]+-[a-z]+-\d{4}$/)
  expect(names[1]).toBe(names[0])
  expect(await page(server.ports.proxy, names[0] ?? '')).toContain(PAGE)
})
