import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'

import type { Handshake } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'
import { carrierOf, resetSocket } from '@proj/tunnel/io'
import { jsonAnswer, sendAnswer } from '@proj/tunnel/server'

import type { TlsMaterial } from './tls-material.ts'

/** How a handshake came out. */
export type HandshakeResult =
  | 'completed'
  | 'plain-http'
  | 'no-tls'
  | 'failed'
  | 'gone'
  | 'timeout'
  | 'crowded-out'
  | 'certificate-missing'
  | 'certificate-refused'

/** What a front is made of. */
export interface TlsFrontOptions {
  /** Name of the port, for lines of the log. */
  readonly listener: string
  /** What it shows and trusts at first. */
  readonly material: TlsMaterial
  /** From the connection to the end of its handshake, ms; then it is cut. */
  readonly handshakeTimeoutMs: number
  /** Handshakes going on at once; one more cuts the oldest. */
  readonly maxHandshakes: number
  /** Told of handshakes that fail. */
  readonly logger: Logger
}

/** A connection that has not got through yet, or is just being refused. */
interface Arrival {
  readonly address: string
  readonly done: (socket: Socket) => void
  readonly timer: NodeJS.Timeout
  /** Failed: it is only let go of. */
  isSettled: boolean
  /** Set while a refusal is said over TLS; then this is what has to be destroyed. */
  secured?: TLSSocket
}

/** First byte of every TLS record that can begin a connection (RFC 8446 section 5.1). */
const HANDSHAKE_RECORD = 22

/** Spoken behind the handshake; the edge and both acceptors know nothing else. */
const PROTOCOLS = ['http/1.1', 'http/1.0']

/** Node's own limit must not fire before ours, which covers the time before the first byte too. */
const NODE_TIMEOUT_EXTRA_MS = 1_000

/** Lines at warn about failing clients: one per so many ms and front, the others at debug. */
const WARN_INTERVAL_MS = 10_000

/**
 * TLS on one port. It does not listen: connections come from whoever holds the port, after its access
 * lists, and leave by `done` when they are secure.
 *
 * What is going on is bounded in number and time. When there are too many, the oldest is cut and not the
 * newest refused: honest clients are done within a few round trips, so whoever only holds places loses
 * them first.
 *
 * A client certificate that is missing or unknown is told in HTTP, behind the handshake: an alert would
 * mostly be lost, for in TLS 1.3 the client has long gone on and closing over its bytes is a reset.
 */
