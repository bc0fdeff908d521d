// How a pipe ends: RFC 6455 section 7, and the ways of TCP that it has to tell apart.
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { WebSocketPipe } from '../../src/websocket/pipe.ts'
import { failure, frame, hex, pipePair, rawPair, readAll } from './peers.ts'

const bare = { kind: 'eof', code: 1006, reason: '', clean: false }

test('end() closes the sending side of TCP without a Close frame, and reading goes on', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.pipe.end('last')
  expect(await readAll(pair.raw)).toEqual(hex('82 04 6c617374'))
  pair.raw.end(frame({ opcode: 2, payload: Buffer.from('late'), key: 1 }))
  expect((await readAll(pair.pipe)).toString()).toBe('late')
  expect(pair.pipe.closeInfo).toEqual(bare)
  if (!pair.pipe.closed) await once(pair.pipe, 'close')
})

test('end() with closeFrame says 1000, waits for the peer and then closes', async () => {
  await using pair = await rawPair({ role: 'server', closeFrame: true })
  pair.pipe.end('last')
  const chunks: Buffer[] = []
  pair.raw.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (Buffer.concat(chunks).length < 10) return
    pair.raw.write(frame({ opcode: 2, payload: Buffer.from('late'), key: 1 }))
    pair.raw.write(frame({ opcode: 8, payload: hex('03e8'), key: 2 }))
  })
  expect((await readAll(pair.pipe)).toString()).toBe('late')
  if (!pair.raw.readableEnded) await once(pair.raw, 'end')
  expect(Buffer.concat(chunks)).toEqual(hex('82 04 6c617374  88 02 03e8'))
  expect(pair.pipe.closeInfo).toEqual({ kind: 'close', code: 1000, reason: '', clean: true })
})

test.each([
  ['a code and a reason', '03e9 627965', { code: 1001, reason: 'bye' }, '88 02 03e9'],
  ['a private code', '1387', { code: 4999, reason: '' }, '88 02 1387'],
  ['nothing', '', { code: 1005, reason: '' }, '88 00'],
])('a Close frame with %s is echoed and ends the pipe', async (_name, text, info, echo) => {
  await using pair = await rawPair({ role: 'server' })
  pair.raw.write(frame({ opcode: 2, payload: Buffer.from('data'), key: 1 }))
  pair.raw.write(frame({ opcode: 8, payload: hex(text), key: 2 }))
  expect((await readAll(pair.pipe)).toString()).toBe('data')
  expect(pair.pipe.closeInfo).toEqual({ kind: 'close', ...info, clean: true })
  expect(await readAll(pair.raw)).toEqual(hex(echo))
})

test('both sides may say Close at once', async () => {
  await using pair = await pipePair({ closeFrame: true })
  pair.near.end('from near')
  pair.far.end('from far')
  const [far, near] = await Promise.all([readAll(pair.near), readAll(pair.far)])
  expect([far.toString(), near.toString()]).toEqual(['from far', 'from near'])
  expect(pair.near.closeInfo).toEqual({ kind: 'close', code: 1000, reason: '', clean: true })
  expect(pair.far.closeInfo).toEqual(pair.near.closeInfo)
})

test('a bare end of the connection between messages is an end', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.raw.end(frame({ opcode: 2, payload: Buffer.from('data'), key: 1 }))
  expect((await readAll(pair.pipe)).toString()).toBe('data')
  expect(pair.pipe.closeInfo).toEqual(bare)
  expect(await readAll(pair.raw)).toHaveLength(0)
})

test.each([
  ['a header', '82'],
  ['a masking key', '82 82 0102'],
  ['a payload', '82 82 01020304 05'],
  ['a message between fragments', '02 81 01020304 05'],
  ['a ping', '89 82 01020304 05'],
])('an end within %s is an error', async (_name, text) => {
  await using pair = await rawPair({ role: 'server' })
  pair.raw.end(hex(text))
  expect((await failure(pair.pipe)).code).toBe('WEBSOCKET_TRUNCATED')
})

test('a reset is an error with its cause', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.raw.resetAndDestroy()
  const error = await failure(pair.pipe)
  expect(error.code).toBe('WEBSOCKET_SOCKET_FAILED')
  expect(error.cause).toMatchObject({ code: 'ECONNRESET' })
  expect(pair.pipe.closeInfo).toEqual({ ...bare, kind: 'error' })
})

test('a socket destroyed underneath is an error', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.socket.destroy()
  const error = await failure(pair.pipe)
  expect(error.code).toBe('WEBSOCKET_SOCKET_FAILED')
  expect(error.cause).toBeUndefined()
})

test('a write after the Close frame of the peer fails', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.raw.write(frame({ opcode: 8, payload: hex('03e8'), key: 2 }))
  await once(pair.raw, 'data') // the echo
  const failed = once(pair.pipe, 'error')
  pair.pipe.write('too late')
  expect(await failed).toMatchObject([{ code: 'WEBSOCKET_CLOSED' }])
})

test('a peer that does not close after end() is dropped, one that still sends is not', async () => {
  const options = { role: 'server', closeTimeoutMs: 100 } as const
  await using silent = await rawPair(options)
  await using busy = await rawPair(options)
  const message = frame({ opcode: 2, payload: Buffer.from('x'), key: 1 })
  const sending = setInterval(() => busy.raw.write(message), 5)
  try {
    busy.pipe.end()
    busy.pipe.resume()
    silent.pipe.end()
    expect((await failure(silent.pipe)).code).toBe('WEBSOCKET_CLOSE_TIMEOUT')
    expect(busy.pipe.destroyed).toBe(false)
  } finally {
    clearInterval(sending)
  }
  busy.raw.end()
  await once(busy.pipe, 'close')
  expect(busy.pipe.closeInfo).toEqual(bare)
})

test.each([
  ['end', frame({ opcode: 2, payload: Buffer.alloc(1000, 7), key: 7 })],
  [
    'Close frame',
    Buffer.concat([
      frame({ opcode: 2, payload: Buffer.alloc(1000, 7), key: 7 }),
      frame({ opcode: 8, payload: hex('03e8'), key: 2 }),
    ]),
  ],
])('a reader may take its time behind the %s of the peer', async (_name, bytes) => {
  await using pair = await rawPair({ role: 'server', closeTimeoutMs: 10 })
  await using clock = await rawPair({ role: 'server', closeTimeoutMs: 50 })
  pair.raw.end(bytes)
  clock.pipe.end()
  await failure(clock.pipe)
  expect((await readAll(pair.pipe)).equals(Buffer.alloc(1000, 7))).toBe(true)
})

test('destroy() closes the connection at once and tells no error', async () => {
  await using pair = await rawPair({ role: 'server' })
  const closed = once(pair.pipe, 'close')
  pair.pipe.destroy()
  await closed
  expect(await readAll(pair.raw)).toHaveLength(0)
  expect(pair.pipe.closeInfo).toEqual({ ...bare, kind: 'error' })
})

test("an error of the socket on its way when the pipe is destroyed is nobody's any more", async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.socket.removeAllListeners('error').destroy(new Error('at the same time'))
  pair.pipe.destroy()
  await new Promise((resolve) => pair.socket.once('close', resolve))
  expect(pair.socket.listenerCount('error')).toBe(0)
})

test('a pipe on a socket that has already gone fails', async () => {
  await using pair = await rawPair({ role: 'server' })
  pair.socket.destroy()
  pair.pipe.on('error', () => {})
  const late = new WebSocketPipe(pair.socket, { role: 'server' })
  expect((await failure(late)).code).toBe('WEBSOCKET_SOCKET_FAILED')
})
