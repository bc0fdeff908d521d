import { expect, test } from 'vitest'

import { Batch } from '../../src/frame/batch.ts'

/** Makes a batch of one small payload. */
function made(batch: Batch, text: string): { buffer: Buffer; place: string } {
  batch.copy(Buffer.from(text), text.length)
  const [buffer] = batch.take()
  if (buffer === undefined) throw new Error('nothing was made')
  return { buffer, place: `${idOf(buffer.buffer)}:${buffer.byteOffset}` }
}

const seen: ArrayBufferLike[] = []

function idOf(memory: ArrayBufferLike): number {
  if (!seen.includes(memory)) seen.push(memory)
  return seen.indexOf(memory)
}

test('the next batch uses memory that is free, and no other', () => {
  const batch = new Batch()
  const first = made(batch, 'first')
  batch.done(false)
  const second = made(batch, 'second')
  expect(second.place).not.toBe(first.place)
  batch.done(true)
  const third = made(batch, 'third')
  batch.done(true)
  expect(third.place).toBe(second.place)
  expect(first.buffer.toString()).toBe('first')
})

test('batches that are open at the same time do not share memory', () => {
  const batches = Array.from({ length: 40 }, () => new Batch())
  for (let round = 0; round < 3; round++) {
    for (const [at, batch] of batches.entries()) {
      batch.header(0, 0, at, 3)
      batch.copy(Buffer.from(`<${String.fromCharCode(65 + at)}>`), 3)
    }
  }
  // In another order than they began, and each free at once.
  for (const [at, batch] of [...batches.entries()].toReversed()) {
    const sent = Buffer.concat([...batch.take()])
    batch.done(true)
    const ids = [4, 19, 34].map((offset) => sent.readUInt32BE(offset))
    const texts = [12, 27, 42].map((offset) => sent.toString('latin1', offset, offset + 3))
    expect([sent.length, ids, new Set(texts)]).toEqual([
      45,
      [at, at, at],
      new Set([`<${String.fromCharCode(65 + at)}>`]),
    ])
  }
})

test('at most 16 batches stay open, each with at most 64 KiB', () => {
  const [first, ...others] = Array.from({ length: 17 }, () => new Batch())
  const last = others.pop()
  if (first === undefined || last === undefined) throw new Error('there are 17')
  for (const batch of [first, ...others]) {
    expect(batch.canStayOpen(4096)).toBe(true)
    batch.copy(Buffer.alloc(100), 100)
  }
  expect(last.canStayOpen(1)).toBe(false)
  expect(first.canStayOpen(65_536 - 12 - 100)).toBe(true)
  expect(first.canStayOpen(65_536 - 12 - 99)).toBe(false)
  for (const batch of [first, ...others]) {
    batch.take()
    batch.done(true)
  }
  expect(last.canStayOpen(1)).toBe(true)
})

test('at most 8 unused slabs are kept', () => {
  const places = (): string[] => {
    const batches = Array.from({ length: 12 }, () => new Batch())
    const all = batches.map((batch) => made(batch, 'text').place)
    for (const batch of batches) batch.done(true)
    return all
  }
  const before = new Set(places())
  expect(places().filter((place) => before.has(place))).toHaveLength(8)
})

test('a batch of large payloads only frees no slab', () => {
  const [one, other] = [new Batch(), new Batch()]
  const kept = made(other, 'kept')
  const large = Buffer.alloc(5000)
  expect(one.payload(large)).toBe(5000)
  expect([one.bytes, one.take(), one.bytes]).toEqual([5000, [large], 0])
  one.done(true)
  made(one, 'next')
  expect(kept.buffer.toString()).toBe('kept')
  for (const batch of [one, other]) batch.done(true)
})

test('a batch that continues in another slab frees that slab', () => {
  const batch = new Batch()
  const small = Buffer.alloc(2000, 's')
  for (let i = 0; i < 200; i++) batch.payload(small)
  const buffers = batch.take()
  expect(Buffer.concat([...buffers]).equals(Buffer.alloc(400_000, 's'))).toBe(true)
  expect(new Set(buffers.map(({ buffer }) => buffer)).size).toBeGreaterThan(2)
  const last = buffers.at(-1)?.buffer
  batch.done(true)
  const next = made(batch, 'next').buffer
  expect([next.buffer === last, next.byteOffset]).toEqual([true, 0])
  batch.done(true)
})

test('small payloads between large ones keep their order', () => {
  const batch = new Batch()
  const large = Buffer.alloc(4096, 'L')
  batch.payload(Buffer.from('a'))
  batch.payload(Buffer.from('b'))
  batch.payload(large)
  batch.payload(Buffer.from('c'))
  const buffers = batch.take()
  expect(buffers.map(({ length }) => length)).toEqual([2, 4096, 1])
  expect(buffers[1]).toBe(large)
  expect(Buffer.concat([...buffers]).toString()).toBe(`ab${large.toString()}c`)
})
