import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { TunnelError } from '../../src/errors.ts'
import { type Departure, keepConnected, LIVED_MS } from '../../src/client/keep-connected.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A way to connect whose attempts end as the list says: a life in ms, or an error. */
function attempts(plan: readonly (number | Error)[]) {
  const stop = new AbortController()
  const retries: unknown[] = []
  let made = 0
  const done = keepConnected({
    connect: async () => {
      const step = plan[made++]
      if (step instanceof Error) throw step
      if (step === undefined) return { left: new Promise<Departure>(() => {}) }
      return { left: new Promise((resolve) => setTimeout(() => resolve({}), step)) }
    },
    onConnected: () => {},
    onRetry: (error) => retries.push(error),
    backoff: { random: () => 0 },
    signal: stop.signal,
  })
  const ended = done.then(
    () => 'stopped',
    (error: unknown) => error,
  )
  return { stop, retries, ended, made: () => made }
}

describe('a refusal that is final', () => {
  const refusal = new TunnelError('TUNNEL_UNAUTHORIZED', '401: invalid token', { status: 401 })

  test('ends it when no connection has lived', async () => {
    const { ended, made } = attempts([LIVED_MS - 1, refusal])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await ended).toBe(refusal)
    expect(made()).toBe(2)
  })

  test('is retried once a connection has lived, as often as it comes', async () => {
    const { stop, ended, made, retries } = attempts([LIVED_MS, refusal, refusal, 10, refusal])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(retries).toEqual([undefined, refusal, refusal, undefined, refusal])
    expect(made()).toBe(6)
    stop.abort()
    void ended
  })
})
