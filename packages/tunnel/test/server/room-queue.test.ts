import { describe, expect, test, vi } from 'vitest'

import { RoomQueue } from '../../src/server/room-queue.ts'

const FOREVER_MS = 60_000

/** A session without room, whose visitors open no streams: what there is room for goes in turns. */
function queueOf(max = 100) {
  let wake = (): void => {}
  const room = {
    openable: 0,
    whenRoom: ({ signal }: { readonly signal: AbortSignal }): Promise<void> =>
      room.openable > 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            wake = resolve
            signal.addEventListener('abort', () => resolve(), { once: true })
          }),
  }
  const onEmpty = vi.fn<() => void>()
  const queue = new RoomQueue(room, max, onEmpty)
  const ended: string[] = []
  const wait = (name: string, share: string, signal = new AbortController().signal): boolean => {
    const turn = queue.wait(share, FOREVER_MS, signal)
    void turn?.then((mayTry) => ended.push(mayTry ? name : `not ${name}`))
    return turn !== undefined
  }
  /** There is room for so many more: the queue looks once. */
  const free = async (count: number): Promise<void> => {
    room.openable = count
    wake()
    await new Promise((resolve) => setImmediate(resolve))
    room.openable = 0
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { queue, wait, free, ended, onEmpty }
}

describe('visitors that wait for room in a session', () => {
  test('of one share are served in order, as many as there is room for', async () => {
    const { queue, wait, free, ended, onEmpty } = queueOf()
    for (const name of ['1', '2', '3']) wait(name, 'a')
    await free(2)
    expect(ended).toEqual(['1', '2'])
    expect(queue.size).toBe(1)
    expect(onEmpty).not.toHaveBeenCalled()
    await free(2)
    expect(ended).toEqual(['1', '2', '3'])
    expect(onEmpty).toHaveBeenCalledOnce()
  })

  test('of several shares take turns, however many one has', async () => {
    const { wait, free, ended } = queueOf()
    for (let at = 0; at < 50; at++) wait(`burst ${at}`, 'burst')
    wait('one', 'a')
    wait('two', 'b')
    await free(3)
    expect(ended).toEqual(['burst 0', 'one', 'two'])
    wait('three', 'a')
    await free(2)
    expect(ended.slice(3)).toEqual(['burst 1', 'three'])
  })

  test('lose a place of the longest share when the queue is full, its newest first', async () => {
    const { queue, wait, ended } = queueOf(10)
    for (let at = 0; at < 10; at++) expect(wait(`burst ${at}`, 'burst')).toBe(true)
    expect(wait('burst 10', 'burst')).toBe(false)
    for (let at = 0; at < 5; at++) expect(wait(`other ${at}`, 'other')).toBe(true)
    await Promise.resolve()
    expect(ended).toEqual([9, 8, 7, 6, 5].map((at) => `not burst ${at}`))
    expect(wait('other 5', 'other')).toBe(false)
    expect(queue.size).toBe(10)
  })

  test('are served newest first once they have waited for long', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    try {
      const { wait, free, ended } = queueOf()
      wait('oldest', 'a')
      wait('old', 'a')
      vi.advanceTimersByTime(600)
      wait('new', 'a')
      await free(1)
      expect(ended).toEqual(['new'])
      await free(1)
      expect(ended).toEqual(['new', 'old'])
      await free(1)
      expect(ended).toEqual(['new', 'old', 'oldest'])
    } finally {
      vi.useRealTimers()
    }
  })

  test('leave when they are gone, or their time is over', async () => {
    const { queue, wait, ended, onEmpty } = queueOf()
    const gone = new AbortController()
    wait('gone', 'a', gone.signal)
    wait('here', 'a')
    gone.abort()
    expect(queue.size).toBe(1)
    const late = queue.wait('a', 1, new AbortController().signal)
    expect(await late).toBe(true)
    expect(ended).toEqual(['gone'])
    expect(queue.size).toBe(1)
    expect(onEmpty).not.toHaveBeenCalled()
    const before = AbortSignal.abort()
    wait('gone before', 'a', before)
    expect(queue.size).toBe(1)
  })

  test('all look for another session when this one is over', async () => {
    const { queue, wait, free, ended } = queueOf()
    for (let at = 0; at < 20; at++) wait(String(at), 'a')
    await free(Infinity)
    expect(ended).toHaveLength(20)
    expect(queue.size).toBe(0)
  })
})
