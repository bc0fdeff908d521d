import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { type Consumer, type Logger, type Way } from '@proj/tunnel'
import { isCleanEnd, resetSocket, SocketSplice, Traffic } from '@proj/tunnel/io'

import {
  type AccessFailure,
  failureOfStream,
  failureToOpen,
  localFailure,
} from './access-failure.ts'

/** Most connections of one access at once; one more is reset. */
const MAX_CONNECTIONS = 10_000

/** Parts that accesses share. */
export interface AccessSurroundings {
  /** Opens streams to the endpoint. */
  readonly consumer: Consumer
  /** The error of the last attempt to reach the server, if it failed. */
  readonly lastProblem: () => unknown
  readonly logger: Logger
}

/**
 * Carries local connections to a remote endpoint, one stream each. TCP cannot carry an error, so the
 * reason is logged and shown in the status, and the connection is reset; otherwise the client could take
 * the data for complete.
 */
export class Access {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** Connections and bytes. */
  readonly traffic: Traffic = new Traffic()
  /** How long a connection waits for the server while there is none, ms. */
  timeoutMs: number
  /** Connections that were reset so far. */
  failures = 0
  /** Why the last connection was reset, and when, ms since the epoch. */
  lastFailure: (AccessFailure & { readonly at: number }) | undefined
  readonly #around: AccessSurroundings
  /** Those that have a stream: what resets them when this program stops. */
  readonly #ends = new Map<Socket, () => void>()
  /** Connections that have no stream yet. */
  #opening = 0
  #onSettled: (() => void) | undefined
  #settled: Promise<void> | undefined

  constructor(endpoint: string, timeoutMs: number, around: AccessSurroundings) {
    this.endpoint = endpoint
    this.timeoutMs = timeoutMs
    this.#around = around
  }

  /** Carries a connection; resets it when the service cannot be reached. */
  accept(socket: Socket): void {
    void this.#carry(socket)
  }

  /**
   * Resolves when each accepted connection has its stream, or was reset, after `timeoutMs` at most. The
   * local addresses must be closed.
   */
  async settle(): Promise<void> {
    if (this.#opening === 0) return
    this.#settled ??= new Promise<void>((resolve) => (this.#onSettled = resolve))
    await this.#settled
  }

  /** Resets the connections that have a stream, as this program stops. */
  endConnections(): void {
    for (const end of this.#ends.values()) end()
  }

  async #carry(socket: Socket): Promise<void> {
    const early = (): void => {}
    socket.on('error', early)
    if (this.traffic.open >= MAX_CONNECTIONS) {
      this.#fail(socket, localFailure('too_many_connections', `limit ${MAX_CONNECTIONS}`))
      return
    }
    const { consumer, lastProblem } = this.#around
    const meter = new SocketMeter(socket)
    this.traffic.add(meter)
    socket.once('close', () => {
      this.traffic.remove(meter)
      this.#ends.delete(socket)
    })
    socket.setNoDelay(true)
    let way: Way
    this.#opening += 1
    try {
      way = await consumer.open(this.endpoint, { signal: AbortSignal.timeout(this.timeoutMs) })
    } catch (error) {
      this.#fail(socket, failureToOpen(error, lastProblem()))
      return
    } finally {
      this.#opening -= 1
      if (this.#opening === 0) this.#onSettled?.()
    }
    socket.off('error', early)
    if (way.protocol === 'piko') this.#joinPipe(socket, way.pipe)
    else {
      const splice: SocketSplice = new SocketSplice(way.channel, {
        resetReason: () => 'consumerGone',
        onClose: (_reason, error) => {
          const failure = error === undefined ? undefined : failureOfStream(error)
          if (failure !== undefined) this.#fail(socket, failure, splice.bytesToSocket > 0)
        },
      })
      this.#endsBy(socket, () => splice.abort('draining'))
      way.channel.attach(splice)
      splice.connect(socket)
    }
  }

  /** Joins a connection with the pipe of a Piko server. It has no half-close: the end of one side ends both. */
  #joinPipe(socket: Socket, pipe: Duplex): void {
    pipe.on('error', (error) => {
      this.#fail(socket, localFailure('server_lost', error.message), socket.bytesWritten > 0)
    })
    socket.on('error', () => pipe.destroy())
    pipe.on('close', () => socket.end())
    socket.on('end', () => (isCleanEnd(socket) ? pipe.end() : pipe.destroy()))
    socket.on('close', () => pipe.end())
    this.#endsBy(socket, () => {
      resetSocket(socket)
      pipe.destroy()
    })
    socket.pipe(pipe, { end: false })
    pipe.pipe(socket)
  }

  /** Its client may have gone while the stream was opened: no event would remove it then. */
  #endsBy(socket: Socket, end: () => void): void {
    if (!socket.destroyed) this.#ends.set(socket, end)
  }

  #fail(socket: Socket, failure: AccessFailure, begun = false): void {
    const { endpoint } = this
    const { code, text } = failure
    this.failures += 1
    this.lastFailure = { code, text, at: Date.now() }
    const fields = { endpoint, code, why: text }
    this.#around.logger.warn(fields, begun ? 'connection cut' : 'connection not carried')
    resetSocket(socket)
  }
}

/** Reads the counters of the socket, so nothing is counted here. */
class SocketMeter {
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  get bytesToSocket(): number {
    return this.#socket.bytesWritten
  }

  get bytesFromSocket(): number {
    return this.#socket.bytesRead
  }
}
