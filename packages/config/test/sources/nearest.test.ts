import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { nearest } from '../../src/sources/nearest.ts'

const KEYS = ['bind_addr', 'timeout', 'token', 'url', 'tls', 'proxy_url']

test.each([
  ['bindaddr', 'bind_addr'],
  ['bind-addr', 'bind_addr'],
  ['bindAdr', 'bind_addr'],
  ['timeuot', 'timeout'],
  ['tokn', 'token'],
  ['ulr', 'url'],
  ['TLS', 'tls'],
  ['proxyurl', 'proxy_url'],
  ['listeners', undefined],
  ['x', undefined],
  ['', undefined],
  ['timeoutt'.repeat(20), undefined],
])('takes %j for %j', (word, meant) => {
  expect(nearest(word, KEYS)).toBe(meant)
})

test('finds every word with one letter changed, left out, doubled or swapped', () => {
  const long = ['configuration', 'replacement', 'visitors', 'middleware']
  fc.assert(
    fc.property(fc.constantFrom(...long), fc.nat(), fc.nat(3), (word, where, how) => {
      const at = where % (word.length - 1)
      const [before, letter, next, after] = [
        word.slice(0, at),
        word[at] ?? '',
        word[at + 1] ?? '',
        word.slice(at + 2),
      ]
      const typed = [
        `${before}x${next}${after}`,
        `${before}${next}${after}`,
        `${before}${letter}${letter}${next}${after}`,
        `${before}${next}${letter}${after}`,
      ][how]
      expect(nearest(typed ?? '', long)).toBe(word)
    }),
  )
})
