import { Duplex } from 'node:stream'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ClosePayload } from '../../src/websocket/close.ts'
import { isWebSocketPipeError, type WebSocketErrorCode } from '../../src/websocket/errors.ts'
import {
  resolveWebSocketPipeOptions,
  type WebSocketPipeOptions,
} from '../../src/websocket/options.ts'
import { WebSocketReceiver } from '../../src/websocket/receiver.ts'
import { frame, hex, HOSTILE } from './peers.ts'

/** A receiver that writes down what it delivers. */
function listen(options: WebSocketPipeOptions = { role: 'server' }): {
  receiver: WebSocketReceiver
  payloads: Buffer[]
  pings: Buffer[]
  closes: ClosePayload[]
} {
  const payloads: Buffer[] = []
  const pings: Buffer[] = []
  const closes: ClosePayload[] = []
  const receiver = new WebSocketReceiver(resolveWebSocketPipeOptions(new Duplex(), options), {
    onPayload: (bytes) => payloads.push(Buffer.from(bytes)),
    onPing: (payload) => pings.push(payload),
    onClose: (close) => closes.push(close),
  })
  return { receiver, payloads, pings, closes }
}

/** Cuts bytes at the given offsets; each piece is a copy, for receivers change what they get. */
function cut(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const borders = [0, ...offsets.toSorted((a, b) => a - b), bytes.length]
  return borders.slice(1).map((to, i) => Buffer.from(bytes.subarray(borders[i], to)))
}

function codeOf(run: () => void): WebSocketErrorCode | undefined {
  try {
    run()
  } catch (error) {
    if (isWebSocketPipeError(error)) return error.code
    throw error
  }
  return undefined
}

/** Payloads with the key and the kind of frame each leaves in; a message ends where fin is true. */
const anyFrames = fc.array(
  fc.record({
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 60_000, max: 70_000 }).map((size) => new Uint8Array(size).fill(size)),
    ),
    key: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    fin: fc.boolean(),
    ping: fc.boolean(),
  }),
  { maxLength: 12 },
)

test('bytes arrive equal through any fragmentation and chunking, in both roles', () => {
  fc.assert(
    fc.property(
      anyFrames,
      fc.constantFrom('server' as const, 'client' as const),
      fc.array(fc.nat(), { maxLength: 40 }),
      (frames, role, cuts) => {
        const masked = role === 'server'
        let begins = true
        const image = Buffer.concat(
          frames.flatMap(({ payload, key, fin, ping }) => {
            const opcode = begins ? 2 : 0
            begins = fin
            const data = frame({ opcode, fin, payload, ...(masked && { key }) })
            return ping
              ? [data, frame({ opcode: 9, payload: Buffer.from('p'), ...(masked && { key }) })]
              : [data]
          }),
        )
        const { receiver, payloads, pings } = listen({ role })
        const offsets = cuts.map((at) => at % (image.length + 1))
        for (const chunk of cut(image, offsets)) receiver.push(chunk)
        const sent = Buffer.concat(frames.map(({ payload }) => payload))
        expect(Buffer.concat(payloads).equals(sent)).toBe(true)
        expect(pings).toHaveLength(frames.filter(({ ping }) => ping).length)
        expect(receiver.inMessage).toBe(!begins)
      },
    ),
  )
})

test('bytes arrive equal byte by byte', () => {
  const image = Buffer.concat([
    frame({ opcode: 2, fin: false, payload: Buffer.alloc(300, 1), key: 77 }),
    frame({ opcode: 9, payload: Buffer.from('ping'), key: 78 }),
    frame({ opcode: 0, payload: Buffer.alloc(3, 2), key: -79 }),
    frame({ opcode: 8, payload: hex('03e8 6f6b'), key: 80 }),
  ])
  const { receiver, payloads, pings, closes } = listen()
  for (const byte of image) receiver.push(Buffer.of(byte))
  expect(Buffer.concat(payloads)).toEqual(Buffer.concat([Buffer.alloc(300, 1), Buffer.alloc(3, 2)]))
  expect(pings).toEqual([Buffer.from('ping')])
  expect(closes).toEqual([{ code: 1000, reason: 'ok' }])
})

test('payload is delivered before the rest of its frame has come', () => {
  const image = frame({ opcode: 2, payload: Buffer.from('abcdef'), key: 5 })
  const { receiver, payloads } = listen()
  receiver.push(Buffer.from(image.subarray(0, -3)))
  expect(payloads).toEqual([Buffer.from('abc')])
  expect(receiver.inMessage).toBe(true)
  receiver.push(Buffer.from(image.subarray(-3)))
  expect(payloads).toEqual([Buffer.from('abc'), Buffer.from('def')])
  expect(receiver.inMessage).toBe(false)
})

