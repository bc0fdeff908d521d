// What a hostile peer sees on a real connection: everything before the violation is delivered, then
// comes one Close frame with the right code, then the end.
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { failure, frame, HOSTILE, rawPair, readAll } from './peers.ts'

/** The payload of a frame of less than 126 bytes, as RFC 6455 reads it. */
function controlPayload(bytes: Buffer): Buffer {
  const masked = (bytes[1] ?? 0) >= 0x80
  const payload = bytes.subarray(masked ? 6 : 2)
  expect((bytes[1] ?? 0) & 0x7f).toBe(payload.length)
  return Buffer.from(payload.map((byte, i) => byte ^ (masked ? (bytes[2 + (i & 3)] ?? 0) : 0)))
}

test.each(HOSTILE)('$name is answered with close $closeCode', async (hostile) => {
  await using pair = await rawPair({ role: hostile.role })
  const failed = failure(pair.pipe)
  const good = frame({
    opcode: 2,
    payload: Buffer.from('good'),
    ...(hostile.role === 'server' && { key: 1 }),
  })
  const delivered = once(pair.pipe, 'data')
  pair.raw.write(Buffer.concat([good, hostile.bytes]))
  const error = await failed
  expect(error.code).toBe(hostile.code)
  expect(error.closeCode).toBe(hostile.closeCode)
  const [first] = (await delivered) as [Buffer]
  expect(first.subarray(0, 4).toString()).toBe('good')
  const seen = await readAll(pair.raw)
  // A flood's first pings were answered: the Close frame is what comes last.
  const close = seen.subarray(seen.findIndex((byte) => byte === 0x88))
  const payload = controlPayload(close)
  expect(payload.readUInt16BE(0)).toBe(hostile.closeCode)
  expect(error.message.startsWith(payload.toString('latin1', 2))).toBe(true)
  expect(pair.pipe.closeInfo).toEqual({ kind: 'error', code: 1006, reason: '', clean: false })
})

test('a hostile peer that goes on sending still reads its Close frame', async () => {
  await using pair = await rawPair({ role: 'client' })
  const failed = failure(pair.pipe)
  pair.raw.write(Buffer.concat([Buffer.from('8100', 'hex'), Buffer.alloc(1024 * 1024)]))
  pair.raw.write(Buffer.alloc(1024 * 1024))
  await failed
  const seen = await readAll(pair.raw)
  expect(seen[0]).toBe(0x88)
})

test('a hostile peer that never goes is dropped after a while', async () => {
  await using pair = await rawPair({ role: 'client' })
  pair.raw.write(Buffer.from('8100', 'hex'))
  await failure(pair.pipe)
  expect(pair.socket.destroyed).toBe(false)
  await once(pair.socket, 'close')
  expect(pair.socket.listenerCount('data')).toBe(0)
})
