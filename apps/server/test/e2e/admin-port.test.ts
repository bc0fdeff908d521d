// The admin ports of both programs, asked under other names: what a web page could do by DNS rebinding.
import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'

import { exchangeRaw } from '@proj/testkit/raw-http'
import { expect, test } from 'vitest'

import { adit, aditServer, portsOf } from './programs.ts'

/** The name of this machine, where it is one of its loopback address. */
const own = await lookup(hostname(), 4).catch(() => undefined)
const hasOwnName = own?.address === '127.0.0.1' && hostname() !== 'localhost'

/** Statuses of a page by the host it is asked under. */
async function statuses(port: number, page: string, hosts: readonly string[]): Promise<number[]> {
  const answers = hosts.map(async (host) => {
    const head = `GET ${page} HTTP/1.1\r\nhost: ${host}:${port}\r\nconnection: close\r\n\r\n`
    return (await exchangeRaw(port, head)).status
  })
  return await Promise.all(answers)
}

test('a server answers to the names in admin.bind_addr, and to no other', async ({ skip }) => {
  skip(!hasOwnName, 'the host name is not 127.0.0.1')
  const binds = ['proxy', 'upstream'].flatMap((name) => [`--${name}.bind-addr`, '127.0.0.1:0'])
  const admin = ['--admin.bind-addr', `${hostname()}:0`, '--insecure-open']
  const server = aditServer([...binds, ...admin, '--json'])
  const ports = portsOf(await server.event('ready'))
  const hosts = [hostname(), 'localhost', '127.0.0.1', 'evil.example']
  expect(await statuses(ports.admin, '/status/edge', hosts)).toEqual([200, 200, 200, 403])
})

test('an agent answers to the names in admin.bind_addr, and to no other', async ({ skip }) => {
  skip(!hasOwnName, 'the host name is not 127.0.0.1')
  const server = aditServer([
    ...['proxy', 'upstream', 'admin'].flatMap((name) => [`--${name}.bind-addr`, '127.0.0.1:0']),
    '--json',
  ])
  const { upstream } = portsOf(await server.event('ready'))
  const url = ['--connect.url', `http://127.0.0.1:${upstream}`]
  const agent = adit(['http', 'web', '9', ...url, '--admin.bind-addr', `${hostname()}:0`, '--json'])
  const line = await agent.line(/admin port open/)
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1])
  const hosts = [hostname(), 'localhost', '127.0.0.1', 'evil.example']
  expect(await statuses(port, '/status', hosts)).toEqual([200, 200, 200, 403])
})
