// Violations of the protocol by the peer, and their outcome. Each case runs with its bytes in one chunk,
// byte by byte, and cut off at every offset where the transport closes: nothing may be left.
import { describe, expect, test } from 'vitest'
import type { SessionOptions } from '../../src/index.ts'
import { frames, header, NOTHING_LEFT, Rig } from '../wire.ts'

interface Hostile {
  readonly what: string
  readonly bytes: Buffer
  /** Code with which the session ends; absent if it continues. */
  readonly ends?: string
  /** Frames we answer with, from the first on. */
  readonly says: readonly string[]
  /** Calls of the first stream's sink. */
  readonly tells?: readonly string[]
  readonly options?: Partial<SessionOptions>
  /** Opens stream 2 before the bytes come. */
  readonly opens?: boolean
}

const PROTOCOL_ERROR = 'GOAWAY - 0 1'
const MAX = 0xffff_ffff

const CASES: readonly Hostile[] = [
  {
    what: 'a version other than 0',
    bytes: header(2, 1, 0, 7, 1),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'an unknown type',
    bytes: header(4, 0, 0, 0),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'unknown flags',
    bytes: header(1, 0x11, 1, 0),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'unknown flags in the high byte',
    bytes: header(1, 0x101, 1, 0),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'a length beyond the window, at the header',
    bytes: Buffer.concat([frames('WND SYN 1 0'), header(0, 0, 1, 262_145)]),
    ends: 'MUX_WINDOW_EXCEEDED',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
    tells: ['close MUX_WINDOW_EXCEEDED'],
  },
  {
    what: 'a length of 4 GiB',
    bytes: Buffer.concat([frames('WND SYN 1 0'), header(0, 0, 1, MAX)]),
    ends: 'MUX_WINDOW_EXCEEDED',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
  },
  {
    what: 'credit that overflows 32 bits',
    bytes: frames('WND SYN 1 0', `WND - 1 ${MAX}`),
    ends: 'MUX_CREDIT_OVERFLOW',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
  },
  {
    what: 'credit for stream 0',
    bytes: frames('WND - 0 1'),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'data for stream 0',
    bytes: frames('DATA - 0 x'),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'SYN on an open stream',
    bytes: frames('WND SYN 1 0', 'WND SYN 1 0'),
    ends: 'MUX_STREAM_ID_INVALID',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
    tells: ['close MUX_STREAM_ID_INVALID'],
  },
  {
    what: 'SYN on an id of a closed stream',
    bytes: frames('WND SYN 1 0', 'WND RST 1 0', 'WND SYN 1 0'),
    ends: 'MUX_STREAM_ID_INVALID',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
    tells: ['close MUX_STREAM_RESET'],
  },
  {
    what: 'SYN on an id of our parity',
    bytes: frames('WND SYN 2 0'),
    ends: 'MUX_STREAM_ID_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'SYN on an id far below those seen',
    bytes: frames('WND SYN 2001 0', 'WND SYN 1 0'),
    ends: 'MUX_STREAM_ID_INVALID',
    says: ['WND ACK 2001 0', PROTOCOL_ERROR],
  },
  {
    what: 'SYNs out of order, as Go peers send them',
    bytes: frames('WND SYN 5 0', 'WND SYN 1 0', 'WND SYN 3 0'),
    says: ['WND ACK 5 0', 'WND ACK 1 0', 'WND ACK 3 0'],
    tells: [],
  },
  {
    what: 'ACK for an id never opened',
    bytes: frames('WND ACK 2 0'),
    ends: 'MUX_STREAM_ID_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'data for an id of the peer never opened',
    bytes: frames('DATA - 1 x'),
    ends: 'MUX_STREAM_ID_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'data for an id of ours never opened',
    bytes: frames('DATA - 2 x'),
    ends: 'MUX_STREAM_ID_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'data after FIN',
    bytes: frames('WND SYN 1 0', 'WND FIN 1 0', 'DATA - 1 late'),
    says: ['WND ACK 1 0', 'WND RST 1 0'],
    tells: ['end', 'close MUX_STREAM_VIOLATED'],
  },
  {
    what: 'FIN twice',
    bytes: frames('WND SYN 1 0', 'WND FIN 1 0', 'WND FIN 1 0'),
    ends: 'MUX_FRAME_UNEXPECTED',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
    tells: ['end', 'close MUX_FRAME_UNEXPECTED'],
  },
  {
    what: 'SYN and FIN in one frame',
    bytes: frames('WND SYN|FIN 1 0'),
    says: ['WND ACK 1 0'],
    tells: ['end'],
  },
  {
    what: 'SYN, payload and FIN in one frame',
    bytes: frames('DATA SYN|FIN 1 hello'),
    says: ['WND ACK 1 0'],
    tells: ['data hello', 'end'],
  },
  { what: 'SYN and RST in one frame', bytes: frames('WND SYN|RST 1 0', 'DATA - 1 late'), says: [] },
  {
    what: 'all flags at once',
    bytes: frames('WND SYN|ACK|FIN|RST 1 0'),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'a ping on a stream',
    bytes: frames('PING SYN 1 0'),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'a ping without flags',
    bytes: frames('PING - 0 0'),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'a ping that is request and response',
    bytes: frames('PING SYN|ACK 0 0'),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  { what: 'a response to no ping', bytes: frames('PING ACK 0 99'), says: [] },
  {
    what: 'GoAway on a stream',
    bytes: frames('GOAWAY - 1 0'),
    ends: 'MUX_FRAME_INVALID',
    says: [PROTOCOL_ERROR],
  },
  {
    what: 'GoAway with an unknown code',
    bytes: frames('WND SYN 1 0', 'GOAWAY - 0 77'),
    ends: 'MUX_GOAWAY_RECEIVED',
    says: ['WND ACK 1 0'],
    tells: ['close MUX_GOAWAY_RECEIVED'],
  },
  {
    what: 'a flood of pings',
    bytes: frames('PING SYN 0 1', 'PING SYN 0 2', 'PING SYN 0 3', 'PING SYN 0 4'),
    options: { maxPingsPerSecond: 3 },
    ends: 'MUX_PING_FLOOD',
    says: ['PING ACK 0 1', 'PING ACK 0 2', 'PING ACK 0 3', PROTOCOL_ERROR],
  },
  {
    what: 'a flood of empty window updates',
    bytes: frames('WND SYN 1 0', 'WND - 1 0', 'WND - 1 0', 'WND - 1 0', 'WND - 1 0'),
    options: { maxIdleFramesPerSecond: 3 },
    ends: 'MUX_CONTROL_FLOOD',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
  },
  {
    what: 'a flood of empty data',
    bytes: frames('WND SYN 1 0', 'DATA - 1 ', 'DATA - 1 ', 'DATA - 1 '),
    options: { maxIdleFramesPerSecond: 2 },
    ends: 'MUX_CONTROL_FLOOD',
    says: ['WND ACK 1 0', PROTOCOL_ERROR],
  },
  {
    what: 'a flood of streams opened and reset',
    bytes: frames(
      'WND SYN 1 0',
      'WND RST 1 0',
      'WND SYN 3 0',
      'WND RST 3 0',
      'WND SYN 5 0',
      'WND RST 5 0',
    ),
    options: { maxIdleFramesPerSecond: 2 },
    ends: 'MUX_CONTROL_FLOOD',
    says: ['WND ACK 1 0', 'WND ACK 3 0', 'WND ACK 5 0', PROTOCOL_ERROR],
    tells: ['close MUX_STREAM_RESET'],
  },
  {
    what: 'more streams than allowed',
    bytes: frames('WND SYN 1 0', 'WND SYN 3 0', 'DATA - 3 dropped', 'WND SYN 5 0'),
    options: { maxInboundStreams: 1 },
    says: ['WND ACK 1 0', 'WND RST 3 0', 'WND RST 5 0'],
    tells: [],
  },
  {
    what: 'a flood of streams that are rejected',
    bytes: frames('WND SYN 1 0', 'WND SYN 3 0', 'WND SYN 5 0'),
    options: { maxInboundStreams: 0, maxIdleFramesPerSecond: 2 },
    ends: 'MUX_CONTROL_FLOOD',
    says: ['WND RST 1 0', 'WND RST 3 0', 'WND RST 5 0', PROTOCOL_ERROR],
  },
  {
    what: 'ACK twice',
    bytes: frames('WND ACK 2 0', 'WND ACK 2 0'),
    opens: true,
    says: ['WND SYN 2 0'],
  },
  {
    what: 'ACK on a stream of the peer',
    bytes: frames('WND SYN 1 0', 'WND ACK 1 0'),
    says: ['WND ACK 1 0'],
    tells: [],
  },
  {
    what: 'late frames for a stream that was reset',
    bytes: frames('WND RST 2 0', 'DATA - 2 late', 'WND FIN 2 0', 'WND - 2 5'),
    opens: true,
    says: ['WND SYN 2 0'],
  },
]

function start({ options, opens }: Hostile): Rig {
  const rig = new Rig(options)
  if (opens === true) rig.open()
  return rig
}

describe.each(CASES)('$what', (hostile) => {
  const { bytes, ends, says, tells } = hostile
  const ways = {
    'in one chunk': [bytes],
    'byte by byte': Array.from(bytes, (byte) => Buffer.from([byte])),
  }

  test.each(Object.entries(ways))('%s', async (_, chunks) => {
    const rig = start(hostile)
    rig.feed(...chunks)
    expect(await rig.sent()).toEqual(says)
    const told = rig.inbound[0]?.calls ?? []
    expect(told).toEqual(tells ?? told)
    expect(rig.session.stats().state).toBe(ends === undefined ? 'open' : 'ending')
    expect(rig.transport.ended).toBe(ends !== undefined)
    rig.transport.destroy()
    expect((await rig.session.closed).code).toBe(ends ?? 'MUX_TRANSPORT_CLOSED')
    expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
  })

  test('leaves nothing when cut off anywhere', async () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const rig = start(hostile)
      rig.feed(bytes.subarray(0, cut))
      rig.transport.destroy()
      expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
    }
  })
})

