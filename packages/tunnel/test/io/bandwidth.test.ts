// Bandwidths by a clock that the test moves: how many bytes pass in a time, whose turn it is, and what comes behind.
import { MuxError, type ChannelSink } from '@proj/mux'
import { describe, expect, test } from 'vitest'

import { Bandwidth, MIN_BANDWIDTH, PacedReads, PacedSink, paced } from '../../src/io/bandwidth.ts'
import { TestClock } from './test-clock.ts'

/** Remembers what a sink was told. */
class Recorder implements ChannelSink {
  readonly events: string[] = []
  bytes = 0
  isGone = false
  readonly #name: string
  readonly #all: string[]

  constructor(name = '', all: string[] = []) {
    this.#name = name
    this.#all = all
  }

  onData(chunk: Buffer): true {
    this.bytes += chunk.length
    this.events.push(`data ${chunk.length}`)
    this.#all.push(this.#name)
    return true
  }
  onEnd(): void {
    this.events.push('end')
  }
  onDrain(): void {
    this.events.push('drain')
  }
  onFinish(): void {
    this.events.push('finish')
  }
  onClose(error?: MuxError): void {
    this.events.push(`close ${error?.code ?? ''}`)
  }
}

const KIB = Buffer.alloc(1024)
const MIB = 1024 * 1024
const aborted = new MuxError('MUX_STREAM_ABORTED', 'test')
const reset = new MuxError('MUX_STREAM_RESET', 'test')

function pacedAt(bytesPerSecond: number) {
  const clock = new TestClock()
  const bandwidth = new Bandwidth(bytesPerSecond, clock)
  const to = new Recorder()
  return { clock, bandwidth, to, sink: new PacedSink(to, bandwidth) }
}

describe('what a channel brings', () => {
  test('passes at the rate, after a burst of a tenth of a second', () => {
    const { clock, to, sink } = pacedAt(10 * 1024)
    for (let count = 0; count < 100; count += 1) sink.onData(KIB)
    const seen: number[] = []
    for (let tenths = 0; tenths <= 50; tenths += 1) {
      seen.push(to.bytes / 1024)
      clock.advance(100)
    }
    // The burst, and a chunk that begins within the rate and ends beyond it.
    for (const [tenths, kib] of seen.entries()) {
      expect(kib).toBeGreaterThanOrEqual(tenths)
      expect(kib).toBeLessThanOrEqual(tenths + 2)
    }
    clock.advance(60_000)
    expect(to.bytes).toBe(100 * 1024)
    expect(sink.isHolding).toBe(false)
  })

  test('saves no more than the burst while nothing comes', () => {
    const { clock, to, sink } = pacedAt(10 * 1024)
    clock.advance(3_600_000)
    for (let count = 0; count < 100; count += 1) sink.onData(KIB)
    expect(to.bytes / 1024).toBeLessThanOrEqual(2)
  })

  test('comes in turns to those that share it, however much each has', () => {
    const clock = new TestClock()
    const bandwidth = new Bandwidth(10 * 1024, clock)
    const order: string[] = []
    const [bulk, small] = ['bulk', 'small'].map(
      (name) => new PacedSink(new Recorder(name, order), bandwidth),
    )
    for (let count = 0; count < 200; count += 1) bulk?.onData(KIB)
    const before = order.length
    for (let count = 0; count < 5; count += 1) small?.onData(KIB)
    clock.advance(1_100)
    const turns = order.slice(before)
    expect(turns.slice(0, 10)).toEqual(
      Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? 'bulk' : 'small')),
    )
  })

  test('is followed by its end and by a close, and nothing overtakes it', () => {
    const { clock, to, sink } = pacedAt(MIN_BANDWIDTH)
    for (let count = 0; count < 4; count += 1) sink.onData(KIB)
    sink.onEnd()
    sink.onClose()
    expect(to.events).toEqual(['data 1024'])
    expect(sink.isHolding).toBe(true)
    clock.advance(1000)
    expect(to.events).toEqual([...Array<string>(4).fill('data 1024'), 'end', 'close '])
    expect(sink.isHolding).toBe(false)
  })

  test('is delivered before a reset of the peer, and dropped by our own', () => {
    for (const [error, chunks] of [
      [reset, 3],
      [aborted, 1],
    ] as const) {
      const { clock, to, sink } = pacedAt(MIN_BANDWIDTH)
      for (let count = 0; count < 3; count += 1) sink.onData(KIB)
      sink.onClose(error)
      clock.advance(1000)
      const data = Array<string>(chunks).fill('data 1024')
      expect(to.events).toEqual([...data, `close ${error.code}`])
    }
  })

  test.each([undefined, reset])(
    'is dropped, and costs nothing, when its sink is gone behind a close: %s',
    (error) => {
      const { clock, bandwidth, to, sink } = pacedAt(MIN_BANDWIDTH)
      const next = new Recorder()
      const other = new PacedSink(next, bandwidth)
      for (let count = 0; count < 20; count += 1) sink.onData(KIB)
      other.onData(KIB)
      sink.onEnd()
      sink.onClose(error)
      to.isGone = true
      clock.advance(125)
      expect(to.events).toEqual(['data 1024', `close ${error?.code ?? ''}`])
      expect(sink.isHolding).toBe(false)
      expect(next.bytes).toBe(1024)
      clock.advance(60_000)
      expect(to.events).toHaveLength(2)
    },
  )

  test('is dropped at once by a close when its sink is gone before', () => {
    const { to, sink } = pacedAt(MIN_BANDWIDTH)
    for (let count = 0; count < 3; count += 1) sink.onData(KIB)
    to.isGone = true
    sink.onClose(reset)
    expect(to.events).toEqual(['data 1024', 'close MUX_STREAM_RESET'])
    expect(sink.isHolding).toBe(false)
  })

  test('costs nothing when its sink is gone and the channel is open, which gets its bytes back', () => {
    const { clock, bandwidth, to, sink } = pacedAt(MIN_BANDWIDTH)
    for (let count = 0; count < 20; count += 1) sink.onData(KIB)
    to.isGone = true
    clock.advance(125)
    expect(to.bytes).toBe(20 * 1024)
    sink.onData(KIB)
    expect([to.bytes, bandwidth.isFree]).toEqual([21 * 1024, true])
  })

  test('comes as early as a raised limit allows, which replaces the timer', () => {
    const { clock, bandwidth, to, sink } = pacedAt(MIN_BANDWIDTH)
    sink.onData(Buffer.alloc(64 * 1024))
    sink.onData(KIB)
    clock.advance(100)
    bandwidth.bytesPerSecond = 8 * MIN_BANDWIDTH
    expect(clock.timers).toBe(1)
    clock.advance(1000)
    expect(to.events).toEqual(['data 65536', 'data 1024'])
    expect(clock.timers).toBe(0)
  })

  test('waits no longer when the limit is lifted', () => {
    const { bandwidth, to, sink } = pacedAt(MIN_BANDWIDTH)
    for (let count = 0; count < 50; count += 1) sink.onData(KIB)
    bandwidth.bytesPerSecond = Infinity
    expect(to.bytes).toBe(50 * 1024)
    sink.onData(KIB)
    expect(to.bytes).toBe(51 * 1024)
  })

  test('passes without a detour where there is no bandwidth', () => {
    const to = new Recorder()
    expect(paced(to, undefined)).toBe(to)
  })

  test('drains and finishes at once', () => {
    const { to, sink } = pacedAt(MIN_BANDWIDTH)
    sink.onDrain()
    sink.onFinish()
    expect(to.events).toEqual(['drain', 'finish'])
  })
})

