import { existsSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listening } from '../src/listening.ts'
import { connectRaw, exchangeRaw } from '../src/raw-http.ts'
import { spawned } from '../src/spawned.ts'
import { temporaryDirectory } from '../src/temporary-directory.ts'

/** A server that answers whatever comes with these bytes, written one by one. */
async function answering(bytes: string, then: (socket: Socket) => void = () => {}) {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.once('data', () => {
      for (const byte of Buffer.from(bytes, 'latin1')) socket.write(Buffer.from([byte]))
      then(socket)
    })
  })
  return await listening(server)
}

test('reads a body by its length and leaves what follows for the next answer', async () => {
  const one = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a: 2\r\n\r\nhi'
  await using server = await answering(`${one}HTTP/1.1 204 No Content\r\n\r\n`)
  using client = await connectRaw(server.port)
  await client.send('GET / HTTP/1.1\r\n\r\n')
  const response = await client.readResponse()
  expect(response).toMatchObject({ status: 200, statusLine: 'HTTP/1.1 200 OK', trailers: '' })
  expect(response.headers['x-a']).toBe('1, 2')
  expect(response.body.toString()).toBe('hi')
  expect((await client.readResponse()).status).toBe(204)
})

test('takes chunked framing off and keeps the trailers', async () => {
  await using server = await answering(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\n',
  )
  const response = await exchangeRaw(server.port, 'GET / HTTP/1.1\r\n\r\n')
  expect(response.body.toString()).toBe('abcd')
  expect(response.trailers).toBe('T: 1\r\n')
})

test('the answer to HEAD has no body whatever its length says', async () => {
  await using server = await answering('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')
  expect((await exchangeRaw(server.port, 'HEAD', 'HEAD')).body).toHaveLength(0)
})

test('tells a clean end from a reset', async () => {
  await using ends = await answering('HTTP/1.0 200 OK\r\n\r\nall', (socket) => socket.end())
  expect((await exchangeRaw(ends.port, 'GET')).body.toString()).toBe('all')
  await using resets = await answering('', (socket) => socket.resetAndDestroy())
  using client = await connectRaw(resets.port)
  await client.send('GET')
  expect(await client.ended).toBe('reset')
})

test('a connection that is reset before its client hears that it is open has ended so', async () => {
  using folder = temporaryDirectory()
  const done = join(folder.path, 'done')
  const code = `const { writeFileSync } = require('node:fs')
    const server = require('node:net').createServer((socket) => {
      socket.resetAndDestroy()
      setImmediate(() => writeFileSync(${JSON.stringify(done)}, ''))
    })
    server.listen(0, '127.0.0.1', () => console.log('port', server.address().port))`
  const other = spawned(process.execPath, ['-e', code])
  const port = Number((await other.line(/^port/)).split(' ')[1])
  const connecting = connectRaw(port)
  await new Promise<void>((resolve) => process.nextTick(resolve)) // in which Node connects
  // This process hears nothing until the other one has reset the connection.
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let count = 0; !existsSync(done) && count < 2_000; count += 1) Atomics.wait(pause, 0, 0, 10)
  using client = await connecting
  expect(await client.ended).toBe('reset')
  await expect(client.read(1)).rejects.toThrow('reset after 0 bytes')
})

test('a body cut short says how much came and how it ended', async () => {
  const cut = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi'
  await using server = await answering(cut, (socket) => socket.end())
  await expect(exchangeRaw(server.port, 'GET')).rejects.toThrow('fin after 2 bytes, wanted 9 bytes')
})

test('a silent peer fails the read in time', async () => {
  await using server = await answering('HTTP/1.1 200')
  using client = await connectRaw(server.port, 100)
  await client.send('GET')
  await expect(client.readResponse()).rejects.toThrow(/nothing for 100 ms after 12 bytes/)
})
