import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { Session, type SessionOptions, WindowBudget } from '../../src/index.ts'
import { SyncTransport } from '../sync-transport.ts'
import { frames, NOTHING_LEFT, Recorder, Rig } from '../wire.ts'

const BASE = 262_144

function code(name: string): unknown {
  return expect.objectContaining({ name: 'MuxError', code: name })
}

describe('opening', () => {
  test('sends SYN at once, data before the ACK, and FIN after the data', async () => {
    const rig = new Rig({ role: 'client' })
    const { channel } = rig.open()
    channel.write(Buffer.from('hello'))
    channel.end()
    expect(await rig.sent()).toEqual(['WND SYN 1 0', 'DATA - 1 hello', 'WND FIN 1 0'])
    const second = rig.open()
    second.channel.end()
    second.channel.end()
    expect(await rig.sent()).toEqual(['WND SYN 3 0', 'WND FIN 3 0'])
  })

  test('acknowledges a stream of the peer before it is accepted here', async () => {
    const rig = new Rig({ onChannel: () => {} })
    rig.feed(frames('WND SYN 1 0'))
    expect(await rig.sent()).toEqual(['WND ACK 1 0'])
  })

  test('announces a larger window with SYN and ACK', async () => {
    const rig = new Rig({ initialWindowBytes: 300_000 })
    rig.open()
    rig.feed(frames('WND SYN 1 0'))
    const delta = 300_000 - BASE
    expect(await rig.sent()).toEqual([`WND SYN 2 ${delta}`, `WND ACK 1 ${delta}`])
    expect(rig.session.stats()).toMatchObject({ windowBytes: 600_000, grownBytes: 2 * delta })
  })

  test('uses a larger window that the peer announces with its ACK', async () => {
    const rig = new Rig()
    const { channel } = rig.open()
    rig.feed(frames('WND ACK 2 1000'))
    expect(channel.sendCreditBytes).toBe(BASE + 1000)
  })

  test('rejects a stream beyond maxOutboundStreams', async () => {
    const rig = new Rig({ maxOutboundStreams: 2 })
    const first = rig.open()
    rig.open()
    expect(() => rig.open()).toThrow(code('MUX_STREAM_LIMIT'))
    await expect(rig.session.open()).rejects.toEqual(code('MUX_STREAM_LIMIT'))
    first.channel.reset()
    rig.open()
    expect(await rig.sent()).toContain('WND SYN 6 0')
  })

  test('rejects an unacknowledged stream beyond maxUnackedStreams', () => {
    const rig = new Rig({ maxUnackedStreams: 2 })
    rig.open()
    rig.open()
    expect(() => rig.open()).toThrow(code('MUX_ACK_BACKLOG'))
    rig.feed(frames('WND ACK 2 0'))
    rig.open()
    expect(rig.session.stats()).toMatchObject({ outboundStreams: 3, unackedStreams: 2 })
  })

  test('open() waits in order while too many are unacknowledged, and can be aborted', async () => {
    const rig = new Rig({ maxUnackedStreams: 1 })
    rig.open()
    const controller = new AbortController()
    const aborted = rig.session.open({ signal: controller.signal })
    const second = rig.session.open()
    const third = rig.session.open()
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    rig.feed(frames('WND ACK 2 0'))
    expect((await second).id).toBe(4)
    rig.feed(frames('WND RST 4 0'))
    ;(await second).on('error', () => {})
    expect((await third).id).toBe(6)
    ;(await third).on('error', () => {})
    await expect(rig.session.open({ signal: controller.signal })).rejects.toThrow('enough')
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('open() that waits rejects after GoAway of the peer, or close', async () => {
    for (const [end, expected] of [
      [(rig: Rig) => rig.feed(frames('GOAWAY - 0 0')), 'MUX_GOAWAY_RECEIVED'],
      [(rig: Rig) => void rig.session.close(), 'MUX_SESSION_CLOSED'],
      [(rig: Rig) => rig.session.destroy(), 'MUX_SESSION_DESTROYED'],
    ] as const) {
      const rig = new Rig({ maxUnackedStreams: 1 })
      rig.open()
      const waiting = rig.session.open()
      end(rig)
      await expect(waiting).rejects.toEqual(code(expected))
    }
  })
})

describe('streams of the peer', () => {
  test('acceptBacklog of them wait for a listener, the next is reset: MUX_ACCEPT_BACKLOG', async () => {
    const rig = new Rig({ acceptBacklog: 2 }, 'events')
    rig.feed(frames('DATA SYN 1 one', 'WND SYN 3 0', 'WND SYN 5 0', 'WND SYN 7 0', 'WND RST 3 0'))
    expect(await rig.sent()).toEqual([
      'WND ACK 1 0',
      'WND ACK 3 0',
      'WND ACK 5 0',
      'WND RST 5 0',
      'WND ACK 7 0',
      'WND RST 7 0',
    ])
    const ids: number[] = []
    rig.session.on('stream', (stream) => {
      stream.on('error', () => {})
      ids.push(stream.id)
    })
    await Promise.resolve()
    expect(ids).toEqual([1])
    rig.feed(frames('WND SYN 9 0'))
    expect(ids).toEqual([1, 9])
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('a stream whose handler throws is reset with MUX_CALLBACK_FAILED', async () => {
    const recorder = new Recorder()
    const rig = new Rig({
      onChannel: (channel) => {
        channel.attach(recorder)
        throw new Error('taken badly')
      },
    })
    rig.feed(frames('DATA SYN 1 hello'))
    expect(await rig.sent()).toEqual(['WND ACK 1 0', 'WND RST 1 0'])
    expect(recorder.calls).toEqual(['close MUX_CALLBACK_FAILED'])
    expect(rig.session.stats().state).toBe('open')
  })

  test('the iterator ends with the session', async () => {
    const rig = new Rig({}, 'events')
    const iterator = rig.session[Symbol.asyncIterator]()
    const first = iterator.next()
    rig.feed(frames('WND SYN 1 0'))
    const { value } = await first
    value?.on('error', () => {})
    expect(value?.id).toBe(1)
    const second = iterator.next()
    rig.session.destroy()
    expect((await second).done).toBe(true)
    expect((await rig.session[Symbol.asyncIterator]().next()).done).toBe(true)
  })
})

describe('ending', () => {
  test('streams opened after our GoAway are reset, earlier ones continue', async () => {
    const rig = new Rig()
    rig.feed(frames('WND SYN 1 0'))
    rig.session.goAway()
    rig.session.goAway()
    rig.feed(frames('WND SYN 3 0', 'DATA - 1 still here'))
    expect(await rig.sent()).toEqual(['WND ACK 1 0', 'GOAWAY - 0 0', 'WND RST 3 0'])
    expect(rig.inbound.map(({ calls }) => calls)).toEqual([['data still here']])
  })

  test('such a stream is reset with the reason that was set, one above the limit with none', async () => {
    const rig = new Rig({ refusalReason: 10, maxInboundStreams: 1 })
    rig.feed(frames('WND SYN 1 0', 'WND SYN 3 0'))
    rig.session.goAway()
    rig.feed(frames('WND SYN 5 0'))
    const resets = (await rig.sent()).filter((frame) => frame.includes('RST'))
    expect(resets).toEqual(['WND RST 3 0', 'WND RST 5 10'])
  })

  test('open() rejects after GoAway 0 of the peer', () => {
    const rig = new Rig()
    const codes: number[] = []
    rig.session.on('goaway', (value) => codes.push(value))
    rig.feed(frames('GOAWAY - 0 0'))
    expect(() => rig.open()).toThrow(code('MUX_GOAWAY_RECEIVED'))
    expect(codes).toEqual([0])
    expect(rig.session.stats().state).toBe('open')
  })

  test.each([1, 2])('ends with all streams after GoAway %i of the peer', async (value) => {
    const rig = new Rig()
    const { recorder } = rig.open()
    rig.feed(frames(`GOAWAY - 0 ${value}`))
    expect(recorder.calls).toEqual(['close MUX_GOAWAY_RECEIVED'])
    rig.transport.destroy()
    const end = await rig.session.closed
    expect(end).toMatchObject({ code: 'MUX_GOAWAY_RECEIVED', error: { goAwayCode: value } })
  })

  test('ends with GoAway 2 when a goaway listener throws', async () => {
    const rig = new Rig()
    rig.session.on('goaway', () => {
      throw new Error('listener')
    })
    rig.feed(frames('GOAWAY - 0 0'))
    expect(await rig.sent()).toEqual(['GOAWAY - 0 2'])
    rig.transport.destroy()
    expect((await rig.session.closed).code).toBe('MUX_CALLBACK_FAILED')
  })

  test('abort sends queued control frames, no data, and GoAway last', async () => {
    const rig = new Rig()
    const { channel, recorder } = rig.open()
    channel.write(Buffer.from('never sent'))
    rig.session.abort(2)
    rig.session.abort(1)
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'GOAWAY - 0 2'])
    expect(rig.transport.ended).toBe(true)
    expect(recorder.calls).toEqual(['close MUX_SESSION_ABORTED'])
    rig.transport.destroy()
    expect((await rig.session.closed).code).toBe('MUX_SESSION_ABORTED')
  })

  test('close sends GoAway 0, waits for streams, and sends its code last', async () => {
    const rig = new Rig()
    const { channel } = rig.open()
    const closing = rig.session.close({ code: 2 })
    expect(() => rig.open()).toThrow(code('MUX_SESSION_CLOSED'))
    channel.end()
    rig.feed(frames('WND ACK|FIN 2 0'))
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'GOAWAY - 0 0', 'WND FIN 2 0', 'GOAWAY - 0 2'])
    expect(rig.transport.ended).toBe(true)
    rig.transport.destroy()
    await closing
    expect(await rig.session.closed).toEqual({ code: 'MUX_SESSION_CLOSED' })
    await rig.session.close()
  })

  test('an aborted close() continues, and a second call waits for it', async () => {
    const rig = new Rig()
    const { channel } = rig.open()
    const controller = new AbortController()
    const closing = rig.session.close({ signal: controller.signal })
    controller.abort(new Error('too slow'))
    await expect(closing).rejects.toThrow('too slow')
    await expect(rig.session.close({ signal: controller.signal })).rejects.toThrow('too slow')
    expect(rig.session.stats().state).toBe('closing')
    const again = rig.session.close()
    channel.reset()
    rig.transport.destroy()
    await again
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  test('asyncDispose waits disposeGraceMs for streams and then destroys', async () => {
    const rig = new Rig({ disposeGraceMs: 300 })
    const { recorder } = rig.open()
    const disposed = rig.session[Symbol.asyncDispose]()
    rig.clock.advance(299)
    expect(rig.session.stats().state).toBe('closing')
    rig.clock.advance(1)
    await disposed
    expect(recorder.calls).toEqual(['close MUX_SESSION_DESTROYED'])
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('destroy is idempotent and keeps its cause', async () => {
    const rig = new Rig()
    rig.session.destroy(new Error('why'))
    rig.session.destroy(new Error('again'))
    expect(await rig.session.closed).toMatchObject({
      code: 'MUX_SESSION_DESTROYED',
      error: { cause: { message: 'why' } },
    })
    await expect(rig.session.ping()).rejects.toEqual(code('MUX_SESSION_CLOSED'))
    rig.session.goAway()
    rig.session.abort(1)
    expect(await rig.sent()).toEqual([])
  })

  test('a transport error ends it with MUX_TRANSPORT_FAILED and its cause', async () => {
    const rig = new Rig()
    const { recorder } = rig.open()
    rig.transport.emit('error', new Error('ECONNRESET'))
    expect(recorder.calls).toEqual(['close MUX_TRANSPORT_FAILED'])
    expect(await rig.session.closed).toMatchObject({ error: { cause: { message: 'ECONNRESET' } } })
  })

  test('the end of the transport ends it with MUX_TRANSPORT_CLOSED', async () => {
    const rig = new Rig()
    const { recorder } = rig.open()
    rig.transport.emit('end')
    expect(recorder.calls).toEqual(['close MUX_TRANSPORT_CLOSED'])
    expect(rig.transport.ended).toBe(true)
    rig.transport.destroy()
    expect((await rig.session.closed).code).toBe('MUX_TRANSPORT_CLOSED')
  })

  test('a session over a closed transport ends at once', async () => {
    const transport = new SyncTransport()
    transport.destroy()
    const session = new Session(transport.duplex, { role: 'client' })
    expect((await session.closed).code).toBe('MUX_TRANSPORT_CLOSED')
  })
})

describe('timeouts', () => {
  test('keepalive pings a silent peer, then ends with MUX_KEEPALIVE_TIMEOUT', async () => {
    const rig = new Rig({ keepAliveIntervalMs: 10_000, keepAliveTimeoutMs: 5000 })
    rig.clock.advance(9000)
    expect(await rig.sent()).toEqual([])
    rig.clock.advance(2000)
    expect(await rig.sent()).toEqual(['PING SYN 0 1'])
    rig.clock.advance(6000)
    expect(rig.transport.destroyed).toBe(true)
    expect((await rig.session.closed).code).toBe('MUX_KEEPALIVE_TIMEOUT')
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('keepalive does not end a peer that responds late but sends data', async () => {
    const rig = new Rig({ keepAliveIntervalMs: 10_000, keepAliveTimeoutMs: 5000 })
    rig.feed(frames('WND SYN 1 0'))
    for (let i = 0; i < 60; i++) {
      rig.clock.advance(2000)
      rig.feed(frames('DATA - 1 x'))
    }
    expect(rig.session.stats().state).toBe('open')
  })

  test('keepalive continues after a response and measures the round trip', async () => {
    const rig = new Rig({ keepAliveIntervalMs: 10_000 })
    rig.clock.advance(11_000)
    rig.clock.advance(25)
    rig.feed(frames('PING ACK 0 1'))
    expect(rig.session.stats().minRttMs).toBeGreaterThan(0)
    rig.clock.advance(12_000)
    expect(await rig.sent()).toEqual(['PING SYN 0 1', 'PING SYN 0 2'])
  })

  test('a session that only receives sends a frame per sweep, and none in return for one', async () => {
    const rig = new Rig()
    const bulk = (bytes: number) => rig.feed(frames(`DATA - 1 ${'x'.repeat(bytes)}`))
    rig.feed(frames('WND SYN 1 0'))
    const [recorder] = rig.inbound
    if (recorder !== undefined) recorder.consumes = false
    bulk(1000)
    expect(await rig.sent()).toEqual(['WND ACK 1 0'])
    rig.clock.advance(1000)
    expect(await rig.sent()).toEqual([])
    // The peer is not read: no credit is returned, the frame is sent all the same.
    bulk(1000)
    rig.clock.advance(1000)
    expect(await rig.sent()).toEqual(['WND - 1 0'])
    recorder?.channel?.consume(1500)
    bulk(1000)
    rig.clock.advance(1000)
    expect(await rig.sent()).toEqual(['WND - 1 1500'])
    rig.feed(frames('WND - 1 0', 'WND - 1 0'))
    rig.clock.advance(3000)
    expect(await rig.sent()).toEqual([])
    rig.feed(frames(`DATA FIN 1 ${'x'.repeat(1000)}`))
    rig.clock.advance(3000)
    expect(await rig.sent()).toEqual([])
  })

  test('resets a stream that is not acknowledged in ackTimeoutMs, and no other', async () => {
    const rig = new Rig({ ackTimeoutMs: 2000 })
    const { recorder } = rig.open()
    const other = rig.open()
    rig.feed(frames('WND ACK 4 0'))
    rig.clock.advance(1999)
    expect(recorder.calls).toEqual([])
    rig.clock.advance(1001)
    expect(recorder.calls).toEqual(['close MUX_ACK_TIMEOUT'])
    expect(other.recorder.calls).toEqual([])
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'WND SYN 4 0', 'WND RST 2 0'])
  })

  test('resets a half-closed stream that stays silent, and not one that sends', async () => {
    const rig = new Rig({ halfClosedTimeoutMs: 2000 })
    const silent = rig.open()
    const busy = rig.open()
    const open = rig.open()
    rig.feed(frames('WND ACK 2 0', 'WND ACK 4 0', 'WND ACK 6 0'))
    silent.channel.end()
    busy.channel.end()
    await rig.sent()
    for (let i = 0; i < 6; i++) {
      rig.clock.advance(500)
      rig.feed(frames('DATA - 4 x'))
    }
    expect(silent.recorder.calls).toEqual(['close MUX_HALF_CLOSED_TIMEOUT'])
    expect(busy.recorder.calls).toEqual(['data xxxxxx'])
    expect(open.recorder.calls).toEqual([])
    rig.clock.advance(3000)
    expect(busy.recorder.calls).toEqual(['data xxxxxx', 'close MUX_HALF_CLOSED_TIMEOUT'])
  })

  test('runs no timer while there is nothing to check', async () => {
    const rig = new Rig()
    expect(rig.clock.pending).toBe(0)
    const { channel } = rig.open()
    rig.open().channel.reset()
    expect(rig.clock.pending).toBe(1)
    channel.reset()
    rig.clock.advance(1000)
    expect(rig.clock.pending).toBe(0)
  })
})

describe('pings', () => {
  test('responds with the same value, before any data', async () => {
    const rig = new Rig()
    const { channel } = rig.open()
    channel.write(Buffer.from('data'))
    rig.feed(frames('PING SYN 0 4294967295'))
    expect(await rig.sent()).toEqual(['WND SYN 2 0', 'PING ACK 0 4294967295', 'DATA - 2 data'])
  })

  test('measures a round trip and can be aborted', async () => {
    const rig = new Rig()
    const controller = new AbortController()
    const pings = [rig.session.ping(), rig.session.ping({ signal: controller.signal })]
    rig.clock.advance(7)
    rig.feed(frames('PING ACK 0 1'))
    expect(await pings[0]).toBe(7)
    controller.abort(new Error('no time'))
    await expect(pings[1]).rejects.toThrow('no time')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    expect(rig.session.stats()).toMatchObject({ rttMs: 7, minRttMs: 7, pendingPings: 0 })
  })

  test('the 65th that waits rejects with MUX_PING_BACKLOG', async () => {
    const rig = new Rig()
    const pings = Array.from({ length: 64 }, () => rig.session.ping())
    await expect(rig.session.ping()).rejects.toEqual(code('MUX_PING_BACKLOG'))
    rig.session.destroy()
    for (const ping of pings) await expect(ping).rejects.toEqual(code('MUX_SESSION_DESTROYED'))
  })

  test('allows maxPingsPerSecond of the peer again in the next second', async () => {
    const rig = new Rig({ maxPingsPerSecond: 2 })
    rig.feed(frames('PING SYN 0 1', 'PING SYN 0 2'))
    rig.clock.advance(1000)
    rig.feed(frames('PING SYN 0 3', 'PING SYN 0 4'))
    expect(rig.session.stats().state).toBe('open')
    rig.feed(frames('PING SYN 0 5'))
    expect(rig.session.stats().state).toBe('ending')
  })
})

describe('bulk', () => {
  test('is seen where credit is granted often, and where it is received often', () => {
    const receiver = new Rig()
    receiver.feed(frames('WND SYN 1 0'))
    // The recorder of the stream consumes at once.
    const receive = (): void => receiver.feed(frames(`DATA - 1 ${'x'.repeat(BASE / 2)}`))
    receive()
    expect(receiver.session.carriesBulk).toBe(false)
    receiver.clock.advance(20)
    receive()
    expect(receiver.session.carriesBulk).toBe(true)
    receiver.clock.advance(200)
    expect(receiver.session.carriesBulk).toBe(false)

    const sender = new Rig()
    sender.open()
    sender.feed(frames(`WND ACK 2 ${BASE}`))
    sender.clock.advance(20)
    sender.feed(frames('WND - 2 100'))
    expect(sender.session.carriesBulk).toBe(false)
    sender.feed(frames(`WND - 2 ${BASE / 2}`))
    expect(sender.session.carriesBulk).toBe(true)
  })
})

describe('a long path', () => {
  /** A session that has measured these round trips. */
  const measuredAll = async (
    rttsMs: readonly number[],
    options: Partial<SessionOptions> = {},
  ): Promise<Rig> => {
    const rig = new Rig(options)
    for (const [at, rttMs] of rttsMs.entries()) {
      const ping = rig.session.ping()
      rig.clock.advance(rttMs)
      rig.feed(frames(`PING ACK 0 ${at + 1}`))
      await ping
    }
    await rig.sent()
    return rig
  }
  const measured = (rttMs: number, options?: Partial<SessionOptions>): Promise<Rig> =>
    measuredAll([rttMs, rttMs, rttMs], options)
  const LARGE = 4 * 1_048_576 - BASE

  test('gives a new stream a large window, with its SYN or ACK', async () => {
    const rig = await measured(5)
    rig.open()
    rig.feed(frames('WND SYN 1 0'))
    const deltas = (await rig.sent()).map((frame) => Number(frame.split(' ')[3]))
    // As much as there is for one: the second gets a sixteenth less of what is left.
    expect(deltas[0]).toBe(LARGE)
    expect(deltas[1]).toBeGreaterThan(0.9 * LARGE)
    expect(rig.session.stats().grownBytes).toBe((deltas[0] ?? 0) + (deltas[1] ?? 0))
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test.each([
    ['its round trip is shorter', 4.9, {}],
    ['longPathWindowBytes is that of yamux', 50, { longPathWindowBytes: BASE }],
    ['there is no budget', 50, { maxSessionGrowthBytes: 0 }],
  ])('does not when %s', async (_, rttMs, options) => {
    const rig = await measured(rttMs, options)
    rig.open()
    expect(await rig.sent()).toEqual(['WND SYN 2 0'])
  })

  test.each([
    ['any round trip is known', []],
    ['three of them are known', [50, 50]],
    ['the smallest one is long', [50, 0.2, 0.2, 0.2]],
  ])('does not before %s', async (_, rttsMs) => {
    const rig = await measuredAll(rttsMs)
    rig.open()
    expect(await rig.sent()).toEqual(['WND SYN 2 0'])
  })

  test.each([
    ['three times when they are long', [50, 50, 50], 3],
    ['once when it is short', [0.2], 1],
    ['until one is short', [50, 0.2], 2],
  ])('is measured %s', async (_, rttsMs, pings) => {
    const rig = new Rig()
    const done = rig.session.measurePath()
    let sent = 0
    for (const [at, rttMs] of rttsMs.entries()) {
      sent += (await rig.sent()).filter((frame) => frame.startsWith('PING SYN')).length
      rig.clock.advance(rttMs)
      rig.feed(frames(`PING ACK 0 ${at + 1}`))
    }
    await done
    expect(sent).toBe(pings)
    expect(await rig.sent()).toEqual([])
  })

  test('lets a window grow while the latest round trip is longer than the smallest', async () => {
    const rig = await measured(50, { longPathWindowBytes: BASE })
    rig.feed(frames('WND SYN 1 0'))
    // Lost packets: what the window allows takes three round trips, and so does a ping.
    for (let i = 0; i < 10; i++) {
      const ping = rig.session.ping()
      rig.clock.advance(150)
      const value = (await rig.sent()).findLast((frame) => frame.startsWith('PING SYN'))
      rig.feed(frames(`PING ACK 0 ${value?.split(' ')[3]}`))
      await ping
      for (let n = 0; n < 2; n++) rig.feed(frames(`DATA - 1 ${'x'.repeat(131_072)}`))
    }
    expect(rig.session.stats().windowBytes).toBeGreaterThan(1.5 * BASE)
  })

  test('a thousand streams that are not read hold a bounded number of bytes, and one more grows', async () => {
    const rig = await measured(5)
    const slow = 1000
    const piece = frames(`DATA - 1 ${'x'.repeat(65_536)}`)
    for (let n = 0; n < slow; n++) {
      const id = 2 * n + 1
      rig.feed(frames(`WND SYN ${id} 0`))
      const recorder = rig.inbound[n]
      if (recorder === undefined) throw new Error('no stream')
      recorder.consumes = false
      piece.writeUInt32BE(id, 4)
      const pieces = Math.floor((recorder.channel?.receiveWindowBytes ?? 0) / 65_536)
      for (let i = 0; i < pieces; i++) rig.feed(piece)
    }
    const { heldBytes, grownBytes } = rig.session.stats()
    expect(heldBytes).toBeGreaterThanOrEqual(slow * BASE)
    expect(heldBytes).toBeLessThanOrEqual(slow * BASE + 64 * 1_048_576)
    expect(grownBytes).toBeLessThanOrEqual(64 * 1_048_576)
    const id = 2 * slow + 1
    rig.feed(frames(`WND SYN ${id} 0`))
    piece.writeUInt32BE(id, 4)
    for (let i = 0; i < 1000; i++) {
      rig.feed(piece, piece)
      rig.clock.advance(0.1) // 1.3 GB/s
    }
    // As fast as it would be alone: more than two round trips of that.
    expect(rig.inbound[slow]?.channel?.receiveWindowBytes).toBeGreaterThan(10_000_000)
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })
})

describe('budgets', () => {
  // A peer that fills its window again and again, with a round trip of five milliseconds.
  const grow = (rig: Rig, id = 1): void => {
    rig.feed(frames(`WND SYN ${id} 0`))
    for (let i = 0; i < 100; i++) {
      rig.feed(frames(`DATA - ${id} ${'x'.repeat(131_072)}`))
      rig.clock.advance(1)
      if (rig.session.stats().minRttMs === undefined) {
        rig.clock.advance(4)
        rig.feed(frames('PING ACK 0 1'))
      }
    }
  }

  test('a window grows to maxStreamWindowBytes, as stats() shows', async () => {
    const rig = new Rig({ maxStreamWindowBytes: 1_000_000 })
    grow(rig)
    expect(rig.session.stats()).toMatchObject({
      windowBytes: 1_000_000,
      grownBytes: 1_000_000 - BASE,
    })
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('windows of a session grow by no more than maxSessionGrowthBytes', () => {
    const rig = new Rig({ maxSessionGrowthBytes: 50_000 })
    grow(rig)
    expect(rig.session.stats()).toMatchObject({ windowBytes: BASE + 25_000, grownBytes: 25_000 })
    grow(rig, 3)
    grow(rig, 5)
    expect(rig.session.stats().grownBytes).toBeLessThanOrEqual(50_000)
    expect(rig.session.stats().grownBytes).toBeGreaterThan(33_000)
  })

  test('windows of all sessions grow by no more than the budget they share', () => {
    const windowBudget = new WindowBudget(60_000)
    const rigs = [new Rig({ windowBudget }), new Rig({ windowBudget })] as const
    for (const rig of rigs) grow(rig)
    const [first, second] = rigs.map((rig) => rig.session.stats().grownBytes)
    expect([first, second, windowBudget.usedBytes]).toEqual([30_000, 15_000, 45_000])
    for (const rig of rigs) rig.session.destroy()
    expect(windowBudget.usedBytes).toBe(0)
  })

  test('windows that grew first give way to one that needs to grow', () => {
    const rig = new Rig({ maxSessionGrowthBytes: 1_000_000 })
    grow(rig, 1)
    expect(rig.session.stats().grownBytes).toBe(500_000)
    rig.feed(frames('WND SYN 3 0'))
    for (let i = 0; i < 100; i++) {
      for (const id of [1, 3]) rig.feed(frames(`DATA - ${id} ${'x'.repeat(131_072)}`))
      rig.clock.advance(1)
    }
    expect(rig.session.stats().grownBytes).toBeLessThanOrEqual(1_000_000)
    const [first, second] = rig.inbound.map(({ channel }) => channel?.receiveWindowBytes ?? 0)
    expect(first).toBeLessThan(BASE + 400_000)
    expect(second).toBeGreaterThan(BASE + 300_000)
  })
})
