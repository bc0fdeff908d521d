import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import {
  type Consumer,
  type Logger,
  resetReasonName,
  resetReasonText,
  resetSocket,
  SocketSplice,
} from '@proj/tunnel'

/** How long a local connection waits for the server when there is no session. */
const OPEN_TIMEOUT_MS = 15_000

/** Connections of one access at once; one more is reset. */
const MAX_CONNECTIONS = 10_000

/** Carries local connections to a remote endpoint, each as a stream of its own. */
export class Access {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** Why the last connection was refused or cut, for the log and for status. */
  lastFailure: string | undefined
  readonly #consumer: Consumer
  readonly #logger: Logger
  #open = 0

  constructor(endpoint: string, consumer: Consumer, logger: Logger) {
    this.endpoint = endpoint
    this.#consumer = consumer
    this.#logger = logger
  }

  /** Connections open now. */
  get open(): number {
    return this.#open
  }

  /** Takes a connection; it is reset when the service cannot be reached. */
  accept(socket: Socket): void {
    void this.#carry(socket)
  }

  async #carry(socket: Socket): Promise<void> {
    const early = (): void => {}
    socket.on('error', early)
    if (this.#open >= MAX_CONNECTIONS) {
      this.#fail(socket, `more than ${MAX_CONNECTIONS} connections`)
      return
    }
    this.#open += 1
    socket.once('close', () => (this.#open -= 1))
    socket.setNoDelay(true)
    try {
      const signal = AbortSignal.timeout(OPEN_TIMEOUT_MS)
      const way = await this.#consumer.open(this.endpoint, { signal })
      socket.off('error', early)
      if (way.protocol === 'adit') {
        const splice: SocketSplice = new SocketSplice(way.channel, {
          resetReason: () => 'consumerGone',
          onClose: (reason) => {
            const name = reason === undefined ? undefined : resetReasonName(reason)
            if (name === undefined || name === 'consumerGone') return
            this.#fail(socket, resetReasonText(name))
          },
        })
        way.channel.attach(splice)
        splice.connect(socket)
      } else joinPipe(socket, way.pipe)
    } catch (error) {
      this.#fail(socket, error instanceof Error ? error.message : String(error))
    }
  }

  #fail(socket: Socket, why: string): void {
    this.lastFailure = why
    this.#logger.warn({ endpoint: this.endpoint, why }, 'connection not carried')
    resetSocket(socket)
  }
}

/** Joins a local connection to a Piko server's pipe, which knows no half-close: one end ends both. */
function joinPipe(socket: Socket, pipe: Duplex): void {
  const end = (): void => {
    pipe.destroy()
    socket.destroy()
  }
  pipe.on('error', end)
  socket.on('error', end)
  pipe.on('close', () => socket.end())
  socket.on('close', () => pipe.end())
  socket.pipe(pipe)
  pipe.pipe(socket)
}
