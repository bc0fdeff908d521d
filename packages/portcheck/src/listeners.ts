// The listening side of an application: several addresses, one callback. Every connection is
// normalised and checked once, here; whoever receives it need not know which socket it came through.
import type { Socket } from 'node:net'

import { type AccessList, type AccessListOptions, createAccessList } from './access-list.ts'
import type { Claim } from './claim.ts'
import { type Endpoint, type Families, familiesOf, formatEndpoint } from './endpoint.ts'
import type { PortcheckError } from './errors.ts'
import { type Peer, peerOf } from './peer.ts'
import { reachableUrls } from './reachable-urls.ts'
import { verify, type Verification, type VerifyOptions } from './verify.ts'
import type { Warning } from './warnings.ts'

/** One address that listens. */
export interface BoundAddress {
  /** The address as it was written. */
  readonly want: string
  /** The sockets, as the system reports them. */
  readonly endpoints: readonly Endpoint[]
  /** Each socket with the families that reach it, for start-up lines. */
  readonly sockets: readonly { readonly address: string; readonly families: Families }[]
  /** The port; differs from the written one for 0 and for the conflict policy `next`. */
  readonly port: number
  /** Up to three URLs a person can open. */
  readonly urls: readonly string[]
  /** What is not as written, such as a missing family. */
  readonly warnings: readonly Warning[]
}

/** One address that does not listen, with `require` other than `all`. */
export interface FailedAddress {
  /** The address as it was written. */
  readonly want: string
  /** Why, with a report on the port. */
  readonly error: PortcheckError
}

/** Receives an accepted connection. */
export type OnConnection = (socket: Socket, peer: Peer) => void

/**
 * Does what comes first on a connection that the access lists let in. It owns the socket until it calls
 * `done`, with that socket or one that wraps it, or ends it; when the connection ends, so does what it
 * waits for.
 */
export type Handshake = (socket: Socket, peer: Peer, done: (socket: Socket) => void) => void

/** Addresses that listen together; made by `listen`. */
export class Listeners {
  /** The addresses that listen, in the order they were written. */
  readonly bound: readonly BoundAddress[]
  /** The addresses that do not; empty when `require` is `all`. */
  readonly failed: readonly FailedAddress[]
  /** Resolves when nothing listens any more and every connection has ended. Never rejects. */
  readonly closed: Promise<void>

  readonly #claims: readonly Claim[]
  readonly #onConnection: OnConnection
  readonly #handshake: Handshake | undefined
  /** What was accepted, and what became of it: the outermost socket is the one to destroy. */
  readonly #sockets = new Map<Socket, Socket>()
  #isAllowed: AccessList
  #refused = 0
  #closing = false
  #resolveClosed: () => void = () => {}

  /** @internal */
  constructor(
    claims: readonly { readonly want: string; readonly claim: Claim }[],
    failed: readonly FailedAddress[],
    how: {
      isAllowed: AccessList
      onConnection: OnConnection
      handshake: Handshake | undefined
      scheme: string
    },
  ) {
    this.#claims = claims.map(({ claim }) => claim)
    this.#isAllowed = how.isAllowed
    this.#onConnection = how.onConnection
    this.#handshake = how.handshake
    this.failed = failed
    this.bound = claims.map(({ want, claim }) => describe(want, claim, how.scheme))
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    for (const claim of this.#claims) claim.serve((socket) => this.#accept(socket))
  }

  /**
   * Replaces the access lists. Connections that are open stay.
   * @throws {ConfigError} for an entry that is no address; the lists then stay as they were.
   */
  restrict(lists: AccessListOptions): void {
    this.#isAllowed = createAccessList(lists)
  }

  /** Connects to every address that listens and tells whether the connections arrive here. */
  async verify(options: VerifyOptions = {}): Promise<Verification> {
    const all = await Promise.all(this.#claims.map(async (claim) => await verify(claim, options)))
    return {
      reached: all.flatMap((one) => one.reached),
      warnings: all.flatMap((one) => one.warnings),
    }
  }

  /**
   * Open connections; connections refused by the access lists so far; connections that the system
   * could not hand over, for want of descriptors or memory.
   */
  stats(): { open: number; refused: number; failedAccepts: number } {
    const failedAccepts = this.#claims.reduce((sum, claim) => sum + claim.failedAccepts, 0)
    return { open: this.#sockets.size, refused: this.#refused, failedAccepts }
  }

  /**
   * Frees the ports and waits for the open connections to end.
   * Rejects with the signal's reason when it aborts; the connections then go on.
   */
  async close(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    this.#stopListening()
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

  /** Frees the ports and ends every connection now. */
  destroy(): void {
    this.#stopListening()
    for (const socket of this.#sockets.values()) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.closed
  }

  #accept(socket: Socket): void {
    const peer = peerOf(socket)
    if (peer === undefined) return void socket.destroy()
    if (!this.#isAllowed(peer)) {
      this.#refused += 1
      socket.destroy()
      return
    }
    this.#sockets.set(socket, socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#settle()
    })
    if (this.#handshake === undefined) this.#onConnection(socket, peer)
    else this.#handshake(socket, peer, (passed) => this.#pass(socket, passed, peer))
  }

  #pass(accepted: Socket, passed: Socket, peer: Peer): void {
    if (!this.#sockets.has(accepted)) return void passed.destroy() // it has closed meanwhile
    this.#sockets.set(accepted, passed)
    this.#onConnection(passed, peer)
  }

  #stopListening(): void {
    if (this.#closing) return
    this.#closing = true
    for (const claim of this.#claims) claim.destroy()
    this.#settle()
  }

  #settle(): void {
    if (this.#closing && this.#sockets.size === 0) this.#resolveClosed()
  }
}

function describe(want: string, claim: Claim, scheme: string): BoundAddress {
  const { endpoints, port, warnings } = claim
  return {
    want,
    endpoints,
    sockets: endpoints.map((endpoint) => ({
      address: formatEndpoint(endpoint),
      families: familiesOf(endpoint),
    })),
    port,
    urls: reachableUrls(endpoints, scheme),
    warnings,
  }
}
