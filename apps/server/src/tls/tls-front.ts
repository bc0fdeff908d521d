import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'

import { abortAt } from '@proj/auth'
import { beginsWithProxyHeader, type Handshake } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'
import { tcpSocketOf, resetSocket } from '@proj/tunnel/io'
import { jsonAnswer, sendAnswer } from '@proj/tunnel/server'
import { RateBound } from '@proj/program-kit'

import { ProxyHeaderNote } from '../proxy-protocol.ts'
import { endOfCertificate } from './certificates.ts'
import { TLS_ERRORS } from './tls-errors.ts'
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

/** Options of a TlsFront. */
export interface TlsFrontOptions {
  /** Name of the port, for lines of the log. */
  readonly listener: string
  /** What it shows and trusts at first. */
  readonly material: TlsMaterial
  /** From the connection to the end of its handshake, ms; then it is cut. */
  readonly handshakeTimeoutMs: number
  /** Handshakes at once; one more cuts the oldest. */
  readonly maxHandshakes: number
  /** Keys of the tickets that clients resume with, 48 bytes. Default: random. */
  readonly ticketKeys?: Buffer | undefined
  /** Gets a line for each failed handshake. */
  readonly logger: Logger
}

/** A connection in its handshake, or one that is being rejected. */
interface Arrival {
  readonly address: string
  readonly done: (socket: Socket) => void
  readonly timer: NodeJS.Timeout
  /** Whether the handshake has failed and the socket is only to be closed. */
  isSettled: boolean
  /** The TLS socket a rejection is sent on; then this is what has to be destroyed. */
  secured?: TLSSocket
}

/** First byte of every TLS record that can begin a connection (RFC 8446 section 5.1). */
const HANDSHAKE_RECORD = 22

/** Protocols after the handshake; the proxy and both acceptors know no others. */
const PROTOCOLS = ['http/1.1', 'http/1.0']

/** Node's own limit must not fire before ours, which covers the time before the first byte too. */
const NODE_TIMEOUT_EXTRA_MS = 1_000

/** From the end of a client's certificate to that of its connection, ms: sessions end before, and say why. */
const CERTIFICATE_GRACE_MS = 5_000

/** At most one warning about failing clients per interval and port, ms; the others are logged at debug. */
const WARN_INTERVAL_MS = 10_000

