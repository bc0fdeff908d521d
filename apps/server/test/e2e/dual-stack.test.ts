import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { exchangeRaw } from '@proj/testkit/raw-http'

import { adit, aditServer, portsOf } from './programs.ts'
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

test('a listener on one family is not reached by the other', async ({ skip }) => {
  skip(!hasIPv6, 'no IPv6 on this machine')
  const args = ['upstream', 'admin'].flatMap((name) => [`--${name}.bind-addr`, '127.0.0.1:0'])
  const server = aditServer(['--proxy.bind-addr', '[::1]:0', ...args, '--json'])
  const { proxy } = portsOf(await server.event('ready'))
  await expect(exchangeRaw({ host: '127.0.0.1', port: proxy }, GET)).rejects.toThrow(/ECONNREFUSED/)
  expect((await exchangeRaw({ host: '::1', port: proxy }, GET)).status).toBe(502)
})
