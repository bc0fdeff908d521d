import { describe, expect, test } from 'vitest'
import { AMPLE_QUEUE_BYTES } from '../../src/stream/sending-half.ts'
import { frames, header, NOTHING_LEFT, Recorder, Rig } from '../wire.ts'

const BASE = 262_144

function code(name: string): unknown {
  return expect.objectContaining({ name: 'MuxError', code: name })
}

describe('receiving', () => {
  test('holds bytes while there is no sink and delivers them in order', async () => {
    const rig = new Rig({ onChannel: () => {} })
    const channel = rig.session.openChannel()
    rig.feed(frames('WND ACK 2 0', 'DATA - 2 before ', 'DATA - 2 the sink', 'WND FIN 2 0'))
    expect([channel.heldBytes, channel.readableEnded]).toEqual([15, true])
    const recorder = new Recorder()
    recorder.channel = channel
    channel.attach(recorder)
    expect(recorder.calls).toEqual(['data before the sink', 'end'])
    channel.end()
    await rig.sent()
    expect(recorder.calls).toEqual(['data before the sink', 'end', 'close'])
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('delivers what is held even after both sides have ended', async () => {
    const rig = new Rig()
    const channel = rig.session.openChannel()
    rig.feed(frames('DATA FIN 2 whole answer'))
    channel.end()
    await rig.sent()
    expect([channel.closed, rig.session.stats().outboundStreams]).toEqual([true, 0])
    const recorder = new Recorder()
    recorder.channel = channel
    channel.attach(recorder)
    expect(recorder.calls).toEqual(['data whole answer', 'end', 'close'])
  })

  test('calls onEnd and onClose once, for any number of sinks', async () => {
    const rig = new Rig()
    const { channel, recorder } = rig.open()
    rig.feed(frames('WND FIN 2 0'))
    channel.attach(recorder)
    channel.end()
    await rig.sent()
    const late = new Recorder()
    for (const sink of [recorder, late, recorder]) channel.attach(sink)
    expect([recorder.calls, late.calls]).toEqual([['end', 'close'], []])
  })

  test('drops what is held when the peer resets', () => {
    const rig = new Rig()
    const channel = rig.session.openChannel()
    rig.feed(frames('DATA - 2 half an answer', 'WND RST 2 9'))
    const recorder = new Recorder()
    channel.attach(recorder)
    expect(recorder.calls).toEqual(['close MUX_STREAM_RESET'])
  })

  test('a sink can be replaced while bytes are delivered', () => {
    const rig = new Rig()
    const channel = rig.session.openChannel()
    const second = new Recorder()
    second.channel = channel
    const first = new Recorder()
    first.onData = (chunk) => {
      channel.consume(chunk.length)
      channel.attach(second)
    }
    rig.feed(header(0, 0, 2, 20_000), Buffer.alloc(10_000), Buffer.alloc(10_000))
    channel.attach(first)
    expect([first.bytes, second.bytes]).toEqual([0, 10_000])
    rig.feed(frames('WND FIN 2 0'))
    expect([first.calls, second.calls]).toEqual([[], ['data <10000 bytes>', 'end']])
  })

  test('returns credit once half of the window is consumed, and none after FIN', async () => {
    const rig = new Rig()
    const { channel, recorder } = rig.open()
    recorder.consumes = false
    rig.feed(header(0, 0, 2, BASE), Buffer.alloc(BASE))
    channel.consume(131_071)
    expect(await rig.sent()).toEqual(['WND SYN 2 0'])
    channel.consume(1)
    // the first return of credit asks for the round trip that growth needs
    expect(await rig.sent()).toEqual(['PING SYN 0 1', 'WND - 2 131072'])
    rig.feed(frames('WND FIN 2 0'))
    channel.consume(131_072)
    expect(await rig.sent()).toEqual([])
    expect(() => channel.consume(1)).toThrow('consume(1) with 0 bytes held')
  })

  test('the peer may send exactly its window, and then what was returned', async () => {
    const rig = new Rig()
    const { recorder } = rig.open()
    rig.feed(header(0, 0, 2, BASE), Buffer.alloc(BASE), header(0, 0, 2, BASE), Buffer.alloc(BASE))
    expect(recorder.bytes).toBe(2 * BASE)
    expect(rig.session.stats().state).toBe('open')
  })

  test('passes the reason of a reset', () => {
    const rig = new Rig()
    const errors: unknown[] = []
    const recorder = new Recorder()
    recorder.onClose = (error) => errors.push(error)
    rig.session.openChannel(recorder)
    rig.feed(frames('WND RST 2 4294967295'))
    expect(errors).toEqual([
      expect.objectContaining({ code: 'MUX_STREAM_RESET', reason: 4294967295 }),
    ])
  })

  test('the length of a Data frame with RST is no reason', () => {
    const rig = new Rig()
    const errors: unknown[] = []
    const recorder = new Recorder()
    recorder.onClose = (error) => errors.push(error)
    rig.session.openChannel(recorder)
    rig.feed(frames('DATA RST 2 late', 'PING SYN 0 1'))
    expect(errors).toEqual([expect.objectContaining({ code: 'MUX_STREAM_RESET', reason: 0 })])
    expect(rig.session.stats().state).toBe('open')
  })
})

describe('sending', () => {
  test('sends as much as there is credit for, then continues where it stopped', async () => {
    const rig = new Rig()
    const { channel } = rig.open()
    channel.write(Buffer.alloc(BASE + 10))
    channel.end()
    expect(await rig.sent()).toEqual(['WND SYN 2 0', `DATA - 2 <${BASE} bytes>`])
    rig.feed(frames('WND - 2 4'))
    expect(await rig.sent()).toEqual([`DATA - 2 ${'\0'.repeat(4)}`])
    rig.feed(frames('WND - 2 1000'))
    expect(await rig.sent()).toEqual([`DATA - 2 ${'\0'.repeat(6)}`, 'WND FIN 2 0'])
    expect(channel.stalls).toBe(2)
  })

  test('sends FIN of an empty stream without credit', async () => {
    const rig = new Rig()
    const { channel } = rig.open()
    channel.write(Buffer.alloc(BASE))
    await rig.sent()
    channel.end()
    expect([channel.sendCreditBytes, await rig.sent()]).toEqual([0, ['WND FIN 2 0']])
  })

  test('write returns false from writeHighWaterBytes on, and onDrain comes once', async () => {
    const rig = new Rig({ writeHighWaterBytes: 1000 })
    const { channel, recorder } = rig.open()
    rig.transport.writableNeedDrain = true
    expect(channel.write(Buffer.alloc(999))).toBe(true)
    expect(channel.write(Buffer.alloc(1))).toBe(false)
    expect(channel.write(Buffer.alloc(1))).toBe(false)
    expect(await rig.sent()).toEqual([])
    expect(rig.session.stats()).toMatchObject({ queuedBytes: 1001, transportStalls: 1 })
    rig.transport.writableNeedDrain = false
    rig.transport.emit('drain')
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 <1001 bytes>'])
    expect(recorder.calls).toEqual(['drain'])
  })

  test('write returns false from the first byte on while much is queued on all streams of the process', async () => {
    const stalled = new Rig()
    stalled.transport.writableNeedDrain = true
    const streams = AMPLE_QUEUE_BYTES / (BASE / 2)
    for (let opened = 1; opened < streams; opened++) {
      expect(stalled.open().channel.write(Buffer.alloc(BASE / 2))).toBe(true)
    }
    const { channel: last } = stalled.open()
    expect(last.write(Buffer.alloc(BASE / 2 - 1))).toBe(true)
    expect(last.write(Buffer.alloc(1))).toBe(false)

    // Streams of another session are the same memory. They go on, one write at a time.
    const rig = new Rig()
    const { channel, recorder } = rig.open()
    expect(channel.write(Buffer.alloc(0))).toBe(true)
    expect(channel.write(Buffer.from('x'))).toBe(false)
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'DATA - 2 x'])
    expect(recorder.calls).toEqual(['drain'])

    // What was queued on a stream that is reset does not count any more.
    last.reset()
    expect(channel.write(Buffer.from('y'))).toBe(true)
    await rig.sent()
    stalled.session.destroy()
    expect(channel.write(Buffer.alloc(BASE / 2))).toBe(true)
  })

  test('accepts one chunk of any size, and rejects what exceeds maxQueuedBytes', () => {
    const rig = new Rig({ maxQueuedBytes: 1000 })
    const { channel } = rig.open()
    channel.write(Buffer.alloc(400))
    channel.write(Buffer.alloc(600))
    expect(() => channel.write(Buffer.alloc(1))).toThrow(code('MUX_QUEUE_FULL'))
    expect(channel.queuedBytes).toBe(1000)
    const other = rig.open()
    other.channel.write(Buffer.alloc(5000))
    expect(other.channel.queuedBytes).toBe(5000)
  })

  test('rejects a write after end, and drops what is written after a reset', async () => {
    const rig = new Rig()
    const { channel } = rig.open()
    channel.end()
    expect(() => channel.write(Buffer.from('x'))).toThrow(code('MUX_STREAM_ENDED'))
    const other = rig.open()
    rig.feed(frames('WND RST 4 0'))
    expect(other.channel.write(Buffer.from('x'))).toBe(false)
    other.channel.end()
    other.channel.consume(5)
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'WND SYN 4 0', 'WND FIN 2 0'])
  })

  test('an empty write sends nothing', async () => {
    const rig = new Rig()
    rig.open().channel.write(Buffer.alloc(0))
    expect(await rig.sent()).toEqual(['WND SYN 2 0'])
  })

  test('reset drops what is queued and carries its reason', async () => {
    const rig = new Rig()
    const { channel, recorder } = rig.open()
    channel.write(Buffer.from('never sent'))
    channel.end()
    channel.reset(7)
    channel.reset(8)
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'WND RST 2 7'])
    expect(recorder.calls).toEqual(['close MUX_STREAM_ABORTED'])
  })

  test.each([-1, 1.5, 2 ** 32, Number.NaN])('rejects %s as a reason', (reason) => {
    const { channel } = new Rig().open()
    expect(() => channel.reset(reason)).toThrow(
      `reason must be an unsigned 32-bit integer, got ${reason}`,
    )
    expect(channel.closed).toBe(false)
  })

  test('closes without an error when both sides have ended, in either order', async () => {
    const rig = new Rig()
    const [first, second] = [rig.open(), rig.open()]
    rig.feed(frames('WND ACK|FIN 2 0'))
    first.channel.end()
    second.channel.end()
    await rig.sent()
    rig.feed(frames('WND ACK|FIN 4 0'))
    expect([first.recorder.calls, second.recorder.calls]).toEqual([
      ['end', 'close'],
      ['end', 'close'],
    ])
    expect(first.channel.writableEnded && second.channel.readableEnded).toBe(true)
  })
})

