import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { TunnelError } from '../../src/errors.ts'
import {
  Demand,
  DEMAND_WAIT_MS,
  type Departure,
  keepConnected,
  LIVED_MS,
  MAX_DEPARTURE_MS,
} from '../../src/client/keep-connected.ts'
import type { NetworkChange } from '../../src/client/network-watch.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A way to connect whose attempts end as the list says: a life in ms, or an error. */
function attempts(plan: readonly (number | Error)[], demand?: Demand, random = 0) {
  const stop = new AbortController()
  const retries: unknown[] = []
  const delays: number[] = []
  let made = 0
  const done = keepConnected({
    connect: async () => {
      const step = plan[made++]
      if (step instanceof Error) throw step
      if (step === undefined) return { left: new Promise<Departure>(() => {}) }
      return { left: new Promise((resolve) => setTimeout(() => resolve({}), step)) }
    },
    onConnected: () => {},
    onRetry: (error, delayMs) => {
      retries.push(error)
      delays.push(Math.round(delayMs))
    },
    backoff: { random: () => random },
    ...(demand !== undefined && { demand }),
    signal: stop.signal,
  })
  const ended = done.then(
    () => 'stopped',
    (error: unknown) => error,
  )
  return { stop, retries, delays, ended, made: () => made }
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

test('a peer that drains and asks for a wait beyond the longest timer is waited for 5 min', async () => {
  const stop = new AbortController()
  let made = 0
  const ended = keepConnected({
    connect: () => {
      made += 1
      return Promise.resolve({ left: Promise.resolve({ retryAfterMs: 2 ** 40 }) })
    },
    onConnected: () => {},
    onRetry: () => {},
    backoff: { random: () => 0 },
    signal: stop.signal,
  })
  await vi.advanceTimersByTimeAsync(MAX_DEPARTURE_MS)
  expect(made).toBe(1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(made).toBe(2)
  stop.abort()
  await ended
})

describe('the waits between attempts', () => {
  const away = new Error('no server')
  const ALMOST_1 = 1 - Number.EPSILON
  const repeated = (count: number): Error[] => Array.from({ length: count }, () => away)

  test('are two seconds at most for half a minute after a session that lived', async () => {
    const { stop, ended, delays } = attempts([LIVED_MS, ...repeated(40)], undefined, ALMOST_1)
    await vi.advanceTimersByTimeAsync(LIVED_MS + 29_000)
    expect(delays.slice(0, 4)).toEqual([500, 1000, 2000, 2000])
    expect(Math.max(...delays)).toBe(2000)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(Math.max(...delays)).toBe(15_000)
    stop.abort()
    expect(await ended).toBe('stopped')
  })

  test('are two seconds at most after a session of 3 s of a peer that lived before', async () => {
    const plan = [LIVED_MS, ...repeated(25), 3000, ...repeated(4)]
    const { stop, ended, delays } = attempts(plan, undefined, ALMOST_1)
    await vi.advanceTimersByTimeAsync(300_000)
    expect(delays.slice(22, 26)).toEqual([15_000, 15_000, 15_000, 15_000])
    expect(delays.slice(26)).toEqual([2000, 2000, 2000, 2000, 2000])
    stop.abort()
    void ended
  })

  test('grow at once after a session that did not live', async () => {
    const { stop, ended, delays } = attempts(
      [...repeated(5), 10, ...repeated(40)],
      undefined,
      ALMOST_1,
    )
    await vi.advanceTimersByTimeAsync(60_000)
    expect(delays.slice(0, 7)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000])
    stop.abort()
    await ended
  })

  test('are cut short for what waits for the connection, and not below their minimum', async () => {
    const demand = new Demand()
    const plan = repeated(40)
    const { stop, ended, made } = attempts(plan, demand, ALMOST_1)
    await vi.advanceTimersByTimeAsync(16_000) // in the wait of 15 s behind the fifth attempt
    const before = made()
    demand.begin()
    await vi.advanceTimersByTimeAsync(1)
    expect(made()).toBe(before + 1)
    await vi.advanceTimersByTimeAsync(DEMAND_WAIT_MS * 4)
    expect(made()).toBe(before + 5)
    demand.end()
    await vi.advanceTimersByTimeAsync(DEMAND_WAIT_MS * 4)
    expect(made()).toBe(before + 6)
    stop.abort()
    await ended
  })

  test('are not cut short after Retry-After, nor after a refusal of the credentials', async () => {
    const demand = new Demand()
    demand.begin()
    const busy = new TunnelError('TUNNEL_UPGRADE_REFUSED', '503', { retryAfterMs: 5000 })
    const refusal = new TunnelError('TUNNEL_UNAUTHORIZED', '401: invalid token')
    const { stop, ended, made } = attempts([LIVED_MS, busy, refusal], demand)
    await vi.advanceTimersByTimeAsync(LIVED_MS + DEMAND_WAIT_MS)
    expect(made()).toBe(2)
    await vi.advanceTimersByTimeAsync(5000)
    expect(made()).toBe(3)
    stop.abort()
    await ended
  })
})

/** Changes of the network that a test makes, and connections that note what is asked of them. */
function movable(connect: (attempt: number, signal: AbortSignal) => Promise<void>) {
  const stop = new AbortController()
  const log: string[] = []
  let change: ((change: NetworkChange) => void) | undefined
  let made = 0
  const done = keepConnected({
    connect: async (signal) => {
      const number = made++
      await connect(number, signal)
      let leave: (departure: Departure) => void = () => {}
      const left = new Promise<Departure>((resolve) => (leave = resolve))
      return {
        left,
        localAddress: `192.0.2.${number}`,
        check: () => log.push(`check ${number}`),
        leave: (why: string) => {
          log.push(`leave ${number}: ${why}`)
          leave({ error: new TunnelError('TUNNEL_NETWORK_CHANGED', why) })
        },
      }
    },
    onConnected: () => log.push('connected'),
    onRetry: (_, delayMs) => log.push(`retry after ${Math.round(delayMs)}`),
    backoff: { random: () => 0.5 },
    network: {
      subscribe: (listener) => {
        change = listener
        return () => (change = undefined)
      },
    },
    signal: stop.signal,
  }).catch((error: unknown) => error)
  return {
    log,
    made: () => made,
    isWatching: () => change !== undefined,
    /** Lets the addresses change, and what follows from it happen. */
    change: async (gone: readonly string[], hasCome: boolean) => {
      change?.({ gone: new Set(gone), hasCome })
      await vi.advanceTimersByTimeAsync(0)
    },
    end: async () => {
      stop.abort()
      await vi.advanceTimersByTimeAsync(0)
      return await done
    },
  }
}

describe('when the addresses of this machine change', () => {
  test('a connection whose address is gone is replaced without a wait, others are checked', async () => {
    const { log, change } = movable(async () => {})
    await vi.advanceTimersByTimeAsync(0)
    await change(['192.0.2.7'], false)
    await change([], true)
    await change(['192.0.2.7', '192.0.2.0'], true)
    await change(['192.0.2.0'], false)
    expect(log).toEqual([
      'connected',
      'check 0',
      'check 0',
      'leave 0: the address 192.0.2.0 of the connection is gone',
      'retry after 0',
      'connected',
      'check 1',
    ])
  })

  test('a wait ends when there is a new one, and not when one is gone', async () => {
    const failure = new Error('no route')
    const { made, change, isWatching, end } = movable(async () => await Promise.reject(failure))
    await vi.advanceTimersByTimeAsync(60_000)
    const before = made()
    await change(['192.0.2.7'], false)
    expect(made()).toBe(before)
    await change([], true)
    expect(made()).toBe(before + 1)
    expect(isWatching()).toBe(true)
    await end()
    expect(isWatching()).toBe(false)
  })

  test('an attempt is begun again, once', async () => {
    const aborted: number[] = []
    const { log, made, change, end } = movable(
      async (attempt, signal) =>
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            aborted.push(attempt)
            reject(new Error('the dialer has an error of its own'))
          }),
        ),
    )
    await change(['192.0.2.7'], false)
    expect([made(), aborted]).toEqual([1, []])
    await change([], true)
    await change([], true)
    expect([made(), aborted]).toEqual([2, [0]])
    await end()
    expect([made(), aborted, log]).toEqual([2, [0, 1], []])
  })
})
