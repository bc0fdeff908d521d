import { DialError } from '@proj/dialer'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { ServerList, TURN_MS } from '../../src/client/server-list.ts'
import { FAST_TRIES, MAX_INTERVALS, ServerSpread } from '../../src/client/server-spread.ts'
import { TunnelError } from '../../src/errors.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const INTERVAL_MS = 5_000
const URLS = ['http://a.example', 'http://b.example', 'http://c.example']
const logger = new RecordingLogger()

function listOf(url: string | readonly string[]): ServerList {
  return new ServerList({ url, renewsCredentials: false, logger }, 0)
}

function sessionWith(serverId: string, url = 'http://a.example') {
  return {
    url,
    serverId,
    greeted: Promise.resolve(serverId),
    isLeft: false,
    isDestroyed: false,
    destroy() {
      this.isDestroyed = true
    },
  }
}

/** Connections with the servers of these ids; an attempt reaches the server that `reach` names. */
function spreadOver(
  ids: readonly string[],
  reach: (url: string) => string,
  urls = URLS.slice(0, 1),
) {
  type Session = ReturnType<typeof sessionWith>
  const links = ids.map((id) => ({
    session: sessionWith(id) as Session | undefined,
    replace(session: Session) {
      this.session = session
    },
  }))
  const made: Session[] = []
  const times: number[] = []
  const asked: string[] = []
  const startMs = Date.now()
  const spread = new ServerSpread<Session>({
    servers: listOf(urls),
    links: () => links,
    connect: async (_, url) => {
      times.push(Date.now() - startMs)
      asked.push(url)
      const session = sessionWith(reach(url), url)
      made.push(session)
      return session
    },
    intervalMs: INTERVAL_MS,
    logger,
    random: () => 1,
  })
  return {
    spread,
    links,
    made,
    times,
    asked,
    ids: () => links.map(({ session }) => session?.serverId),
  }
}

describe('spreading', () => {
  test('tries at growing intervals while there is one server, and closes what it made', async () => {
    const { spread, made, times, ids } = spreadOver(['one', 'one'], () => 'one')
    spread.update()
    await vi.advanceTimersByTimeAsync(24 * 3_600_000)
    const waits = times.map((at, index) => (at - (times[index - 1] ?? 0)) / INTERVAL_MS)
    expect(waits.slice(0, FAST_TRIES)).toEqual(Array.from({ length: FAST_TRIES }, () => 1))
    expect(waits.slice(FAST_TRIES, FAST_TRIES + 7)).toEqual([2, 4, 8, 16, 32, 64, MAX_INTERVALS])
    expect(new Set(waits.slice(FAST_TRIES + 6))).toEqual(new Set([MAX_INTERVALS]))
    expect(made.every(({ isDestroyed }) => isDestroyed)).toBe(true)
    expect(ids()).toEqual(['one', 'one'])
  })

  test('stays quick while a server of the list cannot be reached', async () => {
    const details = { phase: 'connect', leg: 'server' } as const
    let failure: Error = new DialError('DIAL_CONNECT_REFUSED', 'refused', details)
    const fail = (): never => {
      throw failure
    }
    const { spread, times, asked } = spreadOver(['one', 'one'], fail, URLS)
    spread.update()
    await vi.advanceTimersByTimeAsync(INTERVAL_MS * 100)
    expect(times).toHaveLength(100)
    // Each of those that are away has its turn.
    expect(new Set(asked)).toEqual(new Set(URLS.slice(1)))
    failure = new TunnelError('TUNNEL_UNAUTHORIZED', 'no')
    await vi.advanceTimersByTimeAsync(INTERVAL_MS * 100)
    expect(times.length - 100).toBeLessThan(FAST_TRIES + 7)
  })

  test('is as quick as at first after a session was lost', async () => {
    const { spread, times } = spreadOver(['one', 'one'], () => 'one')
    spread.update()
    await vi.advanceTimersByTimeAsync(3_600_000)
    const before = times.length
    spread.lost()
    await vi.advanceTimersByTimeAsync(INTERVAL_MS * FAST_TRIES)
    expect(times.length - before).toBe(FAST_TRIES)
  })

  test.each([
    ['a server without connections', ['one', 'one'], ['one', 'two']],
    ['one that has fewer by two', ['one', 'one', 'one', 'two'], ['one', 'one', 'two', 'two']],
    ['not one that would have as many', ['one', 'one', 'two'], ['one', 'one', 'two']],
  ])('moves a connection to %s', async (_, before, after) => {
    const { spread, ids, made } = spreadOver(before, () => 'two')
    spread.update()
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect(ids()).toEqual(after)
    const kept = made.filter(({ isDestroyed }) => !isDestroyed)
    expect(kept).toHaveLength(before.join() === after.join() ? 0 : 1)
  })

  test('does nothing for one connection for each server, and after its end', async () => {
    const apart = spreadOver(['one', 'two'], () => 'three')
    apart.spread.update()
    const ended = spreadOver(['one', 'one'], () => 'two')
    ended.spread.update()
    ended.spread.stop()
    ended.spread.lost()
    await vi.advanceTimersByTimeAsync(3_600_000)
    expect([...apart.times, ...ended.times]).toEqual([])
  })
})

