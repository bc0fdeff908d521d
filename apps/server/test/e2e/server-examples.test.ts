// examples/limits, weights, domains, balancer and access-log, with the programs as a user has them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

import { adit, aditServer, portsOf, startAgent } from './programs.ts'
import { httpService } from './services.ts'

const EXAMPLES = fileURLToPath(new URL('../../../../examples/', import.meta.url))
const ANY_PORTS = { PROXY_PORT: '0', UPSTREAM_PORT: '0', ADMIN_PORT: '0' }

type Environment = Readonly<Record<string, string>>

/** The server of an example, with the endpoint `shop` by its agent, or by one without settings. */
async function start(name: string, agents: readonly Environment[], env: Environment = {}) {
  const config = (file: string) => ['--config', join(EXAMPLES, name, file), '--json']
  const process = aditServer(config('server.yaml'), { env: { ...ANY_PORTS, ...env } })
  const ports = portsOf(await process.event('ready'))
  const url = `http://127.0.0.1:${ports.upstream}`
  for (const one of agents) {
    const agent = adit(['start', ...config('agent.yaml')], { env: { ADIT_SERVER: url, ...one } })
    await agent.event('ready')
  }
  return { process, ports }
}

const ask = async (port: number, host: string, before = '') =>
  await exchangeRaw(port, `${before}GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)

test('limits: the strictest of the server and of the agent holds', async () => {
  const service = await httpService((_, response) => response.end('in'))
  const { ports } = await start('limits', [{ SERVICE_PORT: String(service.port) }])
  const head = 'POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2000000\r\n\r\n'
  const { status, headers } = await exchangeRaw(ports.proxy, head)
  expect([status, headers['adit-error']]).toEqual([413, 'body_too_large'])
  expect((await ask(ports.proxy, 'shop.localhost')).body.toString()).toBe('in')
})

test('weights: a visitor is told to stay with the version that it got', async () => {
  const service = await httpService((_, response) => response.end('in'))
  const SERVICE_PORT = String(service.port)
  const { ports } = await start('weights', [{ SERVICE_PORT, WEIGHT: '95' }, { SERVICE_PORT }])
  const { body, headers } = await ask(ports.proxy, 'shop.localhost')
  expect([body.toString(), headers['set-cookie']]).toEqual([
    'in',
    expect.stringMatching(/^adit_agent=/),
  ])
})

test('domains: exact, apex, wildcard, and below the base domain', async () => {
  const service = await httpService((incoming, response) => response.end(incoming.headers.host))
  const server = await start('domains', [])
  await startAgent('http', 'shop', service.port, server)
  const hosts = [
    'Shop.example.com',
    'example.net',
    'a.b.customers.example.com',
    'shop.tunnel.example.com',
  ]
  for (const host of hosts) {
    expect((await ask(server.ports.proxy, host)).body.toString()).toBe(host)
  }
  expect((await ask(server.ports.proxy, 'other.example.com')).status).toBe(400)
})

test('balancer: the visitor is the one that the header names', async () => {
  const service = await httpService((incoming, response) =>
    response.end(incoming.headers['x-forwarded-for']),
  )
  const server = await start('balancer', [], { BALANCER: '127.0.0.1' })
  await startAgent('http', 'shop', service.port, server)
  const header = 'PROXY TCP4 192.0.2.7 192.0.2.9 1234 80\r\n'
  const answer = await ask(server.ports.proxy, 'shop.localhost', header)
  expect(answer.body.toString()).toBe('192.0.2.7')
})

test('access-log: a line for each request', async () => {
  using folder = temporaryDirectory()
  const ACCESS_LOG = join(folder.path, 'access.log')
  const service = await httpService((_, response) => response.end('in'))
  const server = await start('access-log', [], { ACCESS_LOG })
  await startAgent('http', 'shop', service.port, server)
  await ask(server.ports.proxy, 'shop.localhost')
  const line = await until(() =>
    readFileSync(ACCESS_LOG, 'utf8')
      .split('\n')
      .find((one) => one !== ''),
  )
  expect(JSON.parse(line)).toMatchObject({
    kind: 'request',
    endpoint: 'shop',
    outcome: 'ok',
    status: 200,
  })
})
