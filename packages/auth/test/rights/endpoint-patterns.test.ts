import { assert, constantFrom, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  matchesPattern,
  MAX_PATTERN_BYTES,
  patternProblem,
} from '../../src/rights/endpoint-patterns.ts'

describe('matchesPattern', () => {
  it.each([
    ['pc1', 'pc1', true],
    ['pc1', 'pc10', false],
    ['pc1', 'PC1', false],
    ['pc*', 'pc', true],
    ['pc*', 'pc10', true],
    ['pc*', 'xpc1', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['*-web', 'a-web', true],
    ['*-web', '-web-', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['a*bc*c', 'abc', false],
    ['a**b', 'ab', true],
    ['a*b*', 'ab', true],
    ['p.1', 'px1', false],
    ['p?', 'p1', false],
    ['[a]', 'a', false],
  ])('%j and %j: %s', (pattern, endpoint, matches) => {
    expect(matchesPattern(pattern, endpoint)).toBe(matches)
  })

  it('agrees with a regular expression, whatever the two are', () => {
    const letters = string({ unit: constantFrom('a', 'b', '*'), maxLength: 8 })
    const names = string({ unit: constantFrom('a', 'b'), maxLength: 10 })
    assert(
      property(letters, names, (pattern, name) => {
        const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name)
        expect(matchesPattern(pattern, name)).toBe(expected)
      }),
    )
  })

  it('looks at each part once, where a regular expression would go back and forth', () => {
    // With backtracking this one needs more steps than the universe has had seconds.
    const pattern = `${'a*'.repeat(126)}b`
    expect(matchesPattern(pattern, 'a'.repeat(253))).toBe(false)
    expect(matchesPattern(pattern, `${'a'.repeat(252)}b`)).toBe(true)
  })
})

describe('patternProblem', () => {
  it.each([
    ['pc*', undefined],
    ['*', undefined],
    ['é'.repeat(126), undefined],
    ['', 'is empty'],
    ['a/b', 'contains a slash'],
    ['a b', 'contains a space or control character'],
    ['a\u0000', 'contains a space or control character'],
    ['a'.repeat(MAX_PATTERN_BYTES), undefined],
    ['a'.repeat(MAX_PATTERN_BYTES + 1), 'is longer than 253 bytes'],
    ['é'.repeat(127), 'is longer than 253 bytes'],
  ])('of %.20j is %j', (pattern, problem) => {
    expect(patternProblem(pattern)).toBe(problem)
  })
})
