import { expect, test } from 'vitest'

import type { ExchangeRow } from '../src/contract.ts'
import { readFilter } from '../src/inspector/filter.ts'

const ROW: ExchangeRow = {
  id: 7,
  seq: 1,
  kind: 'http',
  endpoint: 'api',
  startedAt: '2026-01-01T00:00:00.000Z',
  state: 'done',
  method: 'POST',
  target: '/Orders?q=a b',
  host: 'api.example',
  status: 503,
  totalMs: 250,
  bytesIn: 100,
  bytesOut: 20_000,
  visitor: '203.0.113.9',
}

test.each([
  ['', true],
  ['orders', true],
  ['ORDERS post', true],
  ['-orders', false],
  ['"a b"', true],
  ['path:"a b"', true],
  ['-path:"a b"', false],
  ['status:503', true],
  ['status:5xx', true],
  ['status:400-499', false],
  ['-status:400-499', true],
  ['method:post', true],
  ['method:pos', false],
  ['endpoint:api host:example visitor:203', true],
  ['slower:200ms', true],
  ['slower:0.2s', true],
  ['slower:1s', false],
  ['larger:20k', true],
  ['larger:1m', false],
  ['kind:http', true],
  ['kind:ws', false],
  ['is:failed', true],
  ['is:pinned', false],
  ['id:7', true],
  ['header:x=y', true],
  ['body:text', true],
  ['-', true],
])('%s matches: %s', (text, expected) => {
  const filter = readFilter(text)
  expect(filter.isSound).toBe(true)
  expect(filter.matches(ROW, new Set([7]))).toBe(expected)
})

test.each([
  ['stat:5', /did you mean status\?/],
  ['constructor:1', /there is no key constructor/],
  ['status:abc', /write status:404/],
  ['slower:fast', /write slower:200ms/],
  ['kind:udp', /kind:tcp/],
  ['is:constructor', /is:open/],
  ['path:', /write what path has to be/],
])('%s is explained, and matches everything', (text, why) => {
  const filter = readFilter(text)
  expect(filter.isSound).toBe(false)
  expect(filter.terms[0]?.problem).toMatch(why)
  expect(filter.matches(ROW, undefined)).toBe(true)
})

test('what rows do not have is looked for by the agent', () => {
  const filter = readFilter('header:x-a=1 body:"two words"')
  expect(filter.search).toEqual({ header: 'x-a=1', body: 'two words' })
  expect(filter.matches(ROW, undefined)).toBe(false)
})
