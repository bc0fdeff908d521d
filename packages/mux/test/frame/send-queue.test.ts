import { describe, expect, test } from 'vitest'
import { frames, Rig } from '../wire.ts'

const BASE = 262_144

/** Opens `count` streams, acknowledged, with this much credit each. */
async function streams(
  rig: Rig,
  count: number,
  credit: number,
): Promise<ReturnType<Rig['open']>[]> {
  const opened = Array.from({ length: count }, () => rig.open())
  for (const { channel } of opened) rig.feed(frames(`WND ACK ${channel.id} ${credit - BASE}`))
  await rig.sent()
  return opened
}

describe('SendQueue', () => {
  test('sends one stream alone in frames as long as the batch', async () => {
    const rig = new Rig()
    const [only] = await streams(rig, 1, 1_000_000)
    only?.channel.write(Buffer.alloc(600_000))
    expect(await rig.sent()).toEqual([
      'DATA - 2 <262144 bytes>',
      'DATA - 2 <262144 bytes>',
      'DATA - 2 <75712 bytes>',
    ])
  })

  test('shares a batch between streams, in turns, in frames of at most 32 KiB', async () => {
    const rig = new Rig()
    const [first, second] = await streams(rig, 2, 1_000_000)
    first?.channel.write(Buffer.alloc(80_000))
    second?.channel.write(Buffer.alloc(40_000))
    expect(await rig.sent()).toEqual([
      'DATA - 2 <32768 bytes>',
      'DATA - 4 <32768 bytes>',
      'DATA - 2 <32768 bytes>',
      'DATA - 4 <7232 bytes>',
      'DATA - 2 <14464 bytes>',
    ])
  })

  test('sends control frames and small messages before bulk data that waits', async () => {
    const rig = new Rig()
    const [bulk, small] = await streams(rig, 2, 1_000_000)
    rig.transport.writableNeedDrain = true
    bulk?.channel.write(Buffer.alloc(300_000))
    await rig.sent()
    small?.channel.write(Buffer.from('small'))
    rig.feed(frames('PING SYN 0 9'))
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    const sent = await rig.sent()
    expect(sent.slice(0, 2)).toEqual(['PING ACK 0 9', 'DATA - 4 small'])
  })

  test('does not let small messages starve the bulk', async () => {
    const rig = new Rig()
    const [bulk, ...small] = await streams(rig, 101, 1_000_000)
    rig.transport.writableNeedDrain = true
    bulk?.channel.write(Buffer.alloc(100_000))
    for (const { channel } of small) channel.write(Buffer.alloc(4096))
    await rig.sent()
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    const sent = await rig.sent()
    const firstBulk = sent.findIndex((frame) => frame.startsWith('DATA - 2 '))
    // half a batch of 4 KiB messages and their headers
    expect(firstBulk).toBe(32)
    expect(sent.filter((frame) => frame.startsWith('DATA - 2 '))).toHaveLength(4)
  })

  test('sends payload buffers as they are, and small ones behind their header', async () => {
    const rig = new Rig()
    const [first] = await streams(rig, 1, 1_000_000)
    rig.transport.written = []
    const large = Buffer.alloc(2049, 'l')
    first?.channel.write(Buffer.alloc(2048, 's'))
    first?.channel.write(large)
    await new Promise(setImmediate)
    const lengths = rig.transport.written.map(({ length }) => length)
    expect(lengths).toEqual([12 + 2048, 2049])
    expect(rig.transport.written[1]).toBe(large)
  })

  test('sends what one turn queued in one write, for any number of streams', async () => {
    const rig = new Rig()
    for (let i = 0; i < 100; i++) {
      const { channel } = rig.open()
      channel.write(Buffer.from('question'))
      channel.end()
    }
    await new Promise(setImmediate)
    expect(rig.transport.written).toHaveLength(1)
    expect(await rig.sent()).toHaveLength(300)
  })

  test('makes at most 8 streams of one turn wait for its end', async () => {
    const rig = new Rig()
    const opened = await streams(rig, 20, 1_000_000)
    rig.transport.written = []
    const writes: number[] = []
    for (const { channel } of opened) {
      channel.write(Buffer.from('question'))
      await Promise.resolve() // what follows is another callback of the same turn
      writes.push(rig.transport.written.length)
    }
    await new Promise(setImmediate)
    // the turn before was quiet, so the very first left at once
    expect([0, 6, 7, 14, 15, 19].map((at) => writes[at])).toEqual([1, 1, 2, 2, 3, 3])
    expect(rig.transport.written).toHaveLength(4)
    expect(await rig.sent()).toHaveLength(20)
  })

  test('writes nothing while the transport needs a drain, and everything afterwards', async () => {
    const rig = new Rig()
    rig.transport.writableNeedDrain = true
    const { channel } = rig.open()
    channel.write(Buffer.from('later'))
    expect(await rig.sent()).toEqual([])
    rig.transport.emit('drain') // full again already
    expect(await rig.sent()).toEqual([])
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 later'])
  })

  test.each([
    ['again if the transport has passed on everything', 0, 1],
    ['once if the transport still holds something', 1, 200],
    ['once if the transport does not report unsentBytes', undefined, 200],
  ])('uses memory %s', async (_, unsentBytes, places) => {
    const rig = new Rig()
    Object.assign(rig.transport, { unsentBytes })
    const [first] = await streams(rig, 1, 1_000_000)
    const memory: ArrayBufferLike[] = []
    const seen = new Set<string>()
    const kept: { buffer: Buffer; copy: Buffer }[] = []
    for (let turn = 0; turn < 200; turn++) {
      rig.transport.written = []
      first?.channel.write(Buffer.from(`message ${turn}`.padEnd(100)))
      await new Promise(setImmediate)
      for (const buffer of rig.transport.written) {
        if (!memory.includes(buffer.buffer)) memory.push(buffer.buffer)
        seen.add(`${memory.indexOf(buffer.buffer)}:${buffer.byteOffset}`)
        kept.push({ buffer, copy: Buffer.from(buffer) })
      }
    }
    expect(kept).toHaveLength(200)
    expect(seen.size).toBe(places)
    if (unsentBytes === 0) return
    for (const { buffer, copy } of kept) expect(buffer.equals(copy)).toBe(true)
  })

  test('uses a slab from its start again after each batch', async () => {
    const rig = new Rig()
    Object.assign(rig.transport, { unsentBytes: 0 })
    const opened = await streams(rig, 100, 1_000_000)
    const memory = new Set<ArrayBufferLike>()
    let taken: Buffer[] = []
    // Takes all bytes at once, as `unsentBytes` says.
    rig.transport.write = (chunk) => {
      memory.add(chunk.buffer)
      taken.push(Buffer.from(chunk))
      return true
    }
    for (let turn = 0; turn < 20; turn++) {
      taken = []
      // 200 KB in small pieces: more than a slab
      for (const { channel } of opened) channel.write(Buffer.alloc(2000, turn))
      await new Promise(setImmediate)
      const sent = Buffer.concat(taken)
      expect(sent.length).toBe(100 * 2012)
      for (let at = 12; at < sent.length; at += 2012) {
        expect(sent.subarray(at, at + 2000).equals(Buffer.alloc(2000, turn))).toBe(true)
      }
    }
    expect(memory.size).toBeLessThanOrEqual(21)
  })

  test('counts the bytes and frames it sent', async () => {
    const rig = new Rig()
    rig.open().channel.write(Buffer.from('12345'))
    await rig.sent()
    expect(rig.session.stats()).toMatchObject({ bytesSent: 29, framesSent: 2 })
  })
})
