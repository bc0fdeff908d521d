// What an end was is compared with what the test did. Written and reset in one turn of the event loop:
// the reader finds both at once, which is when Node up to 20 emits 'end'.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, onTestFinished, test } from 'vitest'

import { isCleanEnd, watchEnd } from '../../src/io/end-of-socket.ts'
import { readLent } from '../../src/io/lent-reads.ts'
import { tcpSocketOf } from '../../src/io/tcp-socket-of.ts'
import { tcpSockets } from '../peers.ts'

const TIMES = 20
const SIZES = [0, 200, 5000, 60_000]

interface Seen {
  readonly bytes: number
  readonly end: 'clean' | 'broken'
}

/** Reads a socket to its end; with `slow` it stops for a turn of the event loop after each chunk. */
async function seen(socket: Duplex, { slow = false, lent = false } = {}): Promise<Seen> {
  let bytes = 0
  watchEnd(socket)
  if (lent) readLent(socket, (chunk) => ((bytes += chunk.length), true))
  else socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  if (slow) {
    socket.on('data', () => {
      socket.pause()
      setImmediate(() => socket.resume())
    })
  }
  return await new Promise((resolve) => {
    socket.on('end', () => resolve({ bytes, end: isCleanEnd(socket) ? 'clean' : 'broken' }))
    socket.on('error', () => resolve({ bytes, end: 'broken' }))
  })
}

/** What a number of connections in a row saw, each kind once. */
async function repeated(one: () => Promise<Seen>): Promise<Seen[]> {
  const kinds = new Map<string, Seen>()
  for (let turn = 0; turn < TIMES; turn++) {
    const result = await one()
    kinds.set(JSON.stringify(result), result)
  }
  return [...kinds.values()]
}

describe.each([
  ['as a stream', false],
  ['into lent memory', true],
])('a TCP socket that is read %s', (_, lent) => {
  test.each(SIZES)('is broken by a reset behind %d bytes', async (bytes) => {
    const results = repeated(async () => {
      const { near, far } = await tcpSockets()
      const result = seen(near, { lent })
      if (bytes > 0) far.write(Buffer.alloc(bytes))
      far.resetAndDestroy()
      return await result
    })
    expect(await results).toEqual([{ bytes, end: 'broken' }])
  })

  test.each(SIZES)('ends cleanly by a FIN behind %d bytes', async (bytes) => {
    const results = repeated(async () => {
      const { near, far } = await tcpSockets()
      const result = seen(near, { lent })
      far.end(Buffer.alloc(bytes))
      return await result
    })
    expect(await results).toEqual([{ bytes, end: 'clean' }])
  })

  test('ends cleanly when our FIN was first, and is broken by a reset behind it', async () => {
    const end = async (how: 'end' | 'reset'): Promise<Seen> => {
      const { near, far } = await tcpSockets()
      const result = seen(near, { lent })
      near.end('all')
      far.resume()
      await once(far, 'end')
      if (how === 'end') far.end('answer')
      else {
        far.write('answer')
        far.resetAndDestroy()
      }
      return await result
    }
    expect(await repeated(async () => await end('end'))).toEqual([{ bytes: 6, end: 'clean' }])
    expect(await repeated(async () => await end('reset'))).toEqual([{ bytes: 6, end: 'broken' }])
  })

  test('ends cleanly by a FIN that a reset follows: the peer closed with bytes unread', async () => {
    const results = repeated(async () => {
      const { near, far } = await tcpSockets()
      near.write('never read')
      far.pause()
      const result = seen(near, { lent })
      far.end('answer', () => far.destroy())
      return await result
    })
    expect(await results).toEqual([{ bytes: 6, end: 'clean' }])
  })
})

test('a unix socket ends cleanly, and is broken when the peer closes with bytes unread', async () => {
  using folder = temporaryDirectory()
  const path = `${folder.path}/socket`
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  server.listen(path)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const end = async (sent: string): Promise<Seen> => {
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const near = connect({ path, allowHalfOpen: true })
    const [far] = await accepted
    if (sent !== '') await new Promise((resolve) => near.write(sent, resolve))
    const result = seen(near)
    far.write('answer', () => far.destroy())
    return await result
  }
  expect(await end('')).toEqual({ bytes: 6, end: 'clean' })
  expect((await end('never read')).end).toBe('broken')
})

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a %s socket', (version) => {
  async function tlsSockets(): Promise<{ near: TLSSocket; far: TLSSocket }> {
    const identity = certificateAuthority().issue({ name: 'server' })
    const server = createTlsServer({ ...identity, maxVersion: version, allowHalfOpen: true })
    const listen = await listening(server)
    const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>
    const { host, port } = listen
    const socket = connect({ host, port, allowHalfOpen: true })
    const near = connectTls({ socket, rejectUnauthorized: false })
    near.allowHalfOpen = true
    const [[far]] = await Promise.all([accepted, once(near, 'secureConnect')])
    server.close()
    // Node sends no close_notify from within the callback of its handshake.
    await new Promise(setImmediate)
    far.on('error', () => {})
    near.on('error', () => {})
    onTestFinished(() => {
      near.destroy()
      far.destroy()
    })
    return { near, far }
  }

  test.each([
    ['end', false],
    ['end', true],
    ['truncate', false],
    ['truncate', true],
    ['reset', false],
  ] as const)('that is ended with %s, and is read slowly: %s', async (how, slow) => {
    for (const bytes of [200, 60_000, 1_000_000]) {
      const { near, far } = await tlsSockets()
      const result = seen(near, { slow })
      if (how === 'end') far.end(Buffer.alloc(bytes))
      else {
        await new Promise((resolve) => far.write(Buffer.alloc(bytes), resolve))
        const tcpSocket = tcpSocketOf(far)
        // The FIN of TCP alone, as of a process that was killed.
        if (how === 'truncate') tcpSocket?.end()
        else tcpSocket?.resetAndDestroy()
      }
      const { end, bytes: got } = await result
      expect(end).toBe(how === 'end' ? 'clean' : 'broken')
      // A reset may overtake bytes, a FIN may not.
      expect(how === 'reset' || got === bytes).toBe(true)
    }
  })
})
