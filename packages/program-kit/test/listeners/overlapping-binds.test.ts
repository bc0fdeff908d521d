import { expect, test } from 'vitest'
import { parseListenAddress } from '@proj/config/address'

import { overlappingBinds } from '../../src/index.ts'

const problems = (binds: Record<string, readonly string[]>) => [
  ...overlappingBinds(
    Object.entries(binds).map(([key, texts]) => ({
      key,
      addresses: texts.map(parseListenAddress),
    })),
  ),
]

test('names both settings that need one socket', () => {
  expect(problems({ proxy: [':8000'], upstream: [':8001'], admin: ['127.0.0.1:8000'] })).toEqual([
    {
      key: 'admin',
      message: '127.0.0.1:8000 needs the same socket as :8000 of proxy',
      hint: 'give one of the two another port or address',
    },
  ])
})

test('says it once for each setting that is in the way', () => {
  const found = problems({ a: [':1', ':2'], b: [':1', ':2'], c: ['localhost:2'] })
  expect(found.map(({ key }) => key)).toEqual(['b', 'c'])
})

test('sees two addresses of one setting', () => {
  expect(problems({ proxy: ['127.0.0.1:8000', ':8000'] })).toEqual([
    {
      key: 'proxy',
      message: ':8000 needs the same socket as 127.0.0.1:8000',
      hint: 'give one of the two another port or address',
    },
  ])
})

test('lets other ports, other addresses, other families and free ports be', () => {
  expect(problems({ a: ['127.0.0.1:1'], b: ['127.0.0.1:2'] })).toEqual([])
  expect(problems({ a: ['127.0.0.1:1'], b: ['127.0.0.2:1'] })).toEqual([])
  expect(problems({ a: ['127.0.0.1:1'], b: ['[::1]:1'] })).toEqual([])
  expect(problems({ a: [':0'], b: [':0'] })).toEqual([])
})

test('sees unix sockets of one path', () => {
  expect(problems({ a: ['unix:/run/a'], b: ['unix:/run/a'] })).toHaveLength(1)
  expect(problems({ a: ['unix:/run/a'], b: ['unix:/run/b'] })).toEqual([])
})
