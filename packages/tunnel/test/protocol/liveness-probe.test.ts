import { setImmediate as turn } from 'node:timers/promises'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { LivenessProbe } from '../../src/protocol/liveness-probe.ts'

/** A session of which only what is heard counts. */
class FakeSession {
  bytesReceived = 0
  pings = 0
  answer: () => void = () => {}
  fail: (error: Error) => void = () => {}
  signal: AbortSignal | undefined

  async ping({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.pings += 1
    this.signal = signal
    await new Promise<void>((resolve, reject) => {
      this.answer = resolve
      this.fail = reject
    })
  }

  stats(): { bytesReceived: number } {
    return { bytesReceived: this.bytesReceived }
  }
}

function probed(): { session: FakeSession; probe: LivenessProbe; silences: () => number } {
  const session = new FakeSession()
  let silences = 0
  const probe = new LivenessProbe(session, 100, () => (silences += 1))
  return { session, probe, silences: () => silences }
}

/** Lets the clock go on, and what follows from it happen. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  await turn()
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

describe('a peer that is asked for a sign of life', () => {
  test('is in doubt until it answers', async () => {
    const { session, probe, silences } = probed()
    expect(probe.pending).toBe(false)
    probe.start()
    expect(probe.pending).toBe(true)
    session.answer()
    await turn()
    expect(probe.pending).toBe(false)
    await pass(1000)
    expect(silences()).toBe(0)
  })

  test('is asked once at a time, and again when there is a new doubt', async () => {
    const { session, probe } = probed()
    probe.start()
    probe.start()
    expect(session.pings).toBe(1)
    session.answer()
    await turn()
    await pass(100)
    probe.start()
    expect([session.pings, probe.pending]).toEqual([2, true])
    probe.stop()
  })

  test('is not asked more than ten times a second, however often others want to know', async () => {
    const { session, probe } = probed()
    for (let knock = 0; knock < 1000; knock++) {
      probe.start()
      session.answer()
      await pass(1)
    }
    expect(session.pings).toBeGreaterThan(5)
    expect(session.pings).toBeLessThanOrEqual(11)
  })

  test('that has just answered is asked again a little later', async () => {
    const { session, probe, silences } = probed()
    probe.start()
    session.answer()
    await turn()
    probe.start()
    expect([session.pings, probe.pending]).toEqual([1, false])
    await pass(100)
    expect([session.pings, probe.pending]).toEqual([2, true])
    await pass(100)
    expect(silences()).toBe(1)
  })

  test('is not asked later when the session is over by then', async () => {
    const { session, probe } = probed()
    probe.start()
    session.answer()
    await turn()
    probe.start()
    probe.stop()
    await pass(1000)
    expect(session.pings).toBe(1)
  })

  test('is given up when it has said nothing', async () => {
    const { probe, silences } = probed()
    probe.start()
    await pass(99)
    expect([silences(), probe.pending]).toEqual([0, true])
    await pass(1)
    expect([silences(), probe.pending]).toEqual([1, false])
    await pass(1000)
    expect(silences()).toBe(1)
  })

  test('gets as much time again whenever it says something else', async () => {
    const { session, probe, silences } = probed()
    probe.start()
    for (let said = 0; said < 5; said++) {
      await pass(60)
      session.bytesReceived += 1
      await pass(40)
    }
    expect([silences(), probe.pending]).toEqual([0, true])
    await pass(100)
    expect(silences()).toBe(1)
  })

  test('whose session ends is nobody to give up', async () => {
    const { session, probe, silences } = probed()
    probe.start()
    session.fail(new Error('over'))
    await turn()
    expect(probe.pending).toBe(false)
    await pass(1000)
    expect(silences()).toBe(0)
  })

  test('is left alone when nobody wants to know any more', async () => {
    const { session, probe, silences } = probed()
    probe.start()
    probe.stop()
    expect([probe.pending, session.signal?.aborted]).toEqual([false, true])
    await pass(1000)
    expect(silences()).toBe(0)
  })

  test('is heard in the turn after a time in which this process stood still', async () => {
    const { session, probe, silences } = probed()
    probe.start()
    // The timer is due, and the answer lies in the socket: it is read before the verdict.
    setImmediate(() => (session.bytesReceived += 1))
    await pass(100)
    expect([silences(), probe.pending]).toEqual([0, true])
    probe.stop()
  })
})
