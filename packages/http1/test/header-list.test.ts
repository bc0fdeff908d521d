import { describe, expect, it } from 'vitest'
import { getHeader, listItems } from '../src/header-list.ts'

describe('getHeader', () => {
  it('finds the first header of a name in any letter case', () => {
    const headers = ['Accept', '1', 'X-A', '2', 'x-a', '3', '__proto__', '4']
    expect(getHeader(headers, 'x-a')).toBe('2')
    expect(getHeader(headers, '__proto__')).toBe('4')
    expect(getHeader(headers, 'x-b')).toBeUndefined()
    expect(getHeader(headers, '2')).toBeUndefined()
  })
})

describe('listItems', () => {
  it.each([
    ['', []],
    [' ,\t, ', []],
    ['a', ['a']],
    [' a\t, B ,c d,', ['a', 'B', 'c d']],
    ['\xa0a', ['\xa0a']],
  ])('of %j', (value, items) => {
    expect(listItems(value)).toEqual(items)
  })
})
