// A TCP relay between an agent and its server, for faults of one link that need no rights: it can hold the
// bytes of single connections back, and pass all of them at a limited rate.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Transform, type TransformCallback } from 'node:stream'

/** A relay that listens on loopback. */
export class Relay {
  readonly #server: Server
  readonly #links = new Set<readonly [Socket, Socket]>()
  readonly #held = new Set<Socket>()

  /** `bytesPerSecond` is per direction and connection. Default: no limit. */
  constructor(port: () => number, bytesPerSecond = Infinity) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ host: '127.0.0.1', port: port(), noDelay: true })
      const link = [near, far] as const
      this.#links.add(link)
      const close = (): void => {
        near.destroy()
        far.destroy()
        this.#links.delete(link)
      }
      for (const socket of link) socket.on('error', close).on('close', close)
      for (const [from, to] of [link, [far, near] as const]) {
        if (bytesPerSecond === Infinity) from.pipe(to)
        else from.pipe(new Throttle(bytesPerSecond)).pipe(to)
      }
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Number of connections. */
  get links(): number {
    return this.#links.size
  }

  /** Passes nothing more of one connection, in neither direction, and does not close it. */
  freezeOne(): void {
    const [link] = this.#links
    for (const socket of link ?? []) {
      socket.unpipe()
      socket.pause()
      this.#held.add(socket)
    }
  }

  /** Closes the connections that were frozen. */
  dropFrozen(): void {
    for (const socket of this.#held) socket.destroy()
    this.#held.clear()
  }

  async close(): Promise<void> {
    for (const [near] of this.#links) near.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** Lets bytes through at a rate. */
class Throttle extends Transform {
  readonly #bytesPerSecond: number

  constructor(bytesPerSecond: number) {
    super({ highWaterMark: 16 * 1024 })
    this.#bytesPerSecond = bytesPerSecond
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    setTimeout(done, (chunk.length / this.#bytesPerSecond) * 1000, null, chunk)
  }
}
