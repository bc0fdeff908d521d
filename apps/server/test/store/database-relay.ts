// A line to PostgreSQL on which answers are late, or never come.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** ReadyForQuery, outside of a transaction. */
const READY = Buffer.from('5a0000000549', 'hex')

const FIELDS = Buffer.from('SFATAL\0C57P01\0Mterminating connection\0\0')

/** ErrorResponse of a connection that an administrator ends. */
const TERMINATED = Buffer.concat([
  Buffer.from([0x45, 0, 0, 0, FIELDS.length + 4]), // E, and its length
  FIELDS,
])

/** A line to a database. */
export interface DatabaseRelay {
  /** The URL of the database, through the line. */
  readonly url: string
  /** How late each answer is, ms. */
  delayMs: number
  /** Whether nothing comes through, without an end of the connections. */
  isHeld: boolean
  /** Cuts the next connection on which a commit is sent, when the database has committed and before it says so. */
  cutAtCommit: boolean
  /** Whether connections are ended by the database in the same packet that says that the login is complete. */
  endAtLogin: boolean
  /** How often that was done. */
  readonly cuts: number
  /** Connections that are open. */
  readonly open: number
}

/** Opens a line to the database of a URL, until the running test ends. */
export async function databaseRelay(url: string): Promise<DatabaseRelay> {
  const target = new URL(url)
  const [port, host] = [Number(target.port), target.hostname]
  const state = { delayMs: 0, isHeld: false, cutAtCommit: false, endAtLogin: false, cuts: 0 }
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    const remote = connect(port, host)
    let isCommitting = false
    clients.add(client)
    client.on('close', () => clients.delete(client))
    for (const socket of [client, remote]) {
      sockets.add(socket)
      const other = socket === client ? remote : client
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes) => {
      if (state.isHeld) return
      if (state.cutAtCommit && bytes.includes('COMMIT')) {
        state.cutAtCommit = false
        isCommitting = true
      }
      remote.write(bytes)
    })
    remote.on('data', (bytes) => {
      if (state.isHeld) return
      if (isCommitting) {
        state.cuts += 1
        client.destroy()
      } else if (state.endAtLogin && bytes.includes(READY)) {
        state.cuts += 1
        client.end(Buffer.concat([bytes, TERMINATED]))
      } else setTimeout(() => client.write(bytes), state.delayMs)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  target.port = String((server.address() as AddressInfo).port)
  return Object.defineProperties(Object.assign(state, { url: target.href, open: 0 }), {
    open: { get: () => clients.size },
  })
}