export class TlsFront {
  /** Handshakes by how they came out. */
  readonly results: Readonly<Record<HandshakeResult, number>>
  readonly #results: Record<HandshakeResult, number> = {
    completed: 0,
    'plain-http': 0,
    'no-tls': 0,
    failed: 0,
    gone: 0,
    timeout: 0,
    'crowded-out': 0,
    'certificate-missing': 0,
    'certificate-refused': 0,
  }
  readonly #options: TlsFrontOptions
  readonly #server: Server
  /** In order of arrival. */
  readonly #arrivals = new Map<Socket, Arrival>()
  readonly #warnings = new RateBound(WARN_INTERVAL_MS)
  #material: TlsMaterial

  constructor(options: TlsFrontOptions) {
    this.#options = options
    this.#material = options.material
    this.results = this.#results
    this.#server = createServer({
      ...options.material.options,
      ALPNProtocols: PROTOCOLS,
      SNICallback: (name, done) => done(null, this.#material.select(name)),
      requestCert: options.material.wantsCertificate,
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeTimeoutMs + NODE_TIMEOUT_EXTRA_MS,
    })
    this.#server.on('secureConnection', (socket) => this.#onSecure(socket))
    this.#server.on('tlsClientError', (error, socket) => this.#onFailure(error, socket))
  }

  /** What new handshakes show and trust. */
  get material(): TlsMaterial {
    return this.#material
  }

  /** Handshakes going on now, and refusals being read. */
  get inProgress(): number {
    return this.#arrivals.size
  }

  /**
   * Takes other certificates for the handshakes to come. Connections live on with what they have.
   *
   * @throws {TypeError} when it would ask for certificates where that was not asked for, or no longer:
   *   who may do what has been decided by that.
   */
  replace(material: TlsMaterial): void {
    if (material.wantsCertificate !== this.#material.wantsCertificate) {
      throw new TypeError('whether certificates are asked for is decided at the start')
    }
    this.#server.setSecureContext(material.options)
    this.#material = material
  }

  /** Takes a connection in; for `listen` of portcheck. */
  readonly handshake: Handshake = (socket, { address }, done) => {
    const { maxHandshakes, handshakeTimeoutMs } = this.#options
    if (this.#arrivals.size >= maxHandshakes) this.#crowdOut()
    const timer = setTimeout(() => {
      this.#fail(socket, 'timeout', `no handshake within ${handshakeTimeoutMs} ms`)
      resetSocket(socket)
    }, handshakeTimeoutMs)
    timer.unref() // The listening socket keeps the process alive.
    this.#arrivals.set(socket, { address, done, timer, isSettled: false })
    socket.on('error', () => {}) // 'close' follows and says enough
    socket.once('close', () => {
      this.#fail(socket, 'gone', 'closed during the handshake')
      this.#forget(socket)
    })
    this.#look(socket)
  }

  /** Waits for the first bytes, which tell TLS from anything else. */
  #look(socket: Socket): void {
    const onReadable = (): void => {
      const bytes: unknown = socket.read()
      if (!(bytes instanceof Buffer)) {
        if (socket.readableEnded) return // 'end' has it
        socket.once('readable', onReadable)
        return
      }
      socket.off('end', onEnd)
      if (this.#arrivals.get(socket)?.isSettled !== false) return
      const [first = 0] = bytes
      if (first === HANDSHAKE_RECORD) {
        socket.unshift(bytes)
        // Who ends in the middle of a handshake has given up; behind it an end is only half of one.
        socket.allowHalfOpen = false
        this.#server.emit('connection', socket)
      } else if (isMethodCharacter(first)) {
        this.#fail(socket, 'plain-http', 'HTTP without TLS')
        sendAnswer(
          socket,
          jsonAnswer(400, 'this port speaks TLS: use https', { 'adit-error': 'tls_required' }),
        )
      } else {
        this.#fail(socket, 'no-tls', 'the first byte is none of TLS')
        socket.destroy()
      }
    }
    const onEnd = (): void => void socket.destroy()
    socket.once('end', onEnd)
    socket.once('readable', onReadable)
  }

  #onSecure(socket: TLSSocket): void {
    socket.allowHalfOpen = true
    const carrier = carrierOf(socket)
    const arrival = carrier && this.#arrivals.get(carrier)
    if (carrier === undefined || arrival === undefined || arrival.isSettled) {
      socket.destroy()
      return
    }
    if (this.#material.wantsCertificate && !socket.authorized) {
      this.#refuseCertificate(carrier, socket)
      return
    }
    this.#results.completed += 1
    this.#forget(carrier)
    arrival.done(socket)
  }

  #refuseCertificate(carrier: Socket, socket: TLSSocket): void {
    const isMissing = Object.keys(socket.getPeerCertificate()).length === 0
    const result = isMissing ? 'certificate-missing' : 'certificate-refused'
    const text = isMissing
      ? 'a client certificate is required'
      : `the client certificate is not accepted: ${String(socket.authorizationError)}`
    this.#fail(carrier, result, text)
    const arrival = this.#arrivals.get(carrier)
    if (arrival !== undefined) arrival.secured = socket
    sendAnswer(
      socket,
      jsonAnswer(403, text, { 'adit-error': `client_${result.replace('-', '_')}` }),
    )
  }

  #onFailure(error: Error, socket: TLSSocket): void {
    const carrier = carrierOf(socket)
    if (carrier === undefined) return
    const code = 'code' in error ? String(error.code) : error.message
    if (code === 'ECONNRESET' || code === 'EPIPE') {
      this.#fail(carrier, 'gone', 'closed during the handshake')
    } else this.#fail(carrier, 'failed', code)
  }

  /** Counts and says it, once for each connection. It stays among the arrivals until it is closed. */
  #fail(socket: Socket, result: HandshakeResult, why: string): void {
    const arrival = this.#arrivals.get(socket)
    if (arrival === undefined || arrival.isSettled) return
    arrival.isSettled = true
    clearTimeout(arrival.timer)
    this.#results[result] += 1
    const { logger, listener } = this.#options
    const line = { listener, remoteAddress: arrival.address, result, why }
    // Scanners and health checks of load balancers do this all the time; who lacks a certificate is meant to
    // get in.
    const matters = result.startsWith('certificate')
    const unsaid = matters ? this.#warnings.take(Date.now()) : undefined
    if (unsaid === undefined) logger.debug(line, 'TLS handshake failed')
    else logger.warn({ ...line, ...(unsaid > 0 && { unsaid }) }, 'TLS handshake failed')
  }

  #crowdOut(): void {
    const [oldest] = this.#arrivals
    if (oldest === undefined) return
    const [socket, { secured }] = oldest
    this.#fail(socket, 'crowded-out', 'too many handshakes at once, this was the oldest')
    this.#forget(socket)
    resetSocket(secured ?? socket)
  }

  #forget(socket: Socket): void {
    clearTimeout(this.#arrivals.get(socket)?.timer)
    this.#arrivals.delete(socket)
  }
}

/** Whether a request line can begin with it; methods are letters. */
function isMethodCharacter(byte: number): boolean {
  const letter = byte & 0b1101_1111
  return letter >= 0x41 && letter <= 0x5a
}

/** Lets something happen once in a while, and counts how often it did not. */
class RateBound {
  readonly #intervalMs: number
  #nextMs = -Infinity
  #left = 0

  /** @param intervalMs - least time between two. */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** @returns how often it was refused since the last time it was not; undefined: not now. */
  take(nowMs: number): number | undefined {
    if (nowMs < this.#nextMs) {
      this.#left += 1
      return undefined
    }
    this.#nextMs = nowMs + this.#intervalMs
    const left = this.#left
    this.#left = 0
    return left
  }
}
