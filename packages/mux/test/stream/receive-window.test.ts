import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WindowBudget } from '../../src/index.ts'
import { ReceiveWindow } from '../../src/stream/receive-window.ts'

const BASE = 262_144
const MIB = 1_048_576

describe('credit', () => {
  test('accepts what was granted and not one byte more', () => {
    const window = new ReceiveWindow()
    expect(window.receive(BASE - 1)).toBe(true)
    expect(window.receive(2)).toBe(false)
    expect(window.receive(1)).toBe(true)
    expect(window.receive(1)).toBe(false)
    expect(window.heldBytes).toBe(BASE)
  })

  test('is due once half of the window was consumed', () => {
    const window = new ReceiveWindow()
    window.receive(BASE)
    window.consume(BASE / 2 - 1)
    expect(window.due).toBe(false)
    window.consume(1)
    expect(window.due).toBe(true)
    expect(window.grant()).toBe(BASE / 2)
    expect(window.due).toBe(false)
    expect(window.grant()).toBe(0)
  })

  test('of a large window is due once a quarter was consumed', () => {
    const window = new ReceiveWindow()
    window.growTo(4 * MIB, new WindowBudget(Infinity))
    window.grant()
    window.receive(2 * MIB)
    window.consume(MIB - 1)
    expect(window.due).toBe(false)
    window.consume(1)
    expect(window.due).toBe(true)
  })

  test('rejects to consume more than is held, or a negative number', () => {
    const window = new ReceiveWindow()
    window.receive(10)
    expect(() => window.consume(11)).toThrow('consume(11) with 10 bytes held')
    expect(() => window.consume(-1)).toThrow(RangeError)
    expect(() => window.consume(Number.NaN)).toThrow(RangeError)
    window.consume(10)
    expect(window.heldBytes).toBe(0)
  })

  test('credit and held bytes never exceed the limit', () => {
    const step = fc.tuple(fc.constantFrom('receive', 'consume', 'grow', 'tune'), fc.nat(BASE))
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const budget = new WindowBudget(MIB)
        const window = new ReceiveWindow()
        let [credit, nowMs] = [BASE, 0]
        for (const [what, amount] of steps) {
          if (what === 'receive' && window.receive(amount)) credit -= amount
          if (what === 'consume') window.consume(Math.min(amount, window.heldBytes))
          if (what === 'grow') window.growTo(BASE + amount, budget)
          if (what === 'tune') window.tune((nowMs += 5), 1, 4 * MIB, budget, amount % 2 === 0)
          if (window.due) credit += window.grant()
          expect(credit + window.heldBytes).toBeLessThanOrEqual(window.limitBytes)
          expect(window.limitBytes - BASE).toBe(window.takenBytes)
          expect(budget.usedBytes).toBe(window.takenBytes)
        }
        window.release(budget)
        expect(budget.usedBytes).toBe(0)
      }),
    )
  })
})

/** Simulates a peer that always uses its whole window, over a path with this round trip. */
function fill(
  rttMs: number,
  ms: number,
  budget: WindowBudget,
  bytesPerMs = Infinity,
  { isLongPath = false, saysRttMs = rttMs } = {},
): number {
  const window = new ReceiveWindow()
  let credit = BASE
  const returning: [atMs: number, bytes: number][] = []
  for (let nowMs = 0; nowMs < ms; nowMs += rttMs / 10) {
    while (returning[0] !== undefined && returning[0][0] <= nowMs) {
      credit += returning.shift()?.[1] ?? 0
    }
    const bytes = Math.min(credit, Math.floor((bytesPerMs * rttMs) / 10))
    credit -= bytes
    window.receive(bytes)
    window.consume(bytes)
    if (!window.due) continue
    window.tune(nowMs, saysRttMs, 64 * MIB, budget, isLongPath)
    returning.push([nowMs + rttMs, window.grant()])
  }
  return window.limitBytes
}

describe('growth', () => {
  test('fills a path of 50 ms to its ceiling within a second', () => {
    expect(fill(50, 1000, new WindowBudget(Infinity))).toBe(64 * MIB)
  })

  test('stops at about twice what the path carries', () => {
    // 20 MB/s at 50 ms: one million bytes are under way
    const limit = fill(50, 10_000, new WindowBudget(Infinity), 20_000)
    expect(limit).toBeGreaterThan(1_500_000)
    expect(limit).toBeLessThan(3_000_000)
  })

  test('takes two round trips to 16 times the window on a long path, and stops at four times what that carries', () => {
    const far = { isLongPath: true }
    expect(fill(50, 160, new WindowBudget(Infinity), Infinity, far)).toBeGreaterThan(16 * BASE)
    expect(fill(50, 160, new WindowBudget(Infinity))).toBeLessThan(10 * BASE)
    const limit = fill(50, 10_000, new WindowBudget(Infinity), 20_000, far)
    expect(limit).toBeGreaterThan(3_500_000)
    expect(limit).toBeLessThan(5_000_000)
  })

  test('does not wait where the round trip that was measured last was a long one', () => {
    const late = { isLongPath: true, saysRttMs: 190 }
    expect(fill(50, 260, new WindowBudget(Infinity), Infinity, late)).toBeGreaterThan(32 * BASE)
  })

  test('is that of any path where the reader holds much', () => {
    const window = new ReceiveWindow()
    const budget = new WindowBudget(Infinity)
    window.receive(BASE)
    window.consume(1)
    window.tune(0, 50, MIB, budget, true)
    window.consume(BASE / 2)
    window.tune(50, 50, MIB, budget, true)
    expect(window.limitBytes).toBeLessThan(1.1 * BASE)
  })

  test('does not happen on a slow path', () => {
    expect(fill(50, 10_000, new WindowBudget(Infinity), 1000)).toBe(BASE)
  })

  test('does not happen before a round trip is known, or while nothing is consumed', () => {
    const window = new ReceiveWindow()
    window.receive(BASE)
    window.tune(10, undefined, MIB, new WindowBudget(Infinity))
    window.tune(20, 1, MIB, new WindowBudget(Infinity))
    window.tune(30, 1, MIB, new WindowBudget(Infinity))
    expect(window.limitBytes).toBe(BASE)
  })

  test('takes at most half of what the budget has', () => {
    const budget = new WindowBudget(100_000)
    expect(fill(50, 2000, budget)).toBe(BASE + 50_000)
    expect(budget.freeBytes).toBe(50_000)
  })
})

