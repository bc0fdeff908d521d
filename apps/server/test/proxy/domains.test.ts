// Domains that lead to endpoints: which spelling of a host finds which endpoint.
import { exchangeRaw } from '@proj/testkit/raw-http'
import { describe, expect, it, test } from 'vitest'

import { canonicalDomain, DomainTable } from '../../src/proxy/domains.ts'
import type { ProxyOptions } from '../../src/proxy/proxy-options.ts'
import { tunnel } from '../tunnel-fixture.ts'

const of = (name: string, tenant = '') => ({ tenant, name })

describe('canonicalDomain', () => {
  it.each([
    ['shop.example.com', 'shop.example.com'],
    ['Shop.Example.COM.', 'shop.example.com'],
    ['*.Shop.example.com', '*.shop.example.com'],
    ['example.com', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['*.BÜCHER.example', '*.xn--bcher-kva.example'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['straße.example', 'xn--strae-oqa.example'],
    ['例え.テスト', 'xn--r8jz45g.xn--zckzah'],
    ['a.b.c.d.e.example.com', 'a.b.c.d.e.example.com'],
  ])('%s is %s', (text, name) => expect(canonicalDomain(text)).toBe(name))

  it.each([
    '',
    '.',
    '*',
    '*.',
    '**.example.com',
    'a.*.example.com',
    'a*.example.com',
    '.example.com',
    'a..example.com',
    'https://example.com',
    'example.com:443',
    'example.com/',
    'a b.example.com',
    '-a.example.com',
    '127.0.0.1',
    '[::1]',
    `${'a'.repeat(64)}.example.com`,
    `${'a.'.repeat(126)}example.com`,
  ])('%j is no domain', (text) => expect(canonicalDomain(text)).toBeUndefined())
})

describe('DomainTable', () => {
  const table = new DomainTable([
    { domain: 'example.com', endpoint: of('apex') },
    { domain: '*.example.com', endpoint: of('any') },
    { domain: '*.deep.example.com', endpoint: of('deep') },
    { domain: 'one.deep.example.com', endpoint: of('one') },
    { domain: 'bücher.example', endpoint: of('books') },
  ])

  it.each([
    ['example.com', 'apex'],
    ['www.example.com', 'any'],
    ['a.b.c.example.com', 'any'],
    ['deep.example.com', 'any'],
    ['x.deep.example.com', 'deep'],
    ['y.x.deep.example.com', 'deep'],
    ['one.deep.example.com', 'one'],
    ['a.one.deep.example.com', 'deep'],
    ['xn--bcher-kva.example', 'books'],
    ['notexample.com', undefined],
    ['com', undefined],
    ['example.com.evil.example', undefined],
    ['', undefined],
  ])('%s leads to %s', (host, name) => expect(table.find(host)?.name).toBe(name))

  it('names the domains of an endpoint that visitors can open', () => {
    expect(table.namesOf(of('apex'))).toEqual(['example.com'])
    expect(table.namesOf(of('any'))).toEqual([])
    expect(table.namesOf(of('apex', 'acme'))).toEqual([])
  })
})

/** What visitors of these hosts get: the answer of the endpoint `web`, or the code of an error. */
async function answers(edge: ProxyOptions, lines: readonly string[]): Promise<string[]> {
  await using path = await tunnel({ http: (_, res) => res.end('web'), edge })
  const got: string[] = []
  for (const line of lines) {
    const bytes = `GET / HTTP/1.1\r\n${line}\r\n\r\n`
    const { headers, body } = await exchangeRaw(path.port, bytes)
    got.push(headers['adit-error'] ?? body.toString())
  }
  return got
}

test('a host finds its endpoint in any case, with a final dot and a port', async () => {
  const domains = [
    { domain: 'Shop.Example.com', endpoint: of('web') },
    { domain: '*.apps.example.com', endpoint: of('web') },
  ]
  const hosts = ['shop.example.com', 'SHOP.EXAMPLE.COM', 'shop.example.com.', 'shop.example.com:81']
  const below = ['x.apps.example.com', 'Y.X.Apps.Example.Com.:8443']
  const lines = [...hosts, ...below].map((host) => `Host: ${host}`)
  expect(await answers({ domains, baseDomain: 'b.example' }, lines)).toEqual(lines.map(() => 'web'))
})

test('a host of no domain is read as before', async () => {
  const domains = [{ domain: 'shop.example.com', endpoint: of('other') }]
  const got = await answers({ domains }, ['Host: web.example.com', 'Host: shop.example.com'])
  expect(got).toEqual(['web', 'no_upstream'])
})

test('the header of Piko names the endpoint, whatever the host', async () => {
  const domains = [{ domain: 'shop.example.com', endpoint: of('other') }]
  const line = 'Host: shop.example.com\r\nX-Piko-Endpoint: web'
  expect(await answers({ domains }, [line])).toEqual(['web'])
})

test('of several base domains the longest one that a host is below names its endpoint', async () => {
  const baseDomain = ['example.com', 'EU.example.com.', 'bücher.example']
  const hosts = {
    'web.example.com': 'web',
    'web.eu.example.com': 'web',
    'WEB.EU.Example.com.': 'web',
    'web.xn--bcher-kva.example': 'web',
    'eu.example.com': 'no_upstream',
    'web.us.example.com': 'endpoint_missing',
    'example.com': 'endpoint_missing',
    'web.other.example': 'endpoint_missing',
  }
  const lines = Object.keys(hosts).map((host) => `Host: ${host}`)
  expect(await answers({ baseDomain }, lines)).toEqual(Object.values(hosts))
})

test('an agent is told the URLs of its domains, and the server answers them', async () => {
  const domains = [
    { domain: 'bücher.example', endpoint: of('web') },
    { domain: '*.shop.example', endpoint: of('web') },
  ]
  await using path = await tunnel({ http: (_, res) => res.end('web'), edge: { domains } })
  const urls = path.listener.urls.map((url) => new URL(url).hostname)
  expect(urls).toEqual(['xn--bcher-kva.example', 'web.localhost'])
})

test('domains are replaced while the server runs', async () => {
  await using path = await tunnel({ http: (_, res) => res.end('web') })
  const status = async (): Promise<number> =>
    (await exchangeRaw(path.port, 'GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n')).status
  expect(await status()).toBe(503)
  path.server.setDomains([{ domain: 'shop.example', endpoint: of('web') }])
  expect(await status()).toBe(200)
})
