import { expect, test } from 'vitest'

import { ExchangeStore } from '../../src/inspect/exchange-store.ts'

const KIB = 1024

function store(keep: number, maxKib = 1000): ExchangeStore {
  return new ExchangeStore({ keep, bodyBytes: 64 * KIB, maxBytes: maxKib * KIB })
}

const ids = (kept: ExchangeStore): number[] => kept.all().map(({ id }) => id)

test('the oldest exchanges make room, pinned ones stay, at most half of them', () => {
  const kept = store(4)
  for (let at = 0; at < 4; at++) kept.begin('http', 'web')
  const pin = (id: number): boolean => {
    const exchange = kept.find(id)
    return exchange !== undefined && kept.pin(exchange, true)
  }
  expect([pin(1), pin(3), pin(4)]).toEqual([true, true, false])
  for (let at = 0; at < 3; at++) kept.begin('http', 'web')
  expect(ids(kept)).toEqual([1, 3, 6, 7])
  kept.clear()
  expect(ids(kept)).toEqual([1, 3])
})

test('bytes are bounded: others make room, then nothing more is kept', () => {
  const kept = store(100, 100)
  const first = kept.begin('http', 'web')
  const charge = (bytes: number): boolean => kept.charge(first, bytes)
  first.requestBody.add(Buffer.alloc(60 * KIB, 1), charge)
  const second = kept.begin('http', 'web')
  second.responseBody.add(Buffer.alloc(64 * KIB, 2), (bytes) => kept.charge(second, bytes))
  expect(ids(kept)).toEqual([2])
  expect(first.requestBody.content).toHaveLength(0) // overwritten and freed
  expect(kept.bytes).toBe(65 * KIB)
  second.requestBody.add(Buffer.alloc(60 * KIB), (bytes) => kept.charge(second, bytes))
  expect(second.requestBody).toMatchObject({ bytes: 60 * KIB, kept: 0, isCut: true })
  expect(kept.bytes).toBe(65 * KIB)
})

test('a page that was away gets what changed and what is gone', () => {
  const kept = store(2)
  kept.begin('http', 'web')
  const second = kept.begin('http', 'web')
  const { seq } = kept
  kept.begin('http', 'web')
  kept.touch(second)
  const since = kept.since(seq)
  expect(since?.changed.map(({ id }) => id).toSorted()).toEqual([2, 3])
  expect(since?.removed).toEqual([1])
  expect(kept.since(kept.seq)).toEqual({ changed: [], removed: [] })
  expect(kept.since(kept.seq + 1)).toBeUndefined()
})

test('after very many removals a page that was away long gets everything', () => {
  const kept = store(2)
  const { seq } = kept
  for (let at = 0; at < 20_010; at++) kept.begin('http', 'web')
  expect(kept.since(seq)).toBeUndefined()
  expect(kept.since(kept.seq - 2)?.changed.length).toBeGreaterThan(0)
})

test('a change is told to watchers until they leave', () => {
  const kept = store(2)
  let told = 0
  const leave = kept.watch(() => (told += 1))
  kept.begin('http', 'web')
  expect(told).toBeGreaterThan(0)
  leave()
  const before = told
  kept.begin('http', 'web')
  expect(told).toBe(before)
})
