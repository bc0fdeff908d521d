// Clients that connect between a claim and the moment a server takes it over. They wait here, in
// order, unread beyond Node's own buffer, bounded in number and age: a claim that nobody takes over
// must not collect sockets.
import type { Socket } from 'node:net'

/** Bounds of the queue. */
export interface EarlyConnectionLimits {
  /** How many clients may wait; the next one is disconnected. */
  readonly maxEarlyConnections: number
  /** How long one may wait before it is disconnected, in milliseconds. */
  readonly earlyTimeoutMs: number
}

/** The clients that wait for a server. */
export class EarlyConnections {
  readonly #limits: EarlyConnectionLimits
  readonly #waiting = new Map<Socket, { timer: NodeJS.Timeout; drop: () => void }>()

  constructor(limits: EarlyConnectionLimits) {
    this.#limits = limits
  }

  /** How many clients wait now. */
  get size(): number {
    return this.#waiting.size
  }

  /** Takes a client in, or disconnects it when the queue is full. */
  add(socket: Socket): void {
    if (this.#waiting.size >= this.#limits.maxEarlyConnections) {
      socket.destroy()
      return
    }
    const drop = (): void => {
      this.#forget(socket)
      socket.destroy()
    }
    const timer = setTimeout(drop, this.#limits.earlyTimeoutMs)
    // The listening socket keeps the process alive, not the wait for its owner.
    timer.unref()
    // `end` without a reader means the client has gone before it sent anything.
    socket.on('error', drop).on('end', drop).on('close', drop)
    this.#waiting.set(socket, { timer, drop })
  }

  /** Hands every waiting client to `receive`, in order of arrival. */
  drain(receive: (socket: Socket) => void): void {
    for (const socket of this.#waiting.keys()) {
      this.#forget(socket)
      receive(socket)
    }
  }

  /** Disconnects every waiting client. */
  destroy(): void {
    this.drain((socket) => socket.destroy())
  }

  #forget(socket: Socket): void {
    const entry = this.#waiting.get(socket)
    if (entry === undefined) return
    this.#waiting.delete(socket)
    clearTimeout(entry.timer)
    const { drop } = entry
    socket.off('error', drop).off('end', drop).off('close', drop)
  }
}