describe('callbacks that throw', () => {
  test.each(['onData', 'onEnd', 'onDrain'] as const)('%s resets the stream', async (method) => {
    const rig = new Rig({ writeHighWaterBytes: 1 })
    const { channel, recorder } = rig.open()
    recorder[method] = () => {
      throw new Error('a bug')
    }
    channel.write(Buffer.from('x'))
    await rig.sent()
    rig.feed(frames('DATA - 2 y', 'WND FIN 2 0'))
    expect(recorder.calls.at(-1)).toBe('close MUX_CALLBACK_FAILED')
    expect(await rig.sent()).toEqual(method === 'onDrain' ? [] : ['WND RST 2 0'])
    expect(rig.session.stats().state).toBe('open')
  })

  test('onClose ends the session with GoAway 2', async () => {
    const rig = new Rig()
    const { recorder } = rig.open()
    recorder.onClose = () => {
      throw new Error('a bug')
    }
    const other = rig.open()
    rig.feed(frames('WND RST 2 0'))
    expect(other.recorder.calls).toEqual(['close MUX_CALLBACK_FAILED'])
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'WND SYN 4 0', 'GOAWAY - 0 2'])
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('a session that is destroyed in a callback stops reading', async () => {
    const rig = new Rig()
    const { recorder } = rig.open()
    recorder.onData = () => {
      rig.session.destroy()
      return true
    }
    rig.feed(frames('DATA FIN 2 x', 'WND SYN 1 0', 'WND - 0 0'))
    expect(rig.inbound).toEqual([])
    expect(recorder.calls).toEqual(['close MUX_SESSION_DESTROYED'])
    expect((await rig.session.closed).code).toBe('MUX_SESSION_DESTROYED')
  })
})
