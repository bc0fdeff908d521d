import { describe, expect, test } from 'vitest'

import { BulkWatch } from '../../src/session/bulk-watch.ts'

const at = (ms: number) => ({ now: () => ms })

describe('BulkWatch', () => {
  test('knows none at first, nor from the first credit of a stream', () => {
    const bulk = new BulkWatch()
    expect(bulk.carriesBulk(at(0))).toBe(false)
    bulk.credited(131_072, Infinity, 10)
    expect(bulk.carriesBulk(at(10))).toBe(false)
  })

  test('sees 4 MB/s and no less, until 200 ms later', () => {
    const bulk = new BulkWatch()
    bulk.credited(131_072, 33, 100)
    expect(bulk.carriesBulk(at(100))).toBe(false)
    bulk.credited(131_072, 32, 100)
    expect(bulk.carriesBulk(at(299))).toBe(true)
    expect(bulk.carriesBulk(at(300))).toBe(false)
  })

  test('waits for twice the time between two credits of a long path, and for the last stream of several', () => {
    const bulk = new BulkWatch()
    bulk.credited(4_194_304, 500, 1000)
    bulk.credited(131_072, 1, 1001)
    expect(bulk.carriesBulk(at(1999))).toBe(true)
    expect(bulk.carriesBulk(at(2000))).toBe(false)
  })

  test('waits for two seconds at most, also after the credit of a window that took many', () => {
    const bulk = new BulkWatch()
    bulk.credited(67_108_864, 16_000, 16_000)
    expect(bulk.carriesBulk(at(17_999))).toBe(true)
    expect(bulk.carriesBulk(at(18_000))).toBe(false)
  })
})
