import { describe, expect, it, vi } from 'vitest'

import { interleave, type ResolvedAddress } from '../../src/connect/lookup.ts'
import { race } from '../../src/connect/race.ts'

/** Attempts that end after a time of a fake clock, with a log of their events. */
function attempts(outcomes: Readonly<Record<string, readonly [ms: number, ok: boolean]>>) {
  const log: string[] = []
  const attempt = (name: string, signal: AbortSignal): Promise<string> => {
    log.push(`${name} starts`)
    const [ms, ok] = outcomes[name] ?? [Infinity, false]
    return new Promise((resolve, reject) => {
      const timer =
        ms === Infinity
          ? undefined
          : setTimeout(() => (ok ? resolve(name) : reject(new Error(name))), ms)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        log.push(`${name} is cancelled`)
        reject(signal.reason)
      })
    })
  }
  return { log, attempt }
}

async function run(
  outcomes: Parameters<typeof attempts>[0],
  options: { readonly maxConcurrent?: number; readonly abortAfterMs?: number } = {},
) {
  vi.useFakeTimers()
  try {
    const controller = new AbortController()
    const { log, attempt } = attempts(outcomes)
    const { maxConcurrent = 4, abortAfterMs } = options
    if (abortAfterMs !== undefined) setTimeout(() => controller.abort('enough'), abortAfterMs)
    const raced = race(
      Object.keys(outcomes),
      { delayMs: 250, maxConcurrent, signal: controller.signal },
      attempt,
      () => log.push('late'),
    ).catch((reason: unknown) => `aborted: ${String(reason)}`)
    const startedAt = Date.now()
    let endedAt = 0
    void raced.then(() => (endedAt = Date.now()))
    await vi.runAllTimersAsync()
    return { winner: await raced, ms: endedAt - startedAt, log, timers: vi.getTimerCount() }
  } finally {
    vi.useRealTimers()
  }
}

describe('race', () => {
  it('lets a slow first attempt finish while the second is running', async () => {
    // A path with a round trip of 320 ms, which fails with Node's own race.
    const result = await run({ v6: [320, true], v4: [Infinity, false] })
    expect(result).toEqual({
      winner: 'v6',
      ms: 320,
      log: ['v6 starts', 'v4 starts', 'v4 is cancelled'],
      timers: 0,
    })
  })

  it('uses the second when the first gets no answer', async () => {
    const { winner, ms } = await run({ v6: [Infinity, false], v4: [320, true] })
    expect([winner, ms]).toEqual(['v4', 570])
  })

  it('starts the next at once when one fails', async () => {
    const { winner, ms } = await run({ a: [10, false], b: [10, false], c: [10, true] })
    expect([winner, ms]).toEqual(['c', 30])
  })

  it('starts no second attempt when the first is quick', async () => {
    const { log } = await run({ a: [100, true], b: [100, true] })
    expect(log).toEqual(['a starts'])
  })

  it('returns undefined once the last attempt has failed', async () => {
    const { winner, ms } = await run({ a: [1000, false], b: [10, false] })
    expect([winner, ms]).toEqual([undefined, 1000])
    expect((await run({})).winner).toBeUndefined()
  })

  it('limits the attempts at once: a candidate that waits gets the place of the oldest', async () => {
    const { log, winner, ms, timers } = await run(
      { a: [Infinity, false], b: [Infinity, false], c: [Infinity, false], d: [10, true] },
      { maxConcurrent: 2 },
    )
    expect([winner, ms, timers]).toEqual(['d', 760, 0])
    expect(log).toEqual([
      'a starts',
      'b starts',
      'a is cancelled',
      'c starts',
      'b is cancelled',
      'd starts',
      'c is cancelled',
    ])
  })

  it('tries the last of many candidates when no earlier one answers', async () => {
    const silent = Array.from({ length: 40 }, (_, index) => [`silent ${index}`, [Infinity, false]])
    const outcomes = { ...Object.fromEntries(silent), good: [10, true] }
    for (const maxConcurrent of [1, 4, 16]) {
      const { winner, ms } = await run(outcomes, { maxConcurrent })
      expect([winner, ms]).toEqual(['good', 40 * 250 + 10])
    }
  })

  it('cancels every attempt and rejects with the reason of the signal', async () => {
    const { winner, log, timers } = await run(
      { a: [Infinity, false], b: [Infinity, false] },
      { abortAfterMs: 300 },
    )
    expect(winner).toBe('aborted: enough')
    expect(log.slice(2)).toEqual(['a is cancelled', 'b is cancelled'])
    expect(timers).toBe(0)
  })
})

describe('interleave', () => {
  const list = (...addresses: string[]): readonly ResolvedAddress[] =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  it.each([
    [
      ['::1', '::2', '1.1.1.1', '2.2.2.2'],
      ['::1', '1.1.1.1', '::2', '2.2.2.2'],
    ],
    [
      ['1.1.1.1', '::1', '::2', '::3'],
      ['1.1.1.1', '::1', '::2', '::3'],
    ],
    [
      ['1.1.1.1', '2.2.2.2'],
      ['1.1.1.1', '2.2.2.2'],
    ],
    [
      ['::1', '1.1.1.1', '::1', '1.1.1.1'],
      ['::1', '1.1.1.1'],
    ],
    [[], []],
  ])('%j becomes %j', (given, expected) => {
    expect(interleave(list(...given)).map(({ address }) => address)).toEqual(expected)
  })
})
