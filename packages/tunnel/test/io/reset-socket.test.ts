import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import {
  connect as connectTls,
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls'

import { certificateAuthority } from '@proj/testkit/certificates'
import { listening } from '@proj/testkit/listening'
import { spawned } from '@proj/testkit/spawned'
import { describe, expect, it } from 'vitest'

import { resetSocket } from '../../src/io/reset-socket.ts'
import { tcpSocketOf } from '../../src/io/tcp-socket-of.ts'

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

describe('below TLS it is the TCP connection that is reset', () => {
  const authority = certificateAuthority()

  /** Both ends of a TLS connection. */
  async function ends(server: TlsServer, port: number) {
    const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>
    const far = connectTls({ host: 'localhost', port, ca: authority.cert })
    const [[near]] = await Promise.all([accepted, once(far, 'secureConnect')])
    return { near, far }
  }

  const server = () => createTlsServer(authority.issue({ name: 'server' }))

  for (const [name, sees, act] of WAYS) {
    it(`of ${name}`, async () => {
      const tls = server()
      await using address = await listening(tls)
      const { near, far } = await ends(tls, address.port)
      expect(tcpSocketOf(near)).toBeInstanceOf(Socket)
      const seen = ending(far)
      const closed = once(near, 'close')
      await act(near)
      resetSocket(near)
      await closed
      expect(await seen).toMatch(sees)
    })
  }
})

/** Reads a connection to its end and says how that came; Node's own clients may show an end for a reset. */
const READER = `
import socket, ssl, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
try:
    if sys.argv[2] == 'tls':
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        s = context.wrap_socket(s)
    print('open', flush=True)
    sys.stdin.readline()
    while s.recv(65536): pass
except OSError:
    pass
try:
    s.getpeername() # what was reset has no peer, what was ended has one
    print('end')
except OSError:
    print('reset')
`
const hasPython = spawnSync('python3', ['-c', 'import ssl']).status === 0

describe('what a socket still had to send is missed by its reader, never taken for all', () => {
  for (const wire of ['tcp', 'tls'] as const) {
    for (const act of ['write', 'end'] as const) {
      it(`${wire}, ${act}`, async ({ skip }) => {
        skip(!hasPython, 'no python3')
        const server =
          wire === 'tcp'
            ? createServer()
            : createTlsServer(certificateAuthority().issue({ name: 'server' }))
        await using address = await listening(server)
        const event = wire === 'tcp' ? 'connection' : 'secureConnection'
        const accepted = once(server, event) as Promise<[Socket]>
        const reader = spawned('python3', ['-c', READER, String(address.port), wire])
        const [near] = await accepted
        await reader.line(/open/)
        near[act](Buffer.alloc(16 * 1024 * 1024))
        resetSocket(near)
        await once(near, 'close')
        reader.write('\n')
        await reader.exited
        expect(reader.stdout).toBe('open\nreset\n')
      })
    }
  }
})
