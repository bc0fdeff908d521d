import { chmodSync } from 'node:fs'
import type { Server, Socket } from 'node:net'

/** A unix socket that listens; made by `listenUnix`. The system removes the file when it closes. */
export class UnixListener {
  /** Path of the socket, as it was given. */
  readonly path: string
  /** Resolves when nothing listens any more and every connection has ended. Never rejects. */
  readonly closed: Promise<void>

  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  /** @internal */
  constructor(server: Server, path: string, onConnection: (socket: Socket) => void) {
    this.#server = server
    this.path = path
    this.closed = new Promise((resolve) => server.once('close', resolve))
    server.on('error', () => {}) // a failing accept must not end the process; Node goes on accepting
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      onConnection(socket)
    })
  }

  /** Connections open now. */
  get open(): number {
    return this.#sockets.size
  }

  /** Changes who may connect from now on. */
  chmod(mode: number): void {
    chmodSync(this.path, mode)
  }

  /**
   * Removes the file and waits for the open connections to end. Rejects with the signal's reason when
   * it aborts; the connections then go on.
   */
  async close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    if (this.#server.listening) this.#server.close()
    if (signal === undefined) return await this.closed
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason)
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      void this.closed.then(() => {
        signal.removeEventListener('abort', onAbort)
        return resolve()
      })
    })
  }

  /** Removes the file and ends every connection now. */
  destroy(): void {
    if (this.#server.listening) this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.closed
  }
}
