import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { PortHistory } from '../../src/public-ports/public-ports.ts'
import { resolvePublicPortOptions } from '../../src/public-ports/public-port-options.ts'
import { PortRanges } from '../../src/public-ports/port-ranges.ts'

const ranges = fc.array(
  fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 9 }))
    .map(([first, more]) => ({ first, last: first + more })),
  { maxLength: 5 },
)

describe('ranges', () => {
  test('hold every port once, however they overlap, from wherever one begins', () => {
    fc.assert(
      fc.property(ranges, fc.nat(200), (list, start) => {
        const one = new PortRanges(list)
        const ports = Array.from({ length: 80 }, (_, port) => port).filter((port) =>
          list.some(({ first, last }) => first <= port && port <= last),
        )
        expect(one.size).toBe(ports.length)
        const begin = ports.length === 0 ? 0 : start % ports.length
        const rotated = [...ports.slice(begin), ...ports.slice(0, begin)]
        expect([...one.from(start)]).toEqual(rotated)
        for (let port = 0; port < 80; port += 1) expect(one.has(port)).toBe(ports.includes(port))
      }),
    )
  })

  test('begin behind a port with the next higher one, and leave it out', () => {
    fc.assert(
      fc.property(ranges, fc.integer({ min: 1, max: 75 }), (list, port) => {
        const one = new PortRanges(list)
        const all = [...one.from(0)].filter((other) => other !== port)
        const higher = all.filter((other) => other > port)
        expect([...one.after(port)]).toEqual([...higher, ...all.filter((other) => other < port)])
      }),
    )
  })
})

test('of the ports that owners had, those of long ago are forgotten first', () => {
  const history = new PortHistory(2)
  history.keep('a', 1)
  history.keep('b', 2)
  history.keep('a', 3)
  history.keep('c', 4)
  expect(['a', 'b', 'c'].map((owner) => history.find(owner))).toEqual([3, undefined, 4])
})

test.each([
  ['holdMs', -1],
  ['holdMs', 2 ** 31],
  ['holdMs', Infinity],
  ['maxPerIdentity', 0],
  ['maxConnections', 0],
  ['idleTimeoutMs', 0],
  ['idleTimeoutMs', NaN],
])('%s of %d is refused by name', (name, value) => {
  expect(() => resolvePublicPortOptions({ [name]: value })).toThrow(
    expect.objectContaining({ name: 'RangeError', message: expect.stringContaining(name) }),
  )
})

test.each([
  ['holdMs', 0],
  ['holdMs', 2 ** 31 - 1],
  ['maxPerIdentity', 1],
  ['maxConnections', Infinity],
  ['idleTimeoutMs', 1],
])('%s may be %d', (name, value) => {
  expect(resolvePublicPortOptions({ [name]: value })).toHaveProperty(name, value)
})
