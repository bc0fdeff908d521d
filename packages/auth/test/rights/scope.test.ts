import { describe, expect, it } from 'vitest'
import { describeScope, type Right, scopePermits } from '../../src/rights/scope.ts'

describe('scopePermits', () => {
  const may = (...rights: Right[]) => ({ may: new Set(rights) })

  it('gives nothing that is not named', () => {
    expect(scopePermits(may(), 'listen', 'pc1')).toBe(false)
    expect(scopePermits(may('listen'), 'connect', 'pc1')).toBe(false)
    expect(scopePermits(may('listen', 'connect'), 'admin')).toBe(false)
  })

  it('gives a right for every endpoint unless endpoints are named', () => {
    expect(scopePermits(may('listen'), 'listen', 'pc1')).toBe(true)
    expect(scopePermits({ ...may('listen'), patterns: [] }, 'listen', 'pc1')).toBe(false)
    expect(scopePermits({ ...may('listen'), names: new Set() }, 'listen', 'pc1')).toBe(false)
  })

  it('takes a star for a pattern in patterns and for a character in names', () => {
    const patterns = { ...may('connect'), patterns: ['web', 'pc*'] }
    expect(scopePermits(patterns, 'connect', 'pc1')).toBe(true)
    expect(scopePermits(patterns, 'connect', 'web')).toBe(true)
    expect(scopePermits(patterns, 'connect', 'web2')).toBe(false)
    const names = { ...may('connect'), names: new Set(['pc*']) }
    expect(scopePermits(names, 'connect', 'pc1')).toBe(false)
    expect(scopePermits(names, 'connect', 'pc*')).toBe(true)
  })

  it('wants an endpoint to be in both lists where there are two', () => {
    const both = { ...may('listen'), patterns: ['pc*'], names: new Set(['pc1', 'web']) }
    expect(scopePermits(both, 'listen', 'pc1')).toBe(true)
    expect(scopePermits(both, 'listen', 'pc2')).toBe(false)
    expect(scopePermits(both, 'listen', 'web')).toBe(false)
  })
})

describe('describeScope', () => {
  const scope = (rights: Right[], patterns?: string[], names?: Set<string>) => ({
    may: new Set(rights),
    ...(patterns && { patterns }),
    ...(names && { names }),
  })

  it.each([
    [scope(['listen'], ['pc*', 'web']), 'the token is for pc*, web'],
    [scope(['listen'], []), 'the token is for no endpoint'],
    [scope(['listen'], ['a*'], new Set(['ab'])), 'the token is for a* within ab'],
    [
      scope(['listen'], ['a', 'b', 'c', 'd', 'e', 'f']),
      'the token is for a, b, c, d, e and others',
    ],
    [scope(['connect', 'admin']), 'the token may connect and admin, not listen'],
    [scope([]), 'the token has no rights'],
  ])('%o', (given, text) => expect(describeScope(given, 'listen')).toBe(text))
})
