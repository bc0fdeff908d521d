import { expect, test } from 'vitest'
import { formatResults, results } from '../src/results.mjs'

const rounds = [
  { direct: { busyRate: 100, singleP50: 1 }, adit: { busyRate: 50, singleP50: 1.5 } },
  { direct: { busyRate: 200, singleP50: 2 }, adit: { busyRate: 40, singleP50: 2.1 } },
  { direct: { busyRate: 300, singleP50: 3 }, adit: { busyRate: 210, singleP50: 3.3 } },
]

test('values are medians, a ratio is the median of the ratios of the rounds', () => {
  const { rows, addedP50Ms } = results(rounds, ['direct', 'adit'])
  expect(rows[0]).toMatchObject({
    key: 'busyRate',
    medians: { direct: 200, adit: 50 },
    ratios: { direct: 0.5 },
  })
  expect(addedP50Ms).toBeCloseTo(0.3)
})

test('an even number of rounds takes the middle of two', () => {
  const { rows } = results(rounds.slice(0, 2), ['direct', 'adit'])
  expect(rows[0]?.medians).toEqual({ direct: 150, adit: 45 })
})

test('what no leg has is left out, what one leg lacks is a dash', () => {
  const result = results(
    [{ direct: { rawUp: 7, busyRate: 1 }, adit: { busyRate: 2 } }],
    ['direct', 'adit'],
  )
  expect(result.rows.map(({ key }) => key)).toEqual(['busyRate', 'rawUp'])
  const lines = formatResults(result).split('\n')
  expect(lines[0]).toMatch(/direct +adit +adit\/direct$/)
  expect(lines[1]).toMatch(/req\/s +1\.00 +2\.00 +2\.00$/)
  expect(lines[2]).toMatch(/7\.00 +- +-$/)
})
