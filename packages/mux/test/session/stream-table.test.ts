import { expect, test } from 'vitest'
import { resolveOptions } from '../../src/index.ts'
import { StreamTable } from '../../src/session/stream-table.ts'

test.each([
  ['client', 4_294_967_293],
  ['server', 4_294_967_292],
] as const)('a %s uses ids up to %i, then MUX_STREAM_IDS_EXHAUSTED', (role, last) => {
  const table = new StreamTable(
    resolveOptions({ role }),
    () => {},
    () => undefined,
    2 ** 31 - 4,
  )
  const ids: number[] = []
  while (table.refusal() === undefined) ids.push(table.takeId())
  expect(ids.at(-1)).toBe(last)
  expect(table.refusal()).toMatchObject({ code: 'MUX_STREAM_IDS_EXHAUSTED', retryable: true })
})

test('rejects frames for ids that were not opened yet, on both sides', () => {
  const table = new StreamTable(
    resolveOptions({ role: 'client' }),
    () => {},
    () => undefined,
  )
  table.takeId()
  table.usePeerId(4)
  for (const id of [1, 2, 4]) expect(() => table.checkUsed(id)).not.toThrow()
  for (const id of [3, 6, 4_294_967_295]) {
    expect(() => table.checkUsed(id)).toThrow(`frame for stream ${id}, which was never opened`)
  }
})
