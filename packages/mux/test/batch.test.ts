import { expect, test } from 'vitest'

import { Batch } from '../src/batch.ts'

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

test('memory that is given back serves the next batch, other memory does not', () => {
  const batch = new Batch()
  const first = made(batch, 'first')
  const second = made(batch, 'second')
  expect(second.place).not.toBe(first.place)
  batch.reuse()
  const third = made(batch, 'third')
  expect(third.place).toBe(second.place)
  expect(first.buffer.toString()).toBe('first')
})

test('what another wrote behind it keeps the memory of a batch from being used again', () => {
  const [one, other] = [new Batch(), new Batch()]
  const first = made(one, 'first')
  const behind = made(other, 'behind')
  one.reuse()
  made(one, 'third')
  expect([first, behind].map(({ buffer }) => buffer.toString())).toEqual(['first', 'behind'])
  // Once the other has given back its own, the first is the last again: but that is over.
  other.reuse()
  made(one, 'fourth')
  expect(first.buffer.toString()).toBe('first')
})

test('a batch without small parts gives nothing back', () => {
  const [one, other] = [new Batch(), new Batch()]
  const kept = made(other, 'kept')
  const large = Buffer.alloc(5000)
  expect(one.payload(large)).toBe(5000)
  expect(one.take()).toEqual([large])
  one.reuse()
  made(one, 'next')
  expect(kept.buffer.toString()).toBe('kept')
})

test('a batch that goes on in another slab gives back that slab', () => {
  const batch = new Batch()
  const small = Buffer.alloc(2000, 's')
  for (let i = 0; i < 200; i++) batch.payload(small)
  const buffers = batch.take()
  expect(Buffer.concat([...buffers]).equals(Buffer.alloc(400_000, 's'))).toBe(true)
  expect(new Set(buffers.map(({ buffer }) => buffer)).size).toBeGreaterThan(2)
  batch.reuse()
  expect(made(batch, 'next').buffer.byteOffset).toBe(0)
})

test('small parts between large ones keep their order', () => {
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
