// Connected pairs of Duplexes, for suites that must hold over every transport: in memory, TCP on
// loopback, TLS with a certificate of this run.
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import * as tls from 'node:tls'
import { certificateAuthority } from './certificates.ts'
import { listening } from './listening.ts'

/** Two ends of one connection: what is written to one is read from the other. */
export type DuplexPair = readonly [client: Duplex, server: Duplex]

/** A pair in memory. Where one end is destroyed the other closes, as with sockets. */
export function memoryPair(): Promise<DuplexPair> {
  const [client, server] = duplexPair()
  client.once('close', () => server.destroy())
  server.once('close', () => client.destroy())
  return Promise.resolve([client, server])
}

/** A pair over TCP on loopback. */
export function tcpPair(): Promise<DuplexPair> {
  return pairOver(createServer({ noDelay: true }), ['connection', 'connect'], (port) =>
    connect({ host: '127.0.0.1', port, noDelay: true }),
  )
}

/** A pair over TLS on loopback. */
export function tlsPair(): Promise<DuplexPair> {
  const authority = certificateAuthority()
  const server = tls.createServer(authority.issue({ name: 'localhost' }))
  return pairOver(server, ['secureConnection', 'secureConnect'], (port) =>
    tls.connect({ host: '127.0.0.1', port, ca: authority.cert, servername: 'localhost' }),
  )
}

// Closes the listener, not the pair: the test ends the pair.
async function pairOver(
  server: Server,
  [accepted, connected]: readonly [string, string],
  dial: (port: number) => Socket,
): Promise<DuplexPair> {
  const { port } = await listening(server)
  const accepting: Promise<Socket[]> = once(server, accepted)
  const client = dial(port)
  const [[socket]] = await Promise.all([accepting, once(client, connected)])
  server.close()
  if (socket === undefined) throw new Error('no connection accepted')
  return [client, socket]
}
