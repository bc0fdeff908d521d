import { inspect } from 'node:util'

import { describe, expect, it } from 'vitest'

import { DialContext } from '../../src/dial-context.ts'
import { type DialOptions, ProxyServer } from '../../src/index.ts'
import { resolveDialOptions } from '../../src/options.ts'
import { chooseProxies } from '../../src/proxy/choose-proxies.ts'

describe('ProxyServer', () => {
  it.each([
    ['http://p', 'http://p:80'],
    ['HTTP://P:3128/', 'http://p:3128'],
    ['https://p', 'https://p:443'],
    ['http://p:80', 'http://p:80'],
    ['socks://p', 'socks5h://p:1080'],
    ['socks5://[::1]:1081', 'socks5://[::1]:1081'],
    ['socks4a://me@p', 'socks4a://me:***@p:1080'],
    ['p:3128', 'http://p:3128'],
    ['[::1]:3128', 'http://[::1]:3128'],
    ['http://alice:s3cret@p:1', 'http://alice:***@p:1'],
  ])('reads %s as %s', (text, expected) => {
    expect(String(new ProxyServer(text))).toBe(expected)
  })

  it('decodes user name and password, and accepts them separately without encoding', () => {
    const encoded = new ProxyServer('http://al%40ice:p%3A%20w@p')
    expect(encoded.username).toBe('al@ice')
    expect(encoded.password).toBe('p: w')
    expect(encoded.basicAuthorization()).toBe(
      `Basic ${Buffer.from('al@ice:p: w').toString('base64')}`,
    )
    const plain = new ProxyServer({ url: 'http://p', username: 'a', password: 'b%40' })
    expect(plain.password).toBe('b%40')
    expect(new ProxyServer('http://p').basicAuthorization()).toBeUndefined()
  })

  it.each([
    'http://',
    'http://p:0',
    'ftp://p',
    'pac+http://p/x',
    'http://p/proxy.pac',
    'http://p/path',
    'http://p?x',
    'http://a:%zz@p',
    'socks4://a:b@p',
    'socks4://a%00b@p',
    `socks5://${'u'.repeat(256)}@p`,
    `socks5://u:${'p'.repeat(256)}@p`,
  ])('rejects %s without its credentials in the error', (text) => {
    expect(() => new ProxyServer(text)).toThrow(TypeError)
    expect(() => new ProxyServer(text)).toThrow(/^(?!.*(%zz|uuu|ppp))/)
  })

  it('accepts SOCKS credentials of 0 and of 255 bytes', () => {
    expect(new ProxyServer(`socks5://u:${'p'.repeat(255)}@p`).password).toHaveLength(255)
    expect(new ProxyServer('socks5://u:@p').password).toBeUndefined()
  })

  it('contains no password in text, JSON and inspection', () => {
    const proxy = new ProxyServer('http://alice:hunter2@p')
    const shown = [
      String(proxy),
      JSON.stringify({ proxy }),
      inspect(proxy, { showHidden: true, getters: true }),
    ]
    for (const text of shown.slice(0, 2)) expect(text).not.toContain('hunter2')
    expect(inspect(proxy, { showHidden: true })).not.toContain('hunter2')
  })
})

describe('chooseProxies', () => {
  const select = async (
    options: DialOptions,
    target: { host: string; port: number } | { path: string } = { host: '127.0.0.1', port: 80 },
  ) =>
    DialContext.run(resolveDialOptions(options), (context) => chooseProxies(context, 'ws', target))

  it('uses an explicit proxy for loopback targets too, and not for entries of noProxy', async () => {
    const proxy = new ProxyServer('http://p')
    expect(await select({ proxy })).toMatchObject([{ proxy }])
    expect(await select({ proxy, noProxy: '127.0.0.0/8' })).toEqual([
      { proxy: undefined, from: 'noProxy entry 127.0.0.0/8', warnings: [] },
    ])
  })

  it('uses no proxy for direct, none and unix sockets', async () => {
    for (const proxy of ['direct', 'none']) {
      expect(await select({ proxy })).toMatchObject([{ proxy: undefined }])
    }
    expect(await select({ proxy: 'http://p' }, { path: '/x' })).toMatchObject([
      { proxy: undefined },
    ])
  })
})