describe('a round', () => {
  test('begins at the server that fewest connections use, each connection at another one', () => {
    const list = listOf(URLS)
    expect(list.order(0, () => 0)).toEqual(URLS)
    expect(list.order(1, () => 0)[0]).toBe(URLS[1])
    expect(list.order(5, () => 0)[0]).toBe(URLS[2])
    expect(list.order(0, (url) => (url === URLS[0] ? 1 : 0))).toEqual([URLS[1], URLS[2], URLS[0]])
  })

  test('gives a server that does not answer TURN_MS, and the last one all its time', async () => {
    const list = listOf(URLS)
    const times: number[] = []
    const startMs = Date.now()
    const made = list.connect(
      URLS,
      async (url, signal) => {
        times.push(Date.now() - startMs)
        return await new Promise<string>((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          if (url === URLS[2]) setTimeout(() => resolve(url), 3 * TURN_MS)
        })
      },
      new AbortController().signal,
    )
    await vi.advanceTimersByTimeAsync(10 * TURN_MS)
    expect(await made).toBe(URLS[2])
    expect(times).toEqual([0, TURN_MS, 2 * TURN_MS])
  })

  test('ends with the signal, and blames no server for that', async () => {
    const list = listOf(URLS)
    const stop = new AbortController()
    let attempts = 0
    const made = list.connect(
      URLS,
      async (_, signal) => {
        attempts += 1
        return await new Promise((__, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
      },
      stop.signal,
    )
    const reason = new Error('enough')
    stop.abort(reason)
    await expect(made).rejects.toBe(reason)
    expect(attempts).toBe(1)
  })

  test('has one server fail with its own error, however final', async () => {
    const error = new TunnelError('TUNNEL_UNAUTHORIZED', '401: invalid token')
    const list = listOf('http://a.example')
    const { signal } = new AbortController()
    const fail = async (): Promise<never> => {
      throw error
    }
    await expect(
      list.connect(
        list.order(0, () => 0),
        fail,
        signal,
      ),
    ).rejects.toBe(error)
    expect(list.refused.size).toBe(0)
  })

  test('leaves out a server that has rejected this peer, unless it had accepted it', async () => {
    const error = new TunnelError('TUNNEL_UNAUTHORIZED', '401: invalid token')
    const list = listOf(URLS)
    const { signal } = new AbortController()
    let accepts = URLS[1]
    const attempt = async (url: string): Promise<string> => {
      if (url !== accepts) throw error
      return url
    }
    expect(
      await list.connect(
        list.order(0, () => 0),
        attempt,
        signal,
      ),
    ).toBe(URLS[1])
    expect(list.order(0, () => 0)).toEqual([URLS[1], URLS[2]])
    accepts = URLS[2]
    expect(
      await list.connect(
        list.order(0, () => 0),
        attempt,
        signal,
      ),
    ).toBe(URLS[2])
    expect(list.order(0, () => 0)).toEqual([URLS[1], URLS[2]])
  })
})
