import { Duplex } from 'node:stream'

import { type Channel, type ChannelSession, type ChunkHolder, Session } from '@proj/mux'
import { expect, onTestFinished, test } from 'vitest'

import { GatheredWrites } from '../../src/io/gathered-writes.ts'
import { tcpSockets } from '../peers.ts'

/** A socket that writes down each write, and takes nothing while it is held. */
function socket(): Duplex & { readonly writes: string[]; hold: () => void; release: () => void } {
  const writes: string[] = []
  let held: (() => void)[] | undefined
  const taken = (done: () => void): void => void (held === undefined ? done() : held.push(done))
  const duplex = new Duplex({
    highWaterMark: 8,
    read() {},
    write(chunk: Buffer, _, done) {
      writes.push(String(chunk))
      taken(done)
    },
    writev(chunks: { chunk: Buffer }[], done) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join('+'))
      taken(done)
    },
  })
  return Object.assign(duplex, {
    writes,
    hold: () => (held = []),
    release: () => {
      const waiting = held ?? []
      held = undefined
      for (const done of waiting) done()
    },
  })
}

/** Calls `act` while a session delivers a chunk. */
async function duringDelivery(act: (session: ChannelSession) => void): Promise<void> {
  const { near, far } = await tcpSockets()
  await new Promise<void>((resolve) => {
    const onChannel = (channel: Channel): void => {
      act(channel.session)
      setImmediate(resolve)
    }
    const sessions = [
      new Session(far, { role: 'server', onChannel }),
      new Session(near, { role: 'client' }),
    ]
    sessions[1]?.openChannel()
    onTestFinished(() => {
      for (const session of sessions) session.destroy()
    })
  })
}

test('what one chunk brought leaves in one write, in order', async () => {
  const target = socket()
  let taken = 0
  const writes = new GatheredWrites(target, () => (taken += 1))
  await duringDelivery((session) => {
    for (const piece of ['a', 'b', 'c']) {
      writes.gather(session)
      expect(writes.write(Buffer.from(piece))).toBe(false)
      expect(writes.holder).toBe(true)
    }
    expect(target.writes).toEqual([])
  })
  expect(target.writes).toEqual(['a+b+c'])
  expect(taken).toBe(1)
})

test('a single piece is one write, and outside of a delivery nothing waits', async () => {
  const target = socket()
  const writes = new GatheredWrites(target, () => {})
  await duringDelivery((session) => {
    writes.gather(session)
    writes.write(Buffer.from('one'))
    expect(target.writes).toEqual([])
  })
  expect(target.writes).toEqual(['one'])
  await duringDelivery((session) => {
    setImmediate(() => {
      writes.gather(session)
      expect(writes.write(Buffer.from('two'))).toBe(true)
      expect(target.writes).toEqual(['one', 'two'])
    })
  })
  expect(target.writes).toEqual(['one', 'two'])
})

test('what is gathered leaves before the socket is ended', async () => {
  const target = socket()
  const writes = new GatheredWrites(target, () => {})
  await duringDelivery((session) => {
    writes.gather(session)
    writes.write(Buffer.from('last'))
    writes.flush()
    target.end()
  })
  expect(target.writes).toEqual(['last'])
  expect(target.writableFinished).toBe(true)
})

test('refers to what the platform has not taken, and not to what came later', () => {
  const target = socket()
  const writes = new GatheredWrites(target, () => {})
  expect(writes.write(Buffer.from('free'))).toBe(true)
  expect(writes.holder).toBe(true)
  target.hold()
  expect(writes.write(Buffer.from('waits for the platform'))).toBe(false)
  const first = writes.holder as ChunkHolder
  writes.write(Buffer.from('behind'))
  const second = writes.holder as ChunkHolder
  expect([first.drained, second.drained]).toEqual([false, false])
  target.release()
  target.hold()
  expect(first.drained).toBe(true)
  target.release()
  expect(second.drained).toBe(true)
})
