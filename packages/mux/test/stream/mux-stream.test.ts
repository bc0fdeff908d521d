import { once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { MuxError, type MuxStream } from '../../src/index.ts'
import { frames, header, Rig } from '../wire.ts'

const BASE = 262_144

async function open(rig: Rig): Promise<MuxStream> {
  const stream = await rig.session.open()
  await rig.sent()
  return stream
}

describe('MuxStream', () => {
  test('emits finish only when its FIN was sent', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    const finish = once(stream, 'finish')
    rig.transport.writableNeedDrain = true
    stream.end('last')
    await nextTurn()
    expect(stream.writableFinished).toBe(false)
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    await finish
    expect(await rig.sent()).toEqual(['DATA - 2 last', 'WND FIN 2 0'])
    expect(stream.destroyed).toBe(false)
  })

  test('holds at most the window and its own buffer while it is not read', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    for (let i = 0; i < 8; i++) {
      rig.feed(header(0, 0, 2, BASE / 8), Buffer.alloc(BASE / 8))
    }
    const { heldBytes } = rig.session.stats()
    expect(heldBytes + stream.readableLength).toBe(BASE)
    expect(stream.readableLength).toBeLessThanOrEqual(stream.readableHighWaterMark + BASE / 8)
    expect(await rig.sent()).toEqual([])
    stream.resume()
    await nextTurn()
    expect(rig.session.stats().heldBytes).toBe(0)
    expect((await rig.sent()).at(-1)).toMatch(/^WND - 2 /)
  })

  test('writes a chunk of any size in slices', async () => {
    const rig = new Rig({ maxQueuedBytes: 300_000 })
    const stream = await open(rig)
    rig.feed(frames('WND ACK 2 100000000'))
    stream.write(Buffer.alloc(20_000_000))
    stream.end()
    await once(stream, 'finish')
    expect(rig.session.stats().bytesSent).toBeGreaterThan(20_000_000)
  })

  test('works with pipeline in both directions', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    const collected: Buffer[] = []
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        collected.push(chunk)
        done()
      },
    })
    const up = pipeline(Readable.from([Buffer.from('a'), Buffer.from('b')]), stream)
    const down = pipeline(stream, sink)
    rig.feed(frames('DATA - 2 answer', 'WND FIN 2 0'))
    await Promise.all([up, down])
    expect(Buffer.concat(collected).toString()).toBe('answer')
    expect(await rig.sent()).toEqual(['DATA - 2 ab', 'WND FIN 2 0'])
    expect(rig.session.stats().outboundStreams).toBe(0)
  })

  test('for await leaves the writable side open, and break resets', async () => {
    const rig = new Rig()
    const [whole, cut] = [await open(rig), await open(rig)]
    cut.on('error', () => {})
    rig.feed(frames('DATA FIN 2 question', 'DATA - 4 question'))
    for await (const chunk of whole) expect(chunk.toString()).toBe('question')
    whole.end('answer')
    for await (const chunk of cut) {
      expect(chunk.toString()).toBe('question')
      break
    }
    await nextTurn()
    expect(await rig.sent()).toEqual(['DATA - 2 answer', 'WND FIN 2 0', 'WND RST 4 0'])
  })

  test('destroy sends RST, with the reason of a MuxError', async () => {
    const rig = new Rig()
    const [plain, reasoned] = [await open(rig), await open(rig)]
    plain.destroy()
    reasoned.on('error', () => {})
    reasoned.destroy(new MuxError('MUX_STREAM_ABORTED', 'told so', { reason: 3 }))
    expect(await rig.sent()).toEqual(['WND RST 2 0', 'WND RST 4 3'])
  })

  test('reset destroys it with MUX_STREAM_ABORTED and its reason', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    const done = finished(stream)
    stream.reset(5)
    await expect(done).rejects.toMatchObject({ code: 'MUX_STREAM_ABORTED', reason: 5 })
    expect(await rig.sent()).toEqual(['WND RST 2 5'])
  })

  test('a stream that is destroyed after both ends still sends what is queued', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    rig.feed(frames('WND FIN 2 0'))
    expect(await text(stream)).toBe('')
    rig.transport.writableNeedDrain = true
    stream.end('all of it')
    await nextTurn()
    stream.destroy()
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    expect(await rig.sent()).toEqual(['DATA - 2 all of it', 'WND FIN 2 0'])
    expect(rig.session.stats().outboundStreams).toBe(0)
  })

  test('a write that waits for credit fails when the peer resets', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    const piping = pipeline(Readable.from([Buffer.alloc(BASE * 3)]), stream)
    await nextTurn()
    rig.feed(frames('WND RST 2 1'))
    await expect(piping).rejects.toMatchObject({ code: 'MUX_STREAM_RESET', reason: 1 })
  })

  test('the iterator throws when the session fails', async () => {
    const rig = new Rig()
    const stream = await open(rig)
    const reading = text(stream)
    rig.session.destroy()
    await expect(reading).rejects.toMatchObject({ code: 'MUX_SESSION_DESTROYED' })
  })

  test('delivers bytes that came before it was created', async () => {
    const rig = new Rig()
    const channel = rig.session.openChannel()
    rig.feed(frames('DATA FIN 2 early bird'))
    const stream = channel.toStream()
    expect(stream.channel).toBe(channel)
    expect(await text(stream.pipe(new PassThrough()))).toBe('early bird')
  })
})
