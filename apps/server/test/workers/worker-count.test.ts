import { expect, test } from 'vitest'

import { settings } from '../../src/settings.ts'
import { workerCount, workersFit } from '../../src/workers/worker-count.ts'

const { type } = settings.tree.workers
const parse = (text: string): unknown => {
  if (type.kind !== 'scalar') throw new TypeError('one value')
  return type.parse(text, { baseDir: '/' })
}

test('is a number, or follows the cores', () => {
  expect([parse('1'), parse('64'), parse('auto')]).toEqual([1, 64, 'auto'])
  for (const text of ['0', '65', '1.5', '-1', 'all', '']) {
    expect(() => parse(text)).toThrow('is not auto, or a whole number from 1 to 64')
  }
  expect(workerCount(3, 8)).toBe(3)
  expect([workerCount('auto', 1), workerCount('auto', 8), workerCount('auto', 256)]).toEqual([
    1, 8, 64,
  ])
})

test('several are refused together with what one process has to have', () => {
  const problems = (workers: number): unknown => {
    const found = workersFit({
      workers,
      cluster: { databaseUrl: 'postgres://' },
      publicPorts: { range: [1] },
    })
    return [...found].map(({ key, code, message }) => `${key} ${code} ${message}`)
  }
  expect(problems(1)).toEqual([])
  expect(problems(2)).toEqual([
    'workers WORKERS_NOT_POSSIBLE a server with several workers cannot have cluster.database_url',
    'workers WORKERS_NOT_POSSIBLE a server with several workers cannot have public_ports.range',
  ])
})
