// A TCP peer that does exactly what a test says: hostile, slow, silent, or only unusual. The script
// runs once per connection; when it returns, the connection stays open until the test ends.
import { createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { listening, type Listening } from './listening.ts'

/** One connection to a scripted peer. */
export interface ScriptedConnection {
  /** The connection itself. */
  readonly socket: Socket
  /** Waits for that many bytes more and takes them. */
  readonly read: (bytes: number) => Promise<Buffer>
  /** Waits until the marker has come and takes everything up to its end. */
  readonly readUntil: (marker: string) => Promise<string>
  /** Sends bytes: a string is latin1. */
  readonly send: (bytes: string | Buffer) => void
  /** Sends bytes one by one, each in a packet of its own as far as the system allows. */
  readonly drip: (bytes: string | Buffer) => Promise<void>
}

/** Starts a peer for the running test. */
export async function scriptedPeer(
  script: (connection: ScriptedConnection, index: number) => Promise<void> | void,
  host = '127.0.0.1',
): Promise<Listening> {
  let index = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.setNoDelay(true)
    // A script that still waits when its test ends is abandoned.
    void Promise.resolve(script(connection(socket), index++)).catch(() => {})
  })
  const peer = await listening(server, host)
  onTestFinished(() => peer.close())
  return peer
}

function connection(socket: Socket): ScriptedConnection {
  let received = Buffer.alloc(0)
  let wake: (() => void) | undefined
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    wake?.()
  })
  const take = async (length: () => number): Promise<Buffer> => {
    while (length() < 0 || received.length < length()) {
      await new Promise<void>((resolve) => (wake = resolve))
    }
    const taken = received.subarray(0, length())
    received = received.subarray(taken.length)
    return taken
  }
  const send = (bytes: string | Buffer): void => {
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }
  return {
    socket,
    send,
    read: (bytes) => take(() => bytes),
    readUntil: async (marker) => {
      const end = (): number => {
        const at = received.indexOf(marker)
        return at < 0 ? -1 : at + marker.length
      }
      return (await take(end)).toString('latin1')
    },
    drip: async (bytes) => {
      for (const byte of typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes) {
        await new Promise<void>((resolve) => socket.write(Buffer.from([byte]), () => resolve()))
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    },
  }
}
