import { describe, expect, test } from 'vitest'
import { frames, NOTHING_LEFT, Rig } from '../wire.ts'

const BASE = 262_144

/** Writes a copy of the text, then overwrites the chunk. */
function writeCopy(rig: ReturnType<Rig['open']>, text: string): boolean {
  const chunk = Buffer.from(text)
  const hasRoom = rig.channel.writeCopy(chunk)
  chunk.fill('!')
  return hasRoom
}

describe('writeCopy', () => {
  test('sends the copy after the SYN, even if the chunk changes', async () => {
    const rig = new Rig()
    const one = rig.open()
    expect(writeCopy(one, 'question')).toBe(true)
    one.channel.end()
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 question', 'WND FIN 2 0'])
    expect(one.channel.sendCreditBytes).toBe(BASE - 8)
  })

  test('keeps the order of copies and of queued chunks of a stream', async () => {
    const rig = new Rig()
    const one = rig.open()
    writeCopy(one, 'a')
    writeCopy(one, 'b')
    one.channel.write(Buffer.from('c'))
    writeCopy(one, 'd')
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 a', 'DATA - 2 b', 'DATA - 2 cd'])
  })

  test('streams of one turn leave in one write', async () => {
    const rig = new Rig()
    const opened = [rig.open(), rig.open(), rig.open()]
    await rig.sent()
    for (const one of opened) writeCopy(one, 'x')
    writeCopy(rig.open(), 'y')
    await new Promise(setImmediate)
    expect(rig.transport.written).toHaveLength(1)
    expect(await rig.sent()).toEqual([
      'DATA - 2 x',
      'DATA - 4 x',
      'DATA - 6 x',
      'WND SYN 8 0',
      'DATA - 8 y',
    ])
  })

  test('waits while the transport needs a drain', async () => {
    const rig = new Rig()
    const one = rig.open()
    await rig.sent()
    rig.transport.writableNeedDrain = true
    writeCopy(one, 'later')
    expect([await rig.sent(), one.channel.queuedBytes]).toEqual([[], 5])
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    expect(await rig.sent()).toEqual(['DATA - 2 later'])
  })

  test('a copy that was added before the transport needed a drain is sent after it', async () => {
    const rig = new Rig()
    const one = rig.open()
    writeCopy(one, 'first')
    rig.transport.writableNeedDrain = true
    expect(await rig.sent()).toEqual([])
    expect(rig.session.flush()).toBe(false)
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 first'])
  })

  test('sends no more than the credit of the peer', async () => {
    const rig = new Rig()
    const one = rig.open()
    one.channel.write(Buffer.alloc(BASE - 3))
    await rig.sent()
    writeCopy(one, 'abcde')
    expect(await rig.sent()).toEqual(['DATA - 2 abc'])
    rig.feed(frames('WND - 2 100'))
    expect(await rig.sent()).toEqual(['DATA - 2 de'])
    expect(one.channel.stalls).toBe(1)
  })

  test('copies long chunks too, and returns false as write does', async () => {
    const rig = new Rig({ writeHighWaterBytes: 10_000 })
    const one = rig.open()
    const chunk = Buffer.alloc(10_000, 'l')
    expect(one.channel.writeCopy(chunk)).toBe(false)
    chunk.fill('!')
    await new Promise(setImmediate)
    expect(
      Buffer.concat(rig.transport.written).subarray(-10_000).equals(Buffer.alloc(10_000, 'l')),
    ).toBe(true)
    expect(one.recorder.calls).toEqual(['drain'])
  })

  test('is not removed by a reset, and sends nothing after one', async () => {
    const rig = new Rig()
    const one = rig.open()
    writeCopy(one, 'sent')
    one.channel.reset(7)
    expect(writeCopy(one, 'never')).toBe(false)
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 sent', 'WND RST 2 7'])
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('throws after end as write does, and sends nothing for an empty chunk', async () => {
    const rig = new Rig()
    const one = rig.open()
    writeCopy(one, '')
    one.channel.end()
    expect(() => writeCopy(one, 'late')).toThrow(
      expect.objectContaining({ code: 'MUX_STREAM_ENDED' }),
    )
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'WND FIN 2 0'])
  })

  test('is sent before the last GoAway of a session', async () => {
    const rig = new Rig()
    writeCopy(rig.open(), 'last')
    rig.session.abort(1)
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 last', 'GOAWAY - 0 1'])
  })

  test('sessions that are destroyed before the end of the turn free their open batch', async () => {
    for (let i = 0; i < 100; i++) {
      const rig = new Rig()
      writeCopy(rig.open(), 'lost')
      rig.session.destroy()
    }
    const rig = new Rig()
    const one = rig.open()
    writeCopy(one, 'put')
    // Queued it would be, had the hundred kept theirs.
    expect(one.channel.queuedBytes).toBe(0)
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 put'])
  })

  test('a session that is destroyed while it writes does not reuse what the transport has', async () => {
    const rig = new Rig()
    const one = rig.open()
    await rig.sent()
    // Fails as it takes the first buffer of three.
    rig.transport.cork = () => {
      rig.transport.write = (chunk) => {
        rig.transport.written.push(chunk)
        rig.session.destroy()
        return true
      }
    }
    writeCopy(one, 'kept')
    one.channel.write(Buffer.alloc(5000))
    await new Promise(setImmediate)
    const [taken] = rig.transport.written
    for (let i = 0; i < 20; i++) {
      const other = new Rig()
      writeCopy(other.open(), 'overwritten?')
      await other.sent()
    }
    expect(taken?.toString('latin1', 12, 16)).toBe('kept')
  })

  test('any number of sessions may write in one turn', async () => {
    const rigs = Array.from({ length: 50 }, () => new Rig())
    const opened = rigs.map((rig) => rig.open())
    for (const [at, one] of opened.entries()) writeCopy(one, `session ${at}`)
    expect(opened.filter(({ channel }) => channel.queuedBytes === 0)).toHaveLength(16)
    for (const [at, rig] of rigs.entries()) {
      expect(await rig.sent()).toEqual(['WND SYN 2 0', `DATA - 2 session ${at}`])
    }
  })

  test('is counted in stats()', async () => {
    const rig = new Rig()
    writeCopy(rig.open(), '12345')
    await rig.sent()
    expect(rig.session.stats()).toMatchObject({ bytesSent: 29, framesSent: 2, queuedBytes: 0 })
  })

  test('can be mixed with write', async () => {
    const random = lcg(20_261_127)
    for (let round = 0; round < 50; round++) {
      const rig = new Rig()
      const opened = [rig.open(), rig.open(), rig.open()]
      const written = opened.map(() => Buffer.alloc(0))
      const received: Buffer[] = []
      for (let step = 0; step < 60; step++) {
        const at = random(3)
        const bytes = Buffer.alloc(random(4) === 0 ? random(9000) : random(200), 65 + random(26))
        written[at] = Buffer.concat([written[at] ?? bytes, bytes])
        if (random(2) === 0) opened[at]?.channel.write(bytes)
        else {
          opened[at]?.channel.writeCopy(bytes)
          bytes.fill('!')
        }
        if (random(5) === 0) await new Promise(setImmediate)
        if (random(9) === 0) rig.session.flush()
      }
      await new Promise(setImmediate)
      received.push(...rig.transport.written)
      const arrived = payloads(Buffer.concat(received))
      for (const [at, { channel }] of opened.entries()) {
        expect(arrived.get(channel.id)?.equals(written[at] ?? Buffer.alloc(1))).toBe(true)
      }
    }
  })
})

/** The payload of each stream in order; the test transport keeps what it is given, so it is a copy. */
function payloads(bytes: Buffer): Map<number, Buffer> {
  const all = new Map<number, Buffer>()
  for (let at = 0; at < bytes.length;) {
    const [type, id, length] = [
      bytes[at + 1],
      bytes.readUInt32BE(at + 4),
      bytes.readUInt32BE(at + 8),
    ]
    at += 12
    if (type !== 0) continue
    all.set(id, Buffer.concat([all.get(id) ?? Buffer.alloc(0), bytes.subarray(at, at + length)]))
    at += length
  }
  return all
}

/** Numbers below `limit`, the same in every run. */
function lcg(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}
