import { once } from 'node:events'
import { Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { until } from '@proj/testkit/until'
import * as fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { WebSocketPipe } from '../../src/websocket/pipe.ts'
import { failure, frame, hex, pipePair, rawPair, readAll, socketPair } from './peers.ts'

/** A transport whose writes are never taken until told, and whose reads are pushed by the test. */
class Held extends Duplex {
  readonly written: Buffer[] = []
  readonly waiting: (() => void)[] = []
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk)
    this.waiting.push(done)
  }
}

test('any writes arrive equal in both directions, in both masks, at once', async () => {
  const anyWrites = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 10_000, max: 300_000 }).map((size) => new Uint8Array(size).fill(size)),
    ),
    { maxLength: 8 },
  )
  await fc.assert(
    fc.asyncProperty(
      anyWrites,
      anyWrites,
      fc.constantFrom('random' as const, 'zero' as const),
      fc.constantFrom(100, 5000, 2 ** 20),
      async (up, down, mask, maxMessageBytes) => {
        await using pair = await pipePair({ mask, maxMessageBytes })
        const send = (pipe: WebSocketPipe, writes: Uint8Array[]): Promise<void> =>
          pipeline(Readable.from(writes.filter((bytes) => bytes.length > 0)), pipe, { end: false })
        // There is no half-close: the first to end waits until it has everything.
        const wanted = Buffer.concat(down).length
        const [got, back] = await Promise.all([
          readAll(pair.far),
          Promise.all([readAll(pair.near, wanted), send(pair.near, up)]).then(([bytes]) => {
            pair.near.end()
            return bytes
          }),
          send(pair.far, down),
        ])
        expect(got.equals(Buffer.concat(up))).toBe(true)
        expect(back.equals(Buffer.concat(down))).toBe(true)
      },
    ),
    { numRuns: 25 },
  )
})

test('what is written while corked leaves as one message', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.pipe.cork()
  for (const text of ['a', 'b', 'c']) pair.pipe.write(text)
  pair.pipe.uncork()
  const [message] = (await once(pair.raw, 'data')) as [Buffer]
  expect(message).toEqual(hex('82 03 616263'))
})

test('what is written while a batch is with the socket leaves as one message', () => {
  const socket = new Held()
  const pipe = new WebSocketPipe(socket, { role: 'server' })
  for (const text of ['a', 'b', 'c', 'd']) pipe.write(text)
  expect(socket.written).toEqual([hex('82 01 61')])
  socket.waiting.shift()?.()
  expect(socket.written).toEqual([hex('82 01 61'), hex('82 03 626364')])
  pipe.destroy()
})

test('an empty write sends nothing', async () => {
  await using pair = await rawPair({ role: 'server' })
  await new Promise((resolve) => pair.pipe.write(Buffer.alloc(0), resolve))
  pair.pipe.end('x')
  expect(await readAll(pair.raw)).toEqual(hex('82 01 78'))
})

test('a write is done when the socket has taken it, not before', () => {
  const socket = new Held()
  const pipe = new WebSocketPipe(socket, { role: 'server', writeBufferBytes: 10 })
  let done = 0
  expect(pipe.write('12345', () => done++)).toBe(true)
  expect(pipe.write('67890', () => done++)).toBe(false)
  expect(done).toBe(0)
  socket.waiting.shift()?.()
  expect(done).toBe(1)
  expect(pipe.writableLength).toBe(5)
  pipe.destroy()
})

test('bytes behind the handshake come first and stay unchanged', async () => {
  await using pair = await socketPair()
  const image = frame({ opcode: 2, payload: Buffer.from('first and second'), key: 99 })
  const head = image.subarray(0, 11)
  const before = Buffer.from(head)
  const pipe = new WebSocketPipe(pair.server, { role: 'server', head })
  pair.client.end(image.subarray(11))
  expect((await readAll(pipe)).toString()).toBe('first and second')
  expect(head).toEqual(before)
})

test('a transport other than a socket keeps its buffers unchanged', async () => {
  const socket = new Held()
  const pipe = new WebSocketPipe(socket, { role: 'server' })
  const chunk = Buffer.concat([
    frame({ opcode: 2, payload: Buffer.from('one'), key: 5 }),
    frame({ opcode: 2, payload: Buffer.from('two'), key: 6 }),
  ])
  const before = Buffer.from(chunk)
  socket.push(chunk)
  const [data] = (await once(pipe, 'data')) as [Buffer]
  expect(data.toString()).toBe('onetwo')
  expect(chunk).toEqual(before)
  pipe.destroy()
})

