// Where accepted connections enter a claim: first into the queue of early clients, later to whoever
// serves the port. While the port is verified they are looked at on the way.
import type { Socket } from 'node:net'

/** Looks at a connection and lets it through, now or later, or ends it. */
export type Inspect = (socket: Socket, pass: () => void) => void

/** Receives the connections of a claim's sockets. */
export class Inlet {
  #receive: (socket: Socket) => void
  #inspect: Inspect | undefined

  constructor(receive: (socket: Socket) => void) {
    this.#receive = receive
  }

  /** Takes an accepted connection in. */
  accept(socket: Socket): void {
    if (this.#inspect === undefined) this.#receive(socket)
    else this.#inspect(socket, () => this.#receive(socket))
  }

  /** Sends connections somewhere else from now on. */
  redirect(receive: (socket: Socket) => void): void {
    this.#receive = receive
  }

  /** Looks at every connection until the returned function is called. */
  inspect(inspect: Inspect): () => void {
    this.#inspect = inspect
    return () => {
      this.#inspect = undefined
    }
  }
}
