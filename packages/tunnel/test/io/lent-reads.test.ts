import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

import { listening } from '@proj/testkit/listening'
import { until } from '@proj/testkit/until'
import { expect, it } from 'vitest'

import { readLent } from '../../src/io/lent-reads.ts'
import { canReadOn } from '../../src/io/read-on.ts'

/** A connection whose accepting side is read by the test. */
async function pair(): Promise<{ writer: Socket; reader: Socket } & AsyncDisposable> {
  const server = createServer({ allowHalfOpen: true })
  const address = await listening(server)
  const accepted = once(server, 'connection')
  const writer = connect({ port: address.port, host: address.host, allowHalfOpen: true })
  const [reader] = (await accepted) as [Socket]
  return {
    writer,
    reader,
    async [Symbol.asyncDispose]() {
      writer.destroy()
      await address.close()
    },
  }
}

/** Bytes whose value tells their place, so that any overwritten or reordered one is seen. */
function pattern(from: number, bytes: number): Buffer {
  const chunk = Buffer.allocUnsafe(bytes)
  for (let i = 0; i < bytes; i++) chunk[i] = ((from + i) * 31 + ((from + i) >>> 8)) & 0xff
  return chunk
}

async function send(socket: Socket, total: number): Promise<void> {
  for (let at = 0; at < total;) {
    const chunk = pattern(at, Math.min(1 + ((at * 7919) % 200_000), total - at))
    at += chunk.length
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.end()
}

const TOTAL = 12 * 1024 * 1024

it('knows the private parts of the Node it runs on', () => {
  expect(canReadOn()).toBe(true)
})

it('delivers every byte in order, and from some point on in lent memory', async () => {
  await using sockets = await pair()
  let at = 0
  let lent = 0
  readLent(sockets.reader, (chunk, isLent) => {
    expect(chunk.equals(pattern(at, chunk.length))).toBe(true)
    at += chunk.length
    if (isLent) lent += 1
    return true
  })
  const ended = once(sockets.reader, 'end')
  await send(sockets.writer, TOTAL)
  await ended
  expect(at).toBe(TOTAL)
  expect(lent).toBeGreaterThan(0)
})

it('uses one buffer while chunks are given back, and leaves kept chunks alone', async () => {
  await using sockets = await pair()
  const kept: { at: number; chunk: Buffer }[] = []
  const memory = new Set<ArrayBufferLike>()
  let at = 0
  readLent(sockets.reader, (chunk, isLent) => {
    const keep = at % 3 === 0
    if (keep) kept.push({ at, chunk })
    else if (isLent) memory.add(chunk.buffer)
    at += chunk.length
    return !keep
  })
  const ended = once(sockets.reader, 'end')
  await send(sockets.writer, TOTAL)
  await ended
  expect(kept.length).toBeGreaterThan(0)
  for (const one of kept) expect(one.chunk.equals(pattern(one.at, one.chunk.length))).toBe(true)
  expect(memory.size).toBeLessThanOrEqual(kept.length + 1)
})

it('reads into kept memory again once its holder is done with it, and not before', async () => {
  await using sockets = await pair()
  const kept: { at: number; chunk: Buffer; holder: { drained: boolean } }[] = []
  const memory = new Set<ArrayBufferLike>()
  let at = 0
  let chunks = 0
  let overwritten = 0
  readLent(sockets.reader, (chunk, isLent) => {
    expect(chunk.equals(pattern(at, chunk.length))).toBe(true)
    const from = at
    at += chunk.length
    if (!isLent) return false
    chunks += 1
    memory.add(chunk.buffer)
    const holder = { drained: false }
    kept.push({ at: from, chunk, holder })
    if (kept.length > 3) {
      const oldest = kept.shift()
      if (oldest === undefined) throw new Error('nothing is kept')
      if (!oldest.chunk.equals(pattern(oldest.at, oldest.chunk.length))) overwritten += 1
      oldest.holder.drained = true
    }
    return holder
  })
  const ended = once(sockets.reader, 'end')
  await send(sockets.writer, TOTAL)
  await ended
  expect(overwritten).toBe(0)
  expect(chunks).toBeGreaterThan(20)
  expect(memory.size).toBeLessThanOrEqual(6)
})

it('stops on pause and goes on with resume without losing a byte', async () => {
  await using sockets = await pair()
  let at = 0
  let pauses = 0
  readLent(sockets.reader, (chunk) => {
    expect(chunk.equals(pattern(at, chunk.length))).toBe(true)
    at += chunk.length
    pauses += 1
    sockets.reader.pause()
    setImmediate(() => sockets.reader.resume())
    return true
  })
  const ended = once(sockets.reader, 'end')
  await send(sockets.writer, TOTAL)
  await ended
  expect(at).toBe(TOTAL)
  expect(pauses).toBeGreaterThan(10)
})

it('passes a socket on to another reader without losing a byte', async () => {
  await using sockets = await pair()
  let at = 0
  let handOvers = 0
  const check = (chunk: Buffer): boolean => {
    expect(chunk.equals(pattern(at, chunk.length))).toBe(true)
    at += chunk.length
    return true
  }
  let stop = readLent(sockets.reader, function first(chunk, isLent): boolean {
    check(chunk)
    if (isLent && handOvers < 5) {
      handOvers += 1
      stop()
      sockets.reader.pause()
      setImmediate(() => {
        stop = readLent(sockets.reader, (next, lent) => first(next, lent))
        sockets.reader.resume()
      })
    }
    return true
  })
  const ended = once(sockets.reader, 'end')
  await send(sockets.writer, TOTAL)
  await ended
  expect(at).toBe(TOTAL)
  expect(handOvers).toBe(5)
})

it('reads no more than the stream holds while nobody takes it, and loses nothing', async () => {
  await using sockets = await pair()
  let at = 0
  const check = (chunk: Buffer): boolean => {
    expect(chunk.equals(pattern(at, chunk.length))).toBe(true)
    at += chunk.length
    return true
  }
  const first = once(sockets.reader, 'readable')
  const stop = readLent(sockets.reader, check)
  stop()
  sockets.reader.pause()
  const ended = once(sockets.reader, 'end')
  const sent = send(sockets.writer, TOTAL)
  sockets.reader.read(0)
  await first
  const held = sockets.reader.readableLength
  expect(held).toBeGreaterThan(0)
  expect(held).toBeLessThanOrEqual(sockets.reader.readableHighWaterMark + 65_536)
  sockets.reader.removeAllListeners('readable')
  readLent(sockets.reader, check)
  sockets.reader.resume()
  await sent
  await ended
  expect(at).toBe(TOTAL)
})

it('copies small chunks, however many come, and leaves them as they are', async () => {
  await using sockets = await pair()
  const kept: Buffer[] = []
  let sentBytes = 0
  readLent(sockets.reader, (chunk, isLent) => {
    expect(isLent).toBe(false)
    kept.push(chunk)
    return false
  })
  while (sentBytes < 2 * 1024 * 1024) {
    sockets.writer.write(pattern(sentBytes, 4000))
    sentBytes += 4000
    await until(() => sockets.reader.bytesRead === sentBytes, { pollMs: 0 })
  }
  expect(Buffer.concat(kept).equals(pattern(0, sentBytes))).toBe(true)
  expect(new Set(kept.map((chunk) => chunk.buffer)).size).toBeLessThan(kept.length / 2)
})

it('delivers small chunks without a copy to a receiver of small chunks, and others as usual', async () => {
  await using sockets = await pair()
  const taken: { how: string; chunk: Buffer; bytes: number }[] = []
  let at = 0
  const note = (how: string, chunk: Buffer): void => {
    expect(chunk.equals(pattern(at, chunk.length))).toBe(true)
    at += chunk.length
    taken.push({ how, chunk, bytes: chunk.length })
  }
  readLent(
    sockets.reader,
    (chunk) => {
      note('whole', chunk)
      return true
    },
    (chunk) => note('small', chunk),
  )
  for (const bytes of [100, 4096, 100, 5000, 1, 100]) {
    const before = at
    sockets.writer.write(pattern(before, bytes))
    await until(() => at === before + bytes)
  }
  const small = taken.filter(({ how }) => how === 'small')
  // What is longer than that may come in two pieces.
  expect(small.map(({ bytes }) => bytes).slice(0, 3)).toEqual([100, 4096, 100])
  expect(taken.some(({ how, bytes }) => how === 'whole' && bytes <= 4096)).toBe(false)
  expect(new Set(small.map(({ chunk }) => `${chunk.byteOffset}`))).toEqual(new Set(['0']))
  expect(new Set(small.map(({ chunk }) => chunk.buffer)).size).toBe(1)
})

it('lets a receiver that answers wrongly see 0xdd: the poison of these tests', async () => {
  await using sockets = await pair()
  let wrong: Buffer | undefined
  let small: Buffer | undefined
  readLent(
    sockets.reader,
    (chunk, isLent) => {
      if (isLent) wrong ??= chunk
      return true // although it is kept
    },
    (chunk) => (small ??= chunk), // valid during the call only
  )
  const ended = once(sockets.reader, 'end')
  sockets.writer.write(Buffer.alloc(100, 1))
  await until(() => small !== undefined)
  expect([small?.length, small?.every((byte) => byte === 0xdd)]).toEqual([100, true])
  await send(sockets.writer, TOTAL)
  await ended
  expect(wrong?.every((byte) => byte === 0xdd)).toBe(true)
})
