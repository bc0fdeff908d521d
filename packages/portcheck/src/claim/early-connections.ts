// Clients that connect before a server adopts the claim. They wait here in order, and nothing is read
// beyond Node's own buffer. Number and age are limited, so that a claim without a server does not collect
// sockets.
import type { Socket } from 'node:net'

/** Limits of the queue. */
export interface EarlyConnectionLimits {
  /** Most clients that wait; the next one is disconnected. */
  readonly maxEarlyConnections: number
  /** How long a client waits before it is disconnected, ms. */
  readonly earlyTimeoutMs: number
}

/** The clients that wait for a server. */
export class EarlyConnections {
  readonly #limits: EarlyConnectionLimits
  readonly #end: (socket: Socket) => void
  readonly #waiting = new Map<Socket, { timer: NodeJS.Timeout; drop: () => void }>()

  /** @param end - ends a client that does not get a server. Default: it is disconnected. */
  constructor(
    limits: EarlyConnectionLimits,
    end: (socket: Socket) => void = (socket) => void socket.destroy(),
  ) {
    this.#limits = limits
    this.#end = end
  }

  /** Number of clients that wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** Adds a client, or disconnects it when the queue is full. */
  add(socket: Socket): void {
    if (this.#waiting.size >= this.#limits.maxEarlyConnections) {
      this.#end(socket)
      return
    }
    const drop = (): void => {
      this.#remove(socket)
      socket.destroy()
    }
    const timer = setTimeout(() => {
      this.#remove(socket)
      this.#end(socket)
    }, this.#limits.earlyTimeoutMs)
    // The listening socket keeps the process alive; this timer must not.
    timer.unref()
    // `end` without a reader means that the client left before it sent anything.
    socket.on('error', drop).on('end', drop).on('close', drop)
    this.#waiting.set(socket, { timer, drop })
  }

  /** Gives every waiting client to `receive`, in order of arrival. */
  drain(receive: (socket: Socket) => void): void {
    for (const socket of this.#waiting.keys()) {
      this.#remove(socket)
      receive(socket)
    }
  }

  /** Disconnects every waiting client. */
  destroy(): void {
    this.drain(this.#end)
  }

  #remove(socket: Socket): void {
    const entry = this.#waiting.get(socket)
    if (entry === undefined) return
    this.#waiting.delete(socket)
    clearTimeout(entry.timer)
    const { drop } = entry
    socket.off('error', drop).off('end', drop).off('close', drop)
  }
}
