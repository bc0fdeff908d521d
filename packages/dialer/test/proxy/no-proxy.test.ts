import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

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
  ['*example.com', 'notexample.com', 'P'],
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
  ['10.0.0.1-10.0.0.9', '10.0.0.5', 'P'],
  ['10.', '10.1.2.3', 'P'],
  ['10.*', '10.1.2.3', 'P'],
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
  ['a.test;example.com', 'example.com', 'P'],
  ['', 'example.com', 'P'],
]

describe('parseNoProxy', () => {
  it.each(MATRIX)('%j and the target %s: %s', (list, target, expected) => {
    const [, host = '', port = '80'] = /^(\[.*\]|[^:]*)(?::(\d+))?$/.exec(target) ?? []
    const entry = parseNoProxy(list).match(host, Number(port))
    expect(entry === undefined ? 'P' : 'd').toBe(expected)
  })

  it('returns the entry that matched', () => {
    expect(parseNoProxy('a.test, .example.com').match('b.example.com', 1)).toBe('.example.com')
  })

  it('warns about wrong separators and about entries without effect', () => {
    expect(parseNoProxy('a;b').warnings[0]).toContain('";"')
    expect(parseNoProxy('*x.test, 10.0.0.0/40, http://a.test').warnings).toHaveLength(3)
    expect(parseNoProxy('a.test, 10.0.0.0/8, [::1]:80').warnings).toEqual([])
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