test('a peer that does not read and causes control frames ends the session with MUX_CONTROL_BACKLOG', async () => {
  const rig = new Rig({ maxQueuedControlFrames: 16, maxInboundStreams: 0 })
  rig.transport.writableNeedDrain = true
  for (let i = 0; i < 16; i++) rig.feed(frames(`WND SYN ${1 + 2 * i} 0`))
  await rig.sent()
  expect(rig.session.stats().state).toBe('open')
  rig.feed(frames('WND SYN 33 0'))
  expect(rig.transport.destroyed).toBe(true)
  expect((await rig.session.closed).code).toBe('MUX_CONTROL_BACKLOG')
  expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
})

test('the transport of a peer that sends on after our last frame is destroyed after lingerTimeoutMs', async () => {
  const rig = new Rig({ lingerTimeoutMs: 500 })
  rig.feed(header(9, 0, 0, 0), frames('PING SYN 0 1'))
  rig.clock.advance(499)
  rig.feed(frames('PING SYN 0 2'))
  expect(rig.transport.destroyed).toBe(false)
  rig.clock.advance(1)
  expect(rig.transport.destroyed).toBe(true)
  expect((await rig.session.closed).code).toBe('MUX_FRAME_INVALID')
  expect(await rig.sent()).toEqual([PROTOCOL_ERROR])
  expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
})

test('the queue for a peer that returns no credit is bounded', async () => {
  const rig = new Rig({ maxQueuedBytes: 600_000 })
  const { channel, recorder } = rig.open()
  const chunk = Buffer.alloc(100_000)
  let written = 0
  while (channel.write(chunk)) written += chunk.length
  await rig.sent()
  expect(channel.queuedBytes).toBe(written + chunk.length - 262_144)
  expect(() => {
    for (let i = 0; i < 10; i++) channel.write(chunk)
  }).toThrow(expect.objectContaining({ code: 'MUX_QUEUE_FULL' }))
  expect(channel.queuedBytes).toBeLessThanOrEqual(600_000)
  expect(channel.stalls).toBe(1)
  expect(recorder.calls).toEqual(['drain'])
  expect(await rig.leftovers()).toEqual(NOTHING_LEFT)
})
