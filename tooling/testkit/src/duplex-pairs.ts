// Connected pairs of Duplexes, for suites that must hold over every transport: in memory, TCP on
// loopback, TLS with a certificate of this run.
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex, duplexPair } from 'node:stream'
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

/**
 * A pair in memory whose bytes arrive `oneWayMs` later, at any rate: a long path, as far as windows see it. What is on
 * the way is bounded by what the other side may send.
 */
export function delayedPair(oneWayMs: number): DuplexPair {
  const ends: [Duplex, Duplex] = [end(() => ends[1]), end(() => ends[0])]
  return ends

  function end(other: () => Duplex): Duplex {
    const waiting = new Set<NodeJS.Timeout>()
    const later = (act: () => void): void => {
      const timer = setTimeout(() => {
        waiting.delete(timer)
        if (!other().destroyed) act()
      }, oneWayMs)
      waiting.add(timer)
    }
    return new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        later(() => other().push(chunk))
        done()
      },
      final(done) {
        later(() => other().push(null))
        done()
      },
      destroy(error, done) {
        for (const timer of waiting) clearTimeout(timer)
        if (!other().destroyed) setImmediate(() => other().destroy())
        done(error)
      },
    })
  }
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
