import { expect, test } from 'vitest'

import { type ComparedAnswer, differences } from '../src/inspector/difference.ts'

function answer(body: string | Uint8Array, part: Partial<ComparedAnswer> = {}): ComparedAnswer {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body
  return { status: 200, headers: [], body: bytes, ...part }
}

test('status and headers differ by name; those that always differ do not count', () => {
  const before = answer('', {
    status: 500,
    headers: [
      { name: 'Date', value: '1' },
      { name: 'X-A', value: '1' },
      { name: 'X-A', value: '2' },
      { name: 'Gone', value: 'x' },
    ],
  })
  const after = answer('', {
    headers: [
      { name: 'date', value: '2' },
      { name: 'x-a', value: '1, 2' },
      { name: 'Location', value: '/b' },
    ],
  })
  expect(differences(before, after)).toEqual([
    { where: 'status', name: 'status', before: '500', after: '200' },
    { where: 'header', name: 'gone', before: 'x' },
    { where: 'header', name: 'location', after: '/b' },
  ])
})

test('JSON differs by path, whatever its spaces and order', () => {
  const before = answer('{"a":1,"b":{"c":[1,2]},"same":true}')
  const after = answer('{ "same": true, "b": {"c": [1, 3, 4]}, "__proto__": 5 }')
  expect(differences(before, after)).toEqual([
    { where: 'body', name: 'a', before: '1' },
    { where: 'body', name: 'b.c[1]', before: '2', after: '3' },
    { where: 'body', name: 'b.c[2]', after: '4' },
    { where: 'body', name: '__proto__', after: '5' },
  ])
})

test('text differs by line', () => {
  expect(differences(answer('a\nb\nc\nd'), answer('a\nx\nc\nd\ne'))).toEqual([
    { where: 'body', name: 'line 2', before: 'b' },
    { where: 'body', name: 'line 3', after: 'x' },
    { where: 'body', name: 'line 5', after: 'e' },
  ])
  const long = (letter: string): ComparedAnswer =>
    answer(Array.from({ length: 3000 }, (_, at) => `${letter}${at}`).join('\n'))
  expect(differences(long('a'), long('b'))).toHaveLength(1)
})

test('other bytes differ from the first one', () => {
  const bytes = (last: number): ComparedAnswer => answer(Uint8Array.of(255, 254, 0, last))
  expect(differences(bytes(1), bytes(2))).toEqual([
    { where: 'body', name: 'from byte 3', before: '01', after: '02' },
  ])
  expect(differences(bytes(1), bytes(1))).toEqual([])
})
