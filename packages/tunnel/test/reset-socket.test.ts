import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

import { listening } from '@proj/testkit/listening'
import { describe, expect, it } from 'vitest'

import { resetSocket } from '../src/reset-socket.ts'

/** How the far side saw its connection end. */
async function ending(socket: Socket): Promise<string> {
  return await new Promise((resolve) => {
    let how = 'closed'
    socket.on('end', () => (how = 'end'))
    socket.on('error', () => (how = 'reset'))
    socket.on('close', () => resolve(how))
    socket.resume()
  })
}

const WAYS: readonly [name: string, sees: RegExp, act: (socket: Socket) => unknown][] = [
  ['an idle socket', /reset/, () => {}],
  // On the wire this is a reset; a reader in Node may show an end when byte and reset come together.
  ['a socket with a write on its way', /end|reset/, (socket) => socket.write('x')],
  ['a socket that is ending', /end|reset/, (socket) => socket.end()],
  ['a socket that is ending behind a write', /end|reset/, (socket) => socket.end('x')],
  ['a socket that has ended', /end|reset/, (socket) => turn(socket.end())],
  ['a socket that was reset already', /reset/, (socket) => resetSocket(socket)],
]

describe('a reset closes the descriptor', () => {
  for (const [name, sees, act] of WAYS) {
    it(`of ${name}`, async () => {
      const server = createServer()
      await using address = await listening(server)
      const accepted = once(server, 'connection') as Promise<[Socket]>
      const near = connect({ host: address.host, port: address.port, allowHalfOpen: true })
      const [[far]] = await Promise.all([accepted, once(near, 'connect')])
      const seen = ending(far)
      const closed = once(near, 'close')
      await act(near)
      resetSocket(near)
      await closed
      expect(await seen).toMatch(sees)
    })
  }

  it('of a socket whose peer reads nothing, at once', async () => {
    const server = createServer({ pauseOnConnect: true })
    await using address = await listening(server)
    const near = connect({ host: address.host, port: address.port })
    await once(near, 'connect')
    while (near.write(Buffer.alloc(1024 * 1024)));
    near.write(Buffer.alloc(16 * 1024 * 1024))
    const closed = once(near, 'close')
    resetSocket(near)
    await closed
    expect(near.destroyed).toBe(true)
  })
})
