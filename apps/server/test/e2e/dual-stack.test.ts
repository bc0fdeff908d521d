import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { expect, onTestFinished, test } from 'vitest'
import { exchangeRaw } from '@proj/testkit/raw-http'

import { adit, aditServer, portsOf, startAgent, startServer } from './programs.ts'
import { httpService } from './services.ts'

const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
)
const GET = 'GET / HTTP/1.1\r\nhost: web.localhost\r\nconnection: close\r\n\r\n'

test.for([
  { bind: ':0', what: 'all addresses' },
  { bind: 'localhost:0', what: 'localhost' },
])('one listener on $what is reached by 127.0.0.1 and [::1]', async ({ bind }, { skip }) => {
  skip(!hasIPv6, 'no IPv6 on this machine')
  const service = await httpService((request, response) => {
    response.end(String(request.headers['x-forwarded-for']))
  })
  const binds = ['proxy', 'upstream', 'admin'].flatMap((name) => [`--${name}.bind-addr`, bind])
  const server = aditServer([...binds, '--insecure-open', '--json'])
  const { proxy, upstream, admin } = portsOf(await server.event('ready'))

  for (const host of ['127.0.0.1', '::1']) {
    const authority = host.includes(':') ? `[${host}]` : host
    const url = `http://${authority}:${upstream}`
    const agent = adit(['http', 'web', String(service.port), '--connect.url', url, '--json'])
    await agent.event('ready')
    const { status, body } = await exchangeRaw({ host, port: proxy }, GET)
    // The visitor's address is the one it has, not an IPv4 address dressed up as IPv6.
    expect({ status, from: body.toString() }).toEqual({ status: 200, from: host })
    expect((await fetch(`http://${authority}:${admin}/health`)).status).toBe(200)
    await agent.stop()
  }
})

test.for(['127.0.0.1', '::1'])(
  'a service on only %s is reached by its port, and by localhost',
  async (host, { skip }) => {
    skip(!hasIPv6, 'no IPv6 on this machine')
    const service = createServer((_request, response) => response.end(host)).listen({
      host,
      port: 0,
    })
    onTestFinished(() => void service.close())
    await once(service, 'listening')
    const { port } = service.address() as AddressInfo
    const server = await startServer()
    for (const address of [port, `localhost:${port}`]) {
      const agent = await startAgent('http', 'web', address, server)
      const { status, body } = await exchangeRaw(server.ports.proxy, GET)
      expect({ status, body: body.toString() }).toEqual({ status: 200, body: host })
      await agent.stop()
    }
  },
)

test('a listener on one family is not reached by the other', async ({ skip }) => {
  skip(!hasIPv6, 'no IPv6 on this machine')
  const args = ['upstream', 'admin'].flatMap((name) => [`--${name}.bind-addr`, '127.0.0.1:0'])
  const server = aditServer(['--proxy.bind-addr', '[::1]:0', ...args, '--json'])
  const { proxy } = portsOf(await server.event('ready'))
  await expect(exchangeRaw({ host: '127.0.0.1', port: proxy }, GET)).rejects.toThrow(/ECONNREFUSED/)
  expect((await exchangeRaw({ host: '::1', port: proxy }, GET)).status).toBe(503)
})
