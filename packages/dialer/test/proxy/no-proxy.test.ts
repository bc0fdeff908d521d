import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { isDialError, proxyFromEnvironment } from '../../src/index.ts'
import { resolveDialOptions } from '../../src/options.ts'
import { isThisHost, parseNoProxy } from '../../src/proxy/no-proxy.ts'

// Rows from a comparison of nine implementations; "d" is direct, "P" uses the proxy.
const MATRIX: readonly (readonly [list: string, target: string, 'd' | 'P'])[] = [
  ['example.com', 'example.com', 'd'],
  ['example.com', 'a.example.com', 'd'],
  ['example.com', 'notexample.com', 'P'],
  ['.example.com', 'example.com', 'd'],
  ['.example.com', 'a.example.com', 'd'],
  ['*.example.com', 'example.com', 'P'],
  ['*.example.com', 'a.example.com', 'd'],
  ['*.example.com', 'a.b.example.com', 'd'],
  ['*', 'anything.test', 'd'],
  ['a.test,*', 'anything.test', 'd'],
  ['*example.com', 'notexample.com', 'd'],
  ['*example.com', 'example.com', 'd'],
  ['*example.com', 'example.com.test', 'P'],
  ['a*.example.*', 'abc.example.org', 'd'],
  ['a*.example.*', 'bbc.example.org', 'P'],
  ['a*bc*c', 'abc', 'P'],
  ['a*bc*c', 'abcc', 'd'],
  ['*.3', '10.1.2.3', 'P'],
  ['*example.com:81', 'notexample.com', 'P'],
  ['münchen.test', 'a.xn--mnchen-3ya.test', 'd'],
  ['<local>', 'intranet', 'd'],
  ['<LOCAL>:80', 'intranet', 'd'],
  ['<local>', 'intranet.test', 'P'],
  ['<local>', '10.1.2.3', 'P'],
  ['<local>', '[fd00::5]', 'P'],
  ['example.com:80', 'example.com', 'd'],
  ['example.com:8080', 'example.com:8080', 'd'],
  ['example.com:8080', 'example.com', 'P'],
  ['.example.com:8080', 'a.example.com:8080', 'd'],
  ['*.example.com:8080', 'a.example.com:81', 'P'],
  ['example.com.', 'example.com', 'd'],
  ['example.com', 'example.com.', 'd'],
  ['EXAMPLE.com', 'example.COM', 'd'],
  ['10.0.0.0/8', '10.1.2.3', 'd'],
  ['10.0.0.0/8', '11.1.2.3', 'P'],
  ['10.0.0.0/8', 'ten.test', 'P'],
  ['10.0.0.0/33', '10.1.2.3', 'P'],
  ['10.0.0.0/255.0.0.0', '10.1.2.3', 'd'],
  ['10.0.0.0/255.0.0.0', '11.1.2.3', 'P'],
  ['10.0.0.1-10.0.0.9', '10.0.0.5', 'd'],
  ['10.0.0.1-10.0.0.9', '10.0.0.10', 'P'],
  ['fd00::1-fd00::9', '[fd00::5]', 'd'],
  ['10.', '10.1.2.3', 'd'],
  ['10.', '100.1.2.3', 'P'],
  ['10.', '10.test', 'P'],
  ['10.*', '10.1.2.3', 'd'],
  ['192.168.*', '192.168.7.8', 'd'],
  ['192.168.*', '192.169.7.8', 'P'],
  ['192.168.*.*', '192.168.7.8', 'd'],
  ['192.168.', '192.168.7.8', 'd'],
  ['192.168.*:81', '192.168.7.8', 'P'],
  ['192.168.7.*', '[::ffff:192.168.7.8]', 'd'],
  ['10.1.2.3', '10.1.2.3', 'd'],
  ['10.1.2.3:80', '10.1.2.3', 'd'],
  ['10.1.2.3:81', '10.1.2.3', 'P'],
  ['2.3', '10.1.2.3', 'P'],
  ['::1', '[::1]', 'd'],
  ['[::1]', '[::1]', 'd'],
  ['[::1]:80', '[::1]', 'd'],
  ['[::1]:81', '[::1]', 'P'],
  ['fd00::/8', '[fd00::5]', 'd'],
  ['[fd00::]/8', '[fd00::5]', 'd'],
  ['fd00::/8', '[fe00::5]', 'P'],
  ['0:0:0:0:0:0:0:1', '[::1]', 'd'],
  ['192.0.2.1', '[::ffff:192.0.2.1]', 'd'],
  ['::ffff:192.0.2.1', '192.0.2.1', 'd'],
  ['::ffff:10.0.0.0/104', '10.1.2.3', 'd'],
  ['10.0.0.0/', '10.1.2.3', 'P'],
  ['a.test example.com', 'example.com', 'd'],
  ['a.test,,\t example.com ,', 'example.com', 'd'],
  ['a.test;example.com', 'example.com', 'd'],
  ['a.test|example.com', 'example.com', 'd'],
  ['', 'example.com', 'P'],
]

