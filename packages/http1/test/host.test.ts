import { describe, expect, it } from 'vitest'
import { isSameAuthority, parseHost } from '../src/host.ts'

describe('parseHost', () => {
  it.each([
    ['A.b', { name: 'a.b', port: undefined, hasFinalDot: false, isAddress: false }],
    ['a.b.:80', { name: 'a.b', port: 80, hasFinalDot: true, isAddress: false }],
    ['a:', { name: 'a', port: undefined, hasFinalDot: false, isAddress: false }],
    ['a:0', { name: 'a', port: 0, hasFinalDot: false, isAddress: false }],
    ['1.2.3.4:65535', { name: '1.2.3.4', port: 65_535, hasFinalDot: false, isAddress: true }],
    ['1.2.3.256', { name: '1.2.3.256', port: undefined, hasFinalDot: false, isAddress: false }],
    ['[::A]:8', { name: '::a', port: 8, hasFinalDot: false, isAddress: true }],
    ['a b', undefined],
    ['.example.com', undefined],
    ['::1', undefined],
    ['', undefined],
  ])('of %j', (host, parts) => {
    expect(parseHost(host)).toEqual(parts)
  })

  it('accepts names of up to 254 characters', () => {
    expect(parseHost('a'.repeat(254))).toBeDefined()
    expect(parseHost(`${'a'.repeat(254)}:80`)).toBeDefined()
    expect(parseHost('a'.repeat(255))).toBeUndefined()
  })
})

describe('isSameAuthority', () => {
  it.each([
    ['a.b', 'A.B.:80', 80, true],
    ['a.b', 'a.b:443', 80, false],
    ['a.b', 'a.c', 80, false],
    ['[::1]', '[::1]:443', 443, true],
  ])('of %s and %s by port %i is %s', (left, right, port, same) => {
    const [one, other] = [parseHost(left), parseHost(right)]
    if (one === undefined || other === undefined) throw new Error('not valid')
    expect(isSameAuthority(one, other, port)).toBe(same)
  })
})
