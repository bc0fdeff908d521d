/**
 * The members of `net.Socket` that a Duplex lacks, as far as they mean something for a stream of a session.
 * Node's http, https, tls and http2, `ws` and undici call them on what they take for a connection.
 */
import type { AddressInfo, Server, Socket, SocketReadyState } from 'node:net'
import { Duplex } from 'node:stream'

/** Longest time of a timer; Node shortens longer ones too. */
const MAX_TIMEOUT_MS = 2_147_483_647

/** A Duplex with the members of `net.Socket`. */
export abstract class SocketDuplex extends Duplex {
  /** Always false: a stream can be written as soon as it exists. */
  readonly connecting = false
  /** Always false. */
  readonly pending = false
  /** Always empty: a stream is not connected by its name. */
  readonly autoSelectFamilyAttemptedAddresses: string[] = []
  /** Set by the servers of Node; null without one. */
  server: Server | null = null
  /** Own address of the session; absent when its transport is no socket. */
  readonly localAddress?: string
  /** Family of {@link localAddress}. */
  readonly localFamily?: string
  /** Own port of the session. */
  readonly localPort?: number
  /** Idle time in ms as set by {@link setTimeout}. */
  timeout?: number
  readonly #socket: Partial<Socket>
  #idleTimer: NodeJS.Timeout | undefined
  #queuedAtTimer = 0
  #isHalfOpen: boolean | undefined
  #bytesRead = 0
  #bytesTaken = 0

  /** @param transport - of the session: the stream has its addresses. */
  constructor(transport: Duplex) {
    super({ allowHalfOpen: true })
    this.#socket = transport as Partial<Socket>
    const { localAddress, localFamily, localPort } = this.#socket
    if (localAddress !== undefined) this.localAddress = localAddress
    if (localFamily !== undefined) this.localFamily = localFamily
    if (localPort !== undefined) this.localPort = localPort
  }

  /** Bytes that were taken from the stream and have not left yet. */
  protected abstract get queuedBytes(): number

  /** Bytes received, also those that are not read yet. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Bytes written, also those that have not left yet. */
  get bytesWritten(): number {
    return this.#bytesTaken + this.writableLength
  }

  /** Same as `writableLength`. */
  get bufferSize(): number {
    return this.writableLength
  }

  /** Address of the peer of the session; undefined when its transport is no socket. */
  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }

  /** Family of {@link remoteAddress}. */
  get remoteFamily(): string | undefined {
    return this.#socket.remoteFamily
  }

  /** Port of the peer of the session; all streams of a session have the same. */
  get remotePort(): number | undefined {
    return this.#socket.remotePort
  }

  /** Which directions are open, as in `net.Socket`. */
  get readyState(): SocketReadyState {
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  /** Own address of the session; empty when its transport is no socket. */
  address(): AddressInfo | Record<string, never> {
    const { localAddress: address, localFamily: family, localPort: port } = this
    return address === undefined || family === undefined || port === undefined
      ? {}
      : { address, family, port }
  }

  /**
   * Emits `timeout` when nothing is received or sent for `ms`; the stream stays open. 0 is no timeout.
   *
   * @param callback - listens once.
   * @throws {RangeError} when `ms` is negative or no number.
   */
  setTimeout(ms: number, callback?: () => void): this {
    if (!(ms >= 0)) throw new RangeError(`timeout must be 0 ms or more, got ${String(ms)}`)
    if (this.destroyed) return this
    this.timeout = ms
    this.stopTimer()
    if (ms > 0) {
      this.#idleTimer = setTimeout(this.#onIdle, Math.min(ms, MAX_TIMEOUT_MS)).unref()
      if (callback !== undefined) this.once('timeout', callback)
    } else if (callback !== undefined) this.off('timeout', callback)
    return this
  }

  /** No effect: a session sends small messages at once. */
  setNoDelay(_noDelay?: boolean): this {
    return this
  }

  /** No effect: see the option `keepAliveIntervalMs` of the session. */
  setKeepAlive(_enable?: boolean, _initialDelayMs?: number): this {
    return this
  }

  /** No effect. */
  setTypeOfService(_tos: number): this {
    return this
  }

  /** Always 0. */
  getTypeOfService(): number {
    return 0
  }

  /**
   * Marks the stream as idle, as agents do with the connections that they keep: if the peer ends it now,
   * it ends too. The transport alone keeps the process alive.
   */
  unref(): this {
    this.#isHalfOpen ??= this.allowHalfOpen
    this.allowHalfOpen = false
    if (this.readableEnded) this.end()
    return this
  }

  /** Reverses {@link unref}. */
  ref(): this {
    if (this.#isHalfOpen !== undefined) this.allowHalfOpen = this.#isHalfOpen
    this.#isHalfOpen = undefined
    return this
  }

  /** Ends the writable side, and destroys the stream when all is sent. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  /**
   * Always throws.
   *
   * @throws {TypeError} because a stream is connected.
   */
  connect(): never {
    throw new TypeError('a stream of a session is connected from the start')
  }

  /** Notes bytes that arrived. */
  protected noteReceived(bytes: number): void {
    this.#bytesRead += bytes
    this.#idleTimer?.refresh()
  }

  /** Notes that the stream begins or ends to send a chunk. */
  protected noteSending(sentBytes: number): void {
    this.#bytesTaken += sentBytes
    this.#idleTimer?.refresh()
  }

  /** Stops the timer of {@link setTimeout}. */
  protected stopTimer(): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = undefined
  }

  readonly #onIdle = (): void => {
    // As in net.Socket: a long write that makes progress is not idle.
    const queued = this.queuedBytes
    if (queued > 0 && queued !== this.#queuedAtTimer) {
      this.#queuedAtTimer = queued
      this.#idleTimer?.refresh()
      return
    }
    this.emit('timeout')
  }
}
