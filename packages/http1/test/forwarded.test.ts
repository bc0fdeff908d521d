import { describe, expect, it } from 'vitest'

import { formatForwarded, forwardedElements } from '../src/forwarded.ts'

const of = (node?: string, host?: string, proto?: string) => ({ for: node, host, proto })

describe('forwardedElements', () => {
  // Mostly the examples of RFC 7239, sections 4 and 7.
  it.each([
    ['', []],
    ['for="_gazonk"', [of('_gazonk')]],
    ['For="[2001:db8:cafe::17]:4711"', [of('[2001:db8:cafe::17]:4711')]],
    [
      'for=192.0.2.60;proto=http;by=203.0.113.43;host=a.example',
      [of('192.0.2.60', 'a.example', 'http')],
    ],
    ['for=192.0.2.43, for=198.51.100.17', [of('192.0.2.43'), of('198.51.100.17')]],
    [
      'for=192.0.2.43,for="[::1]";proto=https , for=unknown',
      [of('192.0.2.43'), of('[::1]', undefined, 'https'), of('unknown')],
    ],
    ['for="a,b;c\\"d\\\\e"', [of('a,b;c"d\\e')]],
    ['for=a;secret=x, ,, for=b;', [of('a'), of('b')]],
    [' \t for=a \t; host="h:80" ', [of('a', 'h:80')]],
    ['proto=http', [of(undefined, undefined, 'http')]],
  ])('reads %j', (value, elements) => {
    expect(forwardedElements(value)).toEqual(elements)
  })

  it.each([
    'for',
    'for=',
    'for =a',
    'for= a',
    '=a',
    'for="a',
    'for="a"b',
    'for=a b',
    'for=[::1]',
    'for=a:80',
    'for=a;for=b',
    'for=a;FOR=b',
    'for=a for=b',
    'for=a, for="',
    'for="\u0001"',
    '10.0.0.1, 10.0.0.2',
  ])('takes nothing of %j', (value) => {
    expect(forwardedElements(value)).toBeUndefined()
  })

  it('takes time in proportion to the length of a value', () => {
    const value = `for="${'\\"'.repeat(16_000)}`
    expect(forwardedElements(value)).toBeUndefined()
    expect(forwardedElements('for=a,'.repeat(8_000))).toHaveLength(8_000)
  })
})

describe('formatForwarded', () => {
  it.each([
    [['192.0.2.1', 'a.example', 'https'], 'for=192.0.2.1;host=a.example;proto=https'],
    [['2001:db8::1', 'a:8080', 'http'], 'for="[2001:db8::1]";host="a:8080";proto=http'],
    [['192.0.2.1', '[::1]', undefined], 'for=192.0.2.1;host="[::1]"'],
    [['192.0.2.1', '', undefined], 'for=192.0.2.1'],
    [['a"b', '', undefined], 'for=unknown'],
    [['fe80::1%eth0', '', undefined], 'for=unknown'],
  ] as const)('writes %j', ([node, host, proto], text) => {
    expect(formatForwarded(node, host, proto)).toBe(text)
    expect(forwardedElements(text)).toHaveLength(1)
  })
})