test('visitors that wait have their turns one after another, however many connections each has', () => {
  const clock = new TestClock()
  const bandwidth = new Bandwidth(MIN_BANDWIDTH, clock)
  const turns: string[] = []
  const wait = (visitor: string, name: string): (() => void) => {
    const next = (): void => {
      turns.push(name)
      share.take(KIB.length)
    }
    const share = bandwidth.shareOf(visitor)
    share.wait(next)
    return () => share.cancel(next)
  }
  bandwidth.take(MIN_BANDWIDTH)
  for (const name of ['a1', 'a2', 'a3', 'a4']) wait('a', name)
  const gone = [wait('b', 'b1'), wait('c', 'c1'), wait('a', 'a5')]
  for (const name of ['c2', 'c3']) wait('c', name)
  for (const cancel of gone) cancel()
  wait('b', 'b2')
  clock.advance(60_000)
  expect(turns).toEqual(['a1', 'c2', 'b2', 'a2', 'c3', 'a3', 'a4'])
  expect([clock.timers, bandwidth.isFree]).toEqual([0, true])
})

describe('what is read from sockets', () => {
  /** A peer that has more to send whenever it is read. */
  function reader(bandwidth: Bandwidth, bytes: number) {
    const state = { read: 0, isPaused: false }
    const reads = new PacedReads(bandwidth, () => {
      state.isPaused = false
      read()
    })
    const read = (): void => {
      while (!state.isPaused && state.read < 100 * MIB) {
        state.read += bytes
        state.isPaused = reads.took(bytes)
      }
    }
    return { state, reads, read }
  }

  test('is read at the rate, shared by all, whatever one read brings', () => {
    for (const bytes of [1000, 16 * 1024, 65_536]) {
      const clock = new TestClock()
      const rate = 100 * 1024
      const bandwidth = new Bandwidth(rate, clock)
      const readers = Array.from({ length: 4 }, () => reader(bandwidth, bytes))
      for (const { read } of readers) read()
      clock.advance(60_000)
      const all = readers.map(({ state }) => state.read)
      const total = all.reduce((sum, one) => sum + one, 0)
      expect(total).toBeGreaterThan(rate * 60 * 0.95)
      expect(total).toBeLessThan(rate * 60 + 5 * 65_536)
      expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(2 * 65_536)
    }
  })

  test('counts for nothing when the connection ends before it is read', () => {
    const clock = new TestClock()
    const bandwidth = new Bandwidth(MIN_BANDWIDTH, clock)
    let resumed = 0
    const idle = new PacedReads(bandwidth, () => (resumed += 1))
    expect(idle.took(8 * 1024)).toBe(true)
    clock.advance(1000)
    expect([resumed, idle.isHeld, bandwidth.isFree]).toEqual([1, false, false])
    idle.close()
    expect(bandwidth.isFree).toBe(true)
    // One that waits is forgotten.
    expect(idle.took(64 * 1024)).toBe(true)
    idle.close()
    clock.advance(60_000)
    expect(resumed).toBe(1)
  })

  test.each<[name: string, end: (reads: PacedReads) => void]>([
    ['it ends', (reads) => reads.close()],
    ['it brings less', (reads) => void reads.took(1)],
  ])('makes the next turn come earlier when %s', (_, end) => {
    const { clock, bandwidth, to, sink } = pacedAt(MIN_BANDWIDTH)
    const reads = new PacedReads(bandwidth, () => {})
    reads.took(8 * 1024)
    clock.advance(1000)
    expect(reads.isHeld).toBe(false)
    sink.onData(KIB)
    clock.advance(0)
    expect(to.bytes).toBe(0)
    end(reads)
    clock.advance(0)
    expect(to.bytes).toBe(1024)
    expect(clock.timers).toBeLessThanOrEqual(1)
  })
})
