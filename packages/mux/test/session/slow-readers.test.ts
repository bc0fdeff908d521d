// Many streams over a long path whose readers are fast at first and then read no more: each window has grown, and what
// all of them hold stays within the budgets of their sessions and of the process.
import { delayedPair } from '@proj/testkit/duplex-pairs'
import { until } from '@proj/testkit/until'
import { expect, test } from 'vitest'

import { type Channel, type ChannelSink, Session, WindowBudget } from '../../src/index.ts'

const BASE = 262_144
const MIB = 1_048_576
/** Streams of each of two sessions. */
const STREAMS = 500
const SESSION_BYTES = 24 * MIB
const PROCESS_BYTES = 32 * MIB
/** What each reader takes before it stops: two first windows. */
const EAGER_BYTES = 2 * BASE
const PIECE = Buffer.alloc(65_536)

/** Writes as much as the far end takes. */
function pump(session: Session): Channel {
  const sink: ChannelSink = {
    onData: () => {},
    onEnd: () => {},
    onClose: () => {},
    onDrain: () => fill(),
  }
  const channel = session.openChannel(sink)
  const fill = (): void => {
    while (!channel.closed && channel.write(PIECE)) continue
  }
  fill()
  return channel
}

/** Reads EAGER_BYTES at once and then nothing. */
function eager(channel: Channel): void {
  let left = EAGER_BYTES
  channel.attach({
    onData: (chunk) => {
      const taken = Math.min(left, chunk.length)
      left -= taken
      channel.consume(taken)
    },
    onEnd: () => {},
    onClose: () => {},
    onDrain: () => {},
  })
}

test('a thousand readers that stop on a long path hold no more than the budgets', async () => {
  const windowBudget = new WindowBudget(PROCESS_BYTES)
  const readers: Session[] = []
  const writers: Session[] = []
  const lines = [delayedPair(25), delayedPair(25)]
  for (const [near, far] of lines) {
    const role = 'server'
    const maxSessionGrowthBytes = SESSION_BYTES
    readers.push(new Session(near, { role, maxSessionGrowthBytes, windowBudget, onChannel: eager }))
    writers.push(new Session(far, { role: 'client' }))
  }
  await Promise.all(readers.map((session) => session.measurePath()))
  const most = { session: 0, process: 0 }
  const look = (): void => {
    most.process = Math.max(most.process, windowBudget.usedBytes)
    for (const one of readers) most.session = Math.max(most.session, one.stats().grownBytes)
  }
  const held = (): number => readers.reduce((sum, one) => sum + one.stats().heldBytes, 0)
  const received = (sessions: readonly Session[]): number =>
    sessions.reduce((sum, one) => sum + one.stats().bytesReceived, 0)
  const sent = (sessions: readonly Session[]): number =>
    sessions.reduce((sum, one) => sum + one.stats().bytesSent, 0)
  const channels: Channel[] = []
  for (const writer of writers) {
    for (let count = 0; count < STREAMS; count++) {
      await writer.whenRoom()
      channels.push(pump(writer))
    }
  }
  await until(() => {
    look()
    const isArrived = sent(writers) === received(readers) && sent(readers) === received(writers)
    return isArrived && channels.every((one) => one.sendCreditBytes === 0)
  })
  expect(held()).toBeGreaterThan(STREAMS * BASE)
  // Windows of readers that were fast have grown beyond what new ones begin with.
  expect(most.process).toBeGreaterThan(0.6 * PROCESS_BYTES)
  expect(held()).toBeLessThanOrEqual(2 * STREAMS * BASE + PROCESS_BYTES)
  expect(most.session).toBeLessThanOrEqual(SESSION_BYTES)
  expect(most.process).toBeLessThanOrEqual(PROCESS_BYTES)

  for (const session of [...readers, ...writers]) session.destroy()
  expect(windowBudget.usedBytes).toBe(0)
})