test('a pipe says how much the platform has not taken, where it can know that', async () => {
  await using pair = await socketPair()
  const known = new WebSocketPipe(pair.server, { role: 'server' })
  known.write('x')
  expect(known.unsentBytes).toBe(0)
  known.destroy()
  const other = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
  const unknown = new WebSocketPipe(other, { role: 'server' })
  unknown.write('x')
  expect(unknown.unsentBytes).toBe(Infinity)
  unknown.destroy()
})

test('a reader that stops, stops the writer, with bounded memory, and then gets everything', async () => {
  await using pair = await pipePair()
  const chunk = Buffer.alloc(64 * 1024, 'bulk')
  const total = 48 * 1024 * 1024
  let sent = 0
  const writing = (async () => {
    for (; sent < total; sent += chunk.length) {
      if (!pair.near.write(chunk)) await once(pair.near, 'drain')
    }
    pair.near.end()
  })()
  // Stuck: the same count at many looks in a row.
  let last = -1
  let same = 0
  await until(() => {
    same = sent === last ? same + 1 : 0
    last = sent
    return same >= 30
  })
  expect(sent).toBeLessThan(total)
  expect(pair.far.readableLength).toBeLessThanOrEqual((256 + 64) * 1024)
  expect(pair.near.writableLength).toBeLessThanOrEqual((256 + 64) * 1024)
  let got = 0
  for await (const part of pair.far) got += (part as Buffer).length
  await writing
  expect(got).toBe(total)
})

test('a ping is answered with its payload', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.pipe.resume()
  pair.raw.write(frame({ opcode: 9, payload: Buffer.from('hello'), key: 3 }))
  const [pong] = (await once(pair.raw, 'data')) as [Buffer]
  expect(pong).toEqual(hex('8a 05 68656c6c6f'))
})

test('to a peer that does not read, only the latest of many pings is answered', async () => {
  const socket = new Held()
  const pipe = new WebSocketPipe(socket, { role: 'client', mask: 'zero' })
  for (let i = 0; i < 50; i++) socket.push(frame({ opcode: 9, payload: Buffer.of(i) }))
  await until(() => socket.readableLength === 0 && socket.written.length > 0)
  expect(socket.written).toEqual([hex('8a 81 00000000 00')])
  socket.waiting.shift()?.()
  await until(() => socket.written.length === 2)
  expect(socket.written[1]).toEqual(hex('8a 81 00000000 31'))
  expect(socket.writableLength).toBe(7)
  pipe.destroy()
})

test('a wrong option throws before the socket is touched', () => {
  const socket = new Held()
  const before = socket.eventNames()
  expect(() => new WebSocketPipe(socket, { role: 'client', missedPongs: 0 })).toThrow('missedPongs')
  expect(socket.eventNames()).toEqual(before)
})

/** How a pipe is brought to its end, from the raw side or from its own. */
const ENDINGS: readonly (readonly [string, (pair: Awaited<ReturnType<typeof rawPair>>) => void])[] =
  [
    ['destroy()', ({ pipe }) => void pipe.destroy()],
    ['destroy(error)', ({ pipe }) => void pipe.destroy(new Error('enough'))],
    ['a clean end', ({ pipe, raw }) => void [pipe.end('x'), raw.end()]],
    [
      'a Close frame',
      ({ raw }) => void raw.end(frame({ opcode: 8, payload: hex('03e8'), key: 1 })),
    ],
    ['a violation', ({ raw }) => void raw.end(hex('81 80 00000000'))],
    ['a cut message', ({ raw }) => void raw.end(hex('82'))],
    ['a reset', ({ raw }) => void raw.resetAndDestroy()],
  ]

test.each(ENDINGS)('%s leaves no timer and no listener', async (_name, end) => {
  await using plain = await socketPair()
  plain.server.destroy()
  await once(plain.server, 'close')
  const count = (socket: typeof plain.server): number[] =>
    ['data', 'end', 'error', 'close'].map((event) => socket.listenerCount(event))
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'] })
  try {
    await using pair = await rawPair({ role: 'server' })
    expect(vi.getTimerCount()).toBe(1)
    pair.raw.on('error', () => {}).resume()
    pair.pipe.on('error', () => {}).resume()
    const closed = [pair.pipe, pair.socket].map(
      (stream) => new Promise((resolve) => stream.once('close', resolve)),
    )
    end(pair)
    await Promise.all(closed)
    expect(vi.getTimerCount()).toBe(0)
    expect(count(pair.socket)).toEqual(count(plain.server))
  } finally {
    vi.useRealTimers()
  }
})

test('errors hold no bytes of the connection', async () => {
  await using pair = await rawPair({ role: 'client' })
  pair.raw.write(hex('82 7e 0003 736563726574'))
  const error = await failure(pair.pipe)
  expect(JSON.stringify(error) + error.message).not.toContain('secret')
})