test('small fragments of one chunk are delivered in one piece', () => {
  const fragments = Array.from({ length: 16 }, (_, i) =>
    frame({ opcode: i === 0 ? 2 : 0, fin: i === 15, payload: Buffer.alloc(4096, i), key: i * 997 }),
  )
  const { receiver, payloads } = listen()
  receiver.push(Buffer.concat(fragments))
  expect(payloads).toEqual([
    Buffer.concat(Array.from({ length: 16 }, (_, i) => Buffer.alloc(4096, i))),
  ])
})

test('the short end of one message is delivered with the long beginning of the next', () => {
  const [long, short] = [Buffer.alloc(100_000, 'l'), Buffer.alloc(300, 's')]
  const image = Buffer.concat([
    frame({ opcode: 2, payload: short, key: 1 }),
    frame({ opcode: 9, payload: Buffer.from('ping'), key: 2 }),
    frame({ opcode: 2, payload: long, key: 3 }),
  ])
  const { receiver, payloads, pings } = listen()
  receiver.push(image)
  expect(payloads).toEqual([Buffer.concat([short, long])])
  expect(pings.map(String)).toEqual(['ping'])
})

test('wherever the input stops, what came is delivered and the cut is known', () => {
  const image = Buffer.concat([
    frame({ opcode: 2, fin: false, payload: Buffer.from('ab'), key: 1 }),
    frame({ opcode: 9, payload: Buffer.from('p'), key: 2 }),
    frame({ opcode: 0, payload: Buffer.from('cd'), key: 3 }),
    frame({ opcode: 2, payload: Buffer.from('ef'), key: 4 }),
  ])
  const whole = [0, 23, 31] // before the first message, behind it, and behind the second
  for (let length = 0; length <= image.length; length++) {
    const { receiver, payloads } = listen()
    receiver.push(Buffer.from(image.subarray(0, length)))
    expect(receiver.inMessage).toBe(!whole.includes(length))
    expect(Buffer.from('abcdef').subarray(0, Buffer.concat(payloads).length)).toEqual(
      Buffer.concat(payloads),
    )
  }
})

test('nothing is delivered behind a Close frame', () => {
  const { receiver, payloads, closes } = listen({ role: 'client' })
  receiver.push(hex('82 01 61  88 00  82 01 62'))
  receiver.push(hex('ff ff'))
  expect(payloads).toEqual([Buffer.from('a')])
  expect(closes).toEqual([{ code: undefined, reason: '' }])
})

test.each(HOSTILE)('$name ends with $code, whole and byte by byte', ({ role, bytes, code }) => {
  const good = frame({
    opcode: 2,
    payload: Buffer.from('good'),
    ...(role === 'server' && { key: 9 }),
  })
  const image = Buffer.concat([good, bytes])
  const whole = listen({ role })
  expect(codeOf(() => whole.receiver.push(Buffer.from(image)))).toBe(code)
  const pieces = listen({ role })
  const feed = (): void => {
    for (const byte of image) pieces.receiver.push(Buffer.of(byte))
  }
  expect(codeOf(feed)).toBe(code)
  for (const { payloads } of [whole, pieces]) {
    expect(Buffer.concat(payloads).subarray(0, 4).toString()).toBe('good')
  }
})

test('a frame may announce maxFrameBytes and not one more', () => {
  const options = { role: 'client', maxFrameBytes: 1000 } as const
  expect(codeOf(() => listen(options).receiver.push(hex('82 7e 03e7')))).toBeUndefined()
  expect(codeOf(() => listen(options).receiver.push(hex('82 7e 03e8')))).toBeUndefined()
  expect(codeOf(() => listen(options).receiver.push(hex('82 7e 03e9')))).toBe(
    'WEBSOCKET_FRAME_TOO_LARGE',
  )
  const unlimited = listen({ role: 'client', maxFrameBytes: Infinity })
  unlimited.receiver.push(hex('82 7f 7fffffffffffffff'))
  expect(unlimited.receiver.inMessage).toBe(true)
})

test.each([
  ['pings', '89 00'],
  ['pongs', '8a 00'],
  ['empty messages', '82 00'],
])('%s may come maxIdleFramesPerSecond times in a second and not once more', (_name, text) => {
  const times = (count: number): WebSocketErrorCode | undefined => {
    const { receiver } = listen({ role: 'client', maxIdleFramesPerSecond: 10 })
    return codeOf(() =>
      receiver.push(Buffer.concat(Array.from({ length: count }, () => hex(text)))),
    )
  }
  expect(times(9)).toBeUndefined()
  expect(times(10)).toBeUndefined()
  expect(times(11)).toBe('WEBSOCKET_FRAME_RATE_EXCEEDED')
})
