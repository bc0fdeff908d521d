import { describe, expect, it } from 'vitest'
import {
  isSameSecret,
  createToken,
  hashToken,
  isOpaqueToken,
  parseToken,
} from '../../src/tokens/opaque-token.ts'

/** The form is written into documents, stores and secret scanners: it stays. */
const SAMPLE = 'adit_0123abcd_0123456789abcdefghjkmnpqrstvwxyz01mr2kz'

describe('opaque tokens', () => {
  it('have the form adit_<id>_<secret and checksum>', () => {
    const { id, text } = createToken()
    expect(text).toMatch(/^adit_[0-9a-hjkmnp-tv-z]{8}_[0-9a-hjkmnp-tv-z]{39}$/)
    expect(text.split('_')[1]).toBe(id)
    expect(isOpaqueToken(text)).toBe(true)
    expect(parseToken(text)).toBe(id)
  })

  it('read as they were written by any version', () => {
    expect(parseToken(SAMPLE)).toBe('0123abcd')
  })

  it('are never the same twice', () => {
    const made = Array.from({ length: 1000 }, createToken)
    expect(new Set(made.map(({ text }) => text)).size).toBe(1000)
  })

  it('use every character of the alphabet alike', () => {
    const counts = new Map<string, number>()
    for (let made = 0; made < 500; made++) {
      for (const character of createToken().text.slice(14, 46)) {
        counts.set(character, (counts.get(character) ?? 0) + 1)
      }
    }
    expect(counts.size).toBe(32)
    // 16 000 characters, 500 of each expected: ten standard deviations are far from chance.
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(220)
  })

  it('are refused when one character is another one', () => {
    const { text } = createToken()
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === '7' ? '8' : '7'
      expect(parseToken(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined()
    }
  })

  it.each([
    '',
    'adit_',
    SAMPLE.slice(0, -1),
    `${SAMPLE}0`,
    SAMPLE.toUpperCase(),
    `${SAMPLE.slice(0, -1)}\n`,
    `x${SAMPLE.slice(1)}`,
    'adit_'.repeat(100_000),
  ])('refuse %.60j', (text) => {
    expect(parseToken(text)).toBeUndefined()
  })

  it('tell themselves from JWTs', () => {
    expect(isOpaqueToken('eyJhbGciOiJIUzI1NiJ9.e30.c2ln')).toBe(false)
  })
})

describe('hashToken', () => {
  it('is SHA-256 of the whole text', () => {
    expect(hashToken(SAMPLE).toString('hex')).toBe(
      '2a65e1ceed3c615058d0a7074a0cf9933a48ebc407e74b2fa7372886b65381ae',
    )
  })
})

describe('isSameSecret', () => {
  it.each([
    ['', '', true],
    ['a', 'a', true],
    ['a', 'b', false],
    ['a', 'ab', false],
    ['', 'a', false],
  ])('of %j and %j is %s', (a, b, same) => {
    expect(isSameSecret(Buffer.from(a), Buffer.from(b))).toBe(same)
  })
})