describe('WindowBudget', () => {
  test('rejects an invalid size', () => {
    expect(() => new WindowBudget(-1)).toThrow('maxBytes must be at least 0, got -1')
    expect(() => new WindowBudget(Number.NaN)).toThrow(RangeError)
    expect(new WindowBudget(0).take(1, 0)).toBe(0)
  })

  test('gives no more than the wider budget has', () => {
    const process = new WindowBudget(100)
    const sessions = [new WindowBudget(80, process), new WindowBudget(80, process)] as const
    expect(sessions[0].take(90, 0)).toBe(40)
    expect(sessions[1].take(90, 0)).toBe(30)
    expect([process.usedBytes, process.freeBytes, sessions[1].freeBytes]).toEqual([70, 30, 30])
    sessions[0].give(40, 0)
    expect(sessions[1].take(90, 30)).toBe(10)
    expect(process.usedBytes).toBe(40)
  })

  test('limits windows to an equal share only when one with less gets nothing', () => {
    const budget = new WindowBudget(120)
    expect(budget.take(120, 0)).toBe(60)
    expect(budget.shareBytes).toBe(Infinity)
    expect(budget.take(10, 60)).toBe(0) // wants even more than it has
    expect(budget.shareBytes).toBe(Infinity)
    expect(budget.take(30, 0)).toBe(30)
    expect(budget.shareBytes).toBe(Infinity)
    expect(budget.take(10, 30)).toBe(0)
    expect(budget.shareBytes).toBe(40)
    budget.give(20, 40)
    expect(budget.shareBytes).toBe(Infinity)
  })

  test('a window never has more than what is left for others, in any order', () => {
    const action = fc.record({
      window: fc.nat(5),
      what: fc.constantFrom('take', 'takeFirst', 'give'),
      bytes: fc.integer({ min: 1, max: 100_000 }),
    })
    fc.assert(
      fc.property(fc.array(action), (actions) => {
        const process = new WindowBudget(120_000)
        const sessions = [new WindowBudget(100_000, process), new WindowBudget(80_000, process)]
        const has = Array.from({ length: 6 }, () => 0)
        for (const { window, what, bytes } of actions) {
          const budget = sessions[window % 2] ?? process
          const had = has[window] ?? 0
          if (what === 'give') {
            const given = Math.min(bytes, had)
            has[window] = had - given
            budget.give(given, had - given)
            continue
          }
          const got = what === 'take' ? budget.take(bytes, had) : budget.takeFirst(bytes, had)
          has[window] = had + got
          const isFair =
            what === 'take'
              ? had + got <= budget.freeBytes
              : budget.usedBytes <= budget.maxBytes / 2 && process.usedBytes <= 60_000
          expect(got === 0 || isFair).toBe(true)
        }
        const [total, ...each] = [
          [0, 1, 2, 3, 4, 5],
          [0, 2, 4],
          [1, 3, 5],
        ].map((windows) => windows.reduce((sum, window) => sum + (has[window] ?? 0), 0))
        expect([process, ...sessions].map(({ usedBytes }) => usedBytes)).toEqual([total, ...each])
        expect(total).toBeLessThanOrEqual(120_000)
        expect(each[0]).toBeLessThanOrEqual(100_000)
        expect(each[1]).toBeLessThanOrEqual(80_000)
      }),
    )
  })

  test('a thousand windows that are full and not read leave half of it to others', () => {
    const process = new WindowBudget(256 * MIB)
    const session = new WindowBudget(128 * MIB, process)
    let heldBytes = 0
    for (let i = 0; i < 1000; i++) {
      const window = new ReceiveWindow()
      window.beginAt(4 * MIB, session)
      const credit = BASE + window.grant()
      expect(window.receive(Math.min(credit, 10 * MIB))).toBe(true)
      heldBytes += window.heldBytes
    }
    expect(heldBytes).toBeGreaterThan(1000 * BASE + 60 * MIB)
    expect(heldBytes).toBeLessThanOrEqual(1000 * BASE + 64 * MIB)
    // One that is read, over 50 ms: 400 MB/s at least, after them on the same session.
    expect(fill(50, 2000, session)).toBeGreaterThan(20 * 1_000_000)
    // And streams of other sessions still begin with much more than yamux gives them.
    const other = new ReceiveWindow()
    other.beginAt(4 * MIB, new WindowBudget(128 * MIB, process))
    expect(other.limitBytes).toBeGreaterThan(2 * MIB)
  })
})