function thrown(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

describe('parseNoProxy', () => {
  it.each(MATRIX)('%j and the target %s: %s', (list, target, expected) => {
    const [, host = '', port = '80'] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(target) ?? []
    const entry = parseNoProxy(list).match(host, Number(port))
    expect(entry === undefined ? 'P' : 'd').toBe(expected)
  })

  it('returns the entry that matched', () => {
    expect(parseNoProxy('a.test, .example.com').match('b.example.com', 1)).toBe('.example.com')
  })

  it.each([
    '10.0.0.0/40',
    '10.0.0.0/',
    '10.0.0.0/255.0.255.0',
    '10.0.0.9-10.0.0.1',
    '10.0.0.1-fd00::1',
    '10.0.0.256',
    '300.*',
    '2.3',
    'http://a.test',
    '<-loopback>',
    'a.test:0',
    'a.test:65536',
    'a.test:http',
    'fe80::1::2',
    'a..test',
    'a@b.test',
  ])('reports the entry %s, which has no form', (entry) => {
    expect(parseNoProxy(`a.test, ${entry}`).wrong).toEqual([entry])
    expect(() => resolveDialOptions({ noProxy: entry })).toThrow(`noProxy has the entry "${entry}"`)
    // The environment is refused only where the entry could decide.
    const env = proxyFromEnvironment({ HTTPS_PROXY: 'http://p', NO_PROXY: `a.test ${entry}` })
    expect(env.select('https', 'a.test', 443).proxy).toBeUndefined()
    expect(env.select('tcp', 'b.test', 443).proxy).toBeUndefined()
    const error = thrown(() => env.select('https', 'b.test', 443))
    expect(isDialError(error, 'DIAL_PROXY_INVALID')).toBe(true)
    expect(String(error)).toContain(`NO_PROXY has the entry "${entry}"`)
  })

  it('has no wrong entry in a list of all forms', () => {
    const list =
      '*, a.test .b.test *.c.test *d.test;e*f.test|10.0.0.1 10.0.0.0/8, 10. 10.* [::1]:80 fd00::/8 <local> localhost a_b.test'
    expect(parseNoProxy(list).wrong).toEqual([])
  })

  it('never throws, for any list and target', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(65_535), (list, host, port) => {
        expect(() => parseNoProxy(list).match(host, port)).not.toThrow()
      }),
    )
  })
})

describe('isThisHost', () => {
  it.each([
    ['localhost', true],
    ['LOCALHOST.', true],
    ['a.localhost', true],
    ['127.0.0.1', true],
    ['127.255.1.2', true],
    ['::1', true],
    ['[::1]', true],
    ['::ffff:127.0.0.1', true],
    ['128.0.0.1', false],
    ['localhost.test', false],
    ['notlocalhost', false],
  ])('%s: %s', (host, expected) => {
    expect(isThisHost(host)).toBe(expected)
  })
})