/**
 * TLS on one port. It does not listen: connections come from the listener, after its access lists, and
 * leave by `done` when they are secure.
 *
 * Handshakes are bounded in number and time. When there are too many, the oldest is cut instead of the
 * newest: honest clients need only a few round trips, so clients that only occupy places lose them first.
 *
 * A client certificate that is missing or unknown is rejected in HTTP, after the handshake: an alert would
 * mostly be lost, because in TLS 1.3 the client has sent data by then, and closing over it is a reset.
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
  readonly #proxyHeaders: ProxyHeaderNote
  /** Ends of the certificates of open connections: a signal without a reference is collected. */
  readonly #certificates = new WeakMap<TLSSocket, AbortSignal>()
  #material: TlsMaterial

  constructor(options: TlsFrontOptions) {
    this.#options = options
    this.#material = options.material
    this.#proxyHeaders = new ProxyHeaderNote(options.listener, options.logger)
    this.results = this.#results
    this.#server = createServer({
      ...options.material.options,
      ALPNProtocols: PROTOCOLS,
      SNICallback: (name, done) => done(null, this.#material.select(name)),
      ...(options.ticketKeys !== undefined && { ticketKeys: options.ticketKeys }),
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

  /** Keys of its tickets, for a process that takes over. They are secrets. */
  get ticketKeys(): Buffer {
    return this.#server.getTicketKeys()
  }

  /** Handshakes in progress, and rejections that are being read. */
  get inProgress(): number {
    return this.#arrivals.size
  }

  /**
   * Uses other certificates for new handshakes. Open connections keep theirs.
   *
   * @throws {TypeError} when it would ask for certificates where that was not asked for, or no longer:
   *   authorization depends on it.
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

  /** Waits for the first bytes, which tell TLS from other protocols. */
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
        // A FIN during the handshake ends the connection; after it, it is half a close.
        socket.allowHalfOpen = false
        this.#server.emit('connection', socket)
      } else if (beginsWithProxyHeader(bytes)) {
        this.#proxyHeaders.found(this.#arrivals.get(socket)?.address ?? '')
        this.#fail(socket, 'no-tls', 'a PROXY protocol header, see proxy_protocol_from')
        socket.destroy()
      } else if (isMethodCharacter(first)) {
        this.#fail(socket, 'plain-http', 'HTTP without TLS')
        sendAnswer(
          socket,
          jsonAnswer(TLS_ERRORS.tls_required.status, TLS_ERRORS.tls_required.error, {
            'adit-error': 'tls_required',
          }),
        )
      } else {
        this.#fail(socket, 'no-tls', 'the first byte is not TLS')
        socket.destroy()
      }
    }
    const onEnd = (): void => void socket.destroy()
    socket.once('end', onEnd)
    socket.once('readable', onReadable)
  }

  #onSecure(socket: TLSSocket): void {
    socket.allowHalfOpen = true
    const tcpSocket = tcpSocketOf(socket)
    const arrival = tcpSocket && this.#arrivals.get(tcpSocket)
    if (tcpSocket === undefined || arrival === undefined || arrival.isSettled) {
      socket.destroy()
      return
    }
    if (this.#material.wantsCertificate && !socket.authorized) {
      this.#refuseCertificate(tcpSocket, socket)
      return
    }
    if (this.#material.wantsCertificate && !this.#boundByCertificate(socket)) {
      this.#refuseCertificate(tcpSocket, socket)
      return
    }
    this.#results.completed += 1
    this.#forget(tcpSocket)
    arrival.done(socket)
  }

  /**
   * Ends a connection with its certificate. False when that has expired: a session that is resumed by a
   * ticket is not checked again by Node.
   */
  #boundByCertificate(socket: TLSSocket): boolean {
    const notAfter = endOfCertificate(socket.getPeerCertificate())
    if (notAfter === undefined) return true
    if (notAfter <= Date.now()) return false
    // Later than the message of the protocol above, which tells the peer why the session ends.
    const expired = abortAt(notAfter + CERTIFICATE_GRACE_MS, new Error('expired certificate'))
    this.#certificates.set(socket, expired)
    expired.addEventListener('abort', () => resetSocket(socket), { once: true })
    return true
  }

  #refuseCertificate(tcpSocket: Socket, socket: TLSSocket): void {
    const isMissing = Object.keys(socket.getPeerCertificate()).length === 0
    const result = isMissing ? 'certificate-missing' : 'certificate-refused'
    const code = isMissing ? 'client_certificate_missing' : 'client_certificate_refused'
    const { status, error } = TLS_ERRORS[code]
    const text = isMissing
      ? error
      : `${error}: ${String(socket.authorizationError ?? 'CERT_HAS_EXPIRED')}`
    this.#fail(tcpSocket, result, text)
    const arrival = this.#arrivals.get(tcpSocket)
    if (arrival !== undefined) arrival.secured = socket
    sendAnswer(socket, jsonAnswer(status, text, { 'adit-error': code }))
  }

  #onFailure(error: Error, socket: TLSSocket): void {
    const tcpSocket = tcpSocketOf(socket)
    if (tcpSocket === undefined) return
    const code = 'code' in error ? String(error.code) : error.message
    if (code === 'ECONNRESET' || code === 'EPIPE') {
      this.#fail(tcpSocket, 'gone', 'closed during the handshake')
    } else this.#fail(tcpSocket, 'failed', code)
  }

  /** Counts and logs a failure, once per connection, which stays among the arrivals until it is closed. */
  #fail(socket: Socket, result: HandshakeResult, why: string): void {
    const arrival = this.#arrivals.get(socket)
    if (arrival === undefined || arrival.isSettled) return
    arrival.isSettled = true
    clearTimeout(arrival.timer)
    this.#results[result] += 1
    const { logger, listener } = this.#options
    const line = { listener, remoteAddress: arrival.address, result, why }
    // Scanners and health checks of load balancers fail all the time; a client with a wrong certificate needs
    // an operator.
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
