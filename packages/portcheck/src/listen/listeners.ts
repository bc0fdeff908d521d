// Several addresses that listen together, with one callback. The peer of every connection is normalised and
// checked here once, for all sockets.
import type { Server, Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { AddressList, type AddressListOptions } from '@proj/config/address'

import type { Claim } from '../claim/claim.ts'
import type { InheritedSocket } from '../claim/inherited-sockets.ts'
import { type Endpoint, type Families, familiesOf, formatEndpoint } from '../endpoint.ts'
import type { PortcheckError } from '../errors.ts'
import { hasQueued } from './accept-queue.ts'
import { type Peer, peerOf, setClient } from './peer.ts'
import type { ProxyFront } from './proxy-front.ts'
import { reachableUrls } from '../reachable.ts'
import { verify, type Verification, type VerifyOptions } from '../verify.ts'
import type { Warning } from '../warnings.ts'

/** One address that listens. */
export interface BoundAddress {
  /** The address as it was given. */
  readonly want: string
  /** The sockets, as the system reports them. */
  readonly endpoints: readonly Endpoint[]
  /** Each socket with the families that reach it, for log lines. */
  readonly sockets: readonly { readonly address: string; readonly families: Families }[]
  /** `inherited`: another process opened the sockets; see `InheritedSockets`. */
  readonly origin: 'bound' | 'inherited'
  /** The port; not the given one after 0 or the policy `next`. */
  readonly port: number
  /** Up to three URLs for a browser. */
  readonly urls: readonly string[]
  /** Differences from the given address, such as a missing family. */
  readonly warnings: readonly Warning[]
}

/** One address that does not listen, with `require` other than `all`. */
export interface FailedAddress {
  /** The address as it was given. */
  readonly want: string
  /** The error, with a report on the port. */
  readonly error: PortcheckError
}

/** Receives an accepted connection. */
export type OnConnection = (socket: Socket, peer: Peer) => void

/**
 * Runs first on a connection that the access lists allow. It owns the socket until it calls `done`, with
 * this socket or one that wraps it, or ends it. When the connection closes, it must stop waiting.
 */
export type Handshake = (socket: Socket, peer: Peer, done: (socket: Socket) => void) => void

/** Turns of the event loop after which the ports are closed although connections keep coming. */
const MAX_TURNS = 1_000

/** Turns in which the sockets are to be closed with empty queues; a busy port needs three. */
const MAX_EMPTY_TURNS = 100

/** Addresses that listen together; made by `listen`. */
export class Listeners {
  /** The addresses that listen, in the given order. */
  readonly bound: readonly BoundAddress[]
  /** The addresses that do not listen; empty when `require` is `all`. */
  readonly failed: readonly FailedAddress[]
  /** Resolves when all ports are free and all connections have closed. Never rejects. */
  readonly closed: Promise<void>

  readonly #claims: readonly Claim[]
  readonly #onConnection: OnConnection
  readonly #handshake: Handshake | undefined
  readonly #proxyFront: ProxyFront | undefined
  /** Accepted sockets, each with the outermost socket after its handshake, which is the one to destroy. */
  readonly #sockets = new Map<Socket, Socket>()
  #accessList: AddressList
  #accepted = 0
  #refused = 0
  #closing = false
  #resolveClosed: () => void = () => {}

  /** @internal */
  constructor(
    claims: readonly { readonly want: string; readonly claim: Claim }[],
    failed: readonly FailedAddress[],
    how: {
      accessList: AddressList
      onConnection: OnConnection
      handshake: Handshake | undefined
      proxyFront: ProxyFront | undefined
      scheme: string
    },
  ) {
    this.#claims = claims.map(({ claim }) => claim)
    this.#accessList = how.accessList
    this.#onConnection = how.onConnection
    this.#handshake = how.handshake
    this.#proxyFront = how.proxyFront
    this.failed = failed
    this.bound = claims.map(({ want, claim }) => describe(want, claim, how.scheme))
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    for (const claim of this.#claims) claim.serve((socket) => this.#accept(socket))
  }

  /** Makes one without any address, for a program whose port another process of it has. */
  static none(): Listeners {
    return new Listeners([], [], {
      accessList: new AddressList({}),
      onConnection: () => {},
      handshake: undefined,
      proxyFront: undefined,
      scheme: 'http',
    })
  }

  /**
   * Replaces the access lists. Open connections stay open.
   * @throws {ConfigError} for an entry that is not an address; the lists then do not change.
   */
  restrict(lists: AddressListOptions): void {
    this.#accessList = new AddressList(lists)
  }

  /** Connects to every address that listens and reports whether the connections arrive here. */
  async verify(options: VerifyOptions = {}): Promise<Verification> {
    const all = await Promise.all(
      this.#claims.map(async (claim) => {
        const others = this.#claims.filter((other) => other !== claim)
        const siblings = others.flatMap(({ endpoints }) => endpoints)
        return await verify(claim, { ...options, siblings })
      }),
    )
    return {
      reached: all.flatMap((one) => one.reached),
      warnings: all.flatMap((one) => one.warnings),
    }
  }

  /**
   * Returns the listening sockets, for a process that takes them over: it gets the descriptors, and this
   * information with other numbers. Empty on Windows, which has no descriptors.
   *
   * @param name - name of the listener.
   */
  descriptors(name: string): InheritedSocket[] {
    return this.bound.flatMap(({ want }, index) =>
      (this.#claims[index]?.descriptors() ?? []).map((socket) => ({ ...socket, name, want })),
    )
  }

  /**
   * Returns the listening sockets with the servers that accept from them here, for worker processes that are to
   * accept in their place while this process keeps the ports. Empty on Windows.
   *
   * @param name - name of the listener.
   */
  openSockets(name: string): { readonly socket: InheritedSocket; readonly server: Server }[] {
    return this.bound.flatMap(({ want }, index) =>
      (this.#claims[index]?.openSockets() ?? []).map(({ socket, server }) => {
        return { socket: { ...socket, name, want, isShared: true }, server }
      }),
    )
  }

  /** Whether another process keeps every socket open, such as a service manager. */
  get isShared(): boolean {
    return this.#claims.length > 0 && this.#claims.every(({ isShared }) => isShared)
  }

  /**
   * Returns the number of open connections, of connections that the access lists or the load balancers' list denied, and of
   * connections that could not be accepted, for lack of file descriptors or memory.
   */
  stats(): { open: number; refused: number; failedAccepts: number } {
    const failedAccepts = this.#claims.reduce((sum, claim) => sum + claim.failedAccepts, 0)
    return { open: this.#sockets.size, refused: this.#refused, failedAccepts }
  }

  /**
   * Frees the ports and waits until the open connections have closed. Rejects with the reason of the
   * signal when it aborts; the connections then stay open.
   *
   * @param options.acceptQueued - see `free`.
   */
  async close(options: { signal?: AbortSignal; acceptQueued?: boolean } = {}): Promise<void> {
    const { signal } = options
    await this.free(options)
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

  /**
   * Frees the ports; open connections stay. Without `acceptQueued` that is done when this returns.
   *
   * @param options.acceptQueued - first accept what waits in the queues of the kernel, which resets it when
   *   no other process has the socket. Default false.
   */
  async free(options: { signal?: AbortSignal; acceptQueued?: boolean } = {}): Promise<void> {
    if (options.acceptQueued === true) await this.#acceptQueued(options.signal)
    this.#stopListening()
  }

  /** Frees the ports and closes every connection now. */
  destroy(): void {
    this.#stopListening()
    for (const socket of this.#sockets.values()) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.closed
  }

  /**
   * Closes the sockets when nothing waits in their queues. Where that cannot be done it returns when nothing was
   * accepted in two turns of the event loop, which accept all that waits, and nothing has come since.
   */
  async #acceptQueued(signal: AbortSignal | undefined): Promise<void> {
    const ports = new Set(this.bound.map(({ port }) => port))
    let quietTurns = 0
    let mayCloseEmpty = true
    for (let turn = 0; turn < MAX_TURNS && signal?.aborted !== true; turn += 1) {
      const before = this.#accepted
      await nextTurn()
      quietTurns = this.#accepted === before ? quietTurns + 1 : 0
      // The first turns accept what has come while this process was busy.
      if (mayCloseEmpty && turn >= 2) {
        const states = await Promise.all(this.#claims.map((claim) => claim.closeEmptySockets()))
        if (states.every((state) => state === 'closed')) return
        mayCloseEmpty = turn < MAX_EMPTY_TURNS && !states.includes('never')
      }
      if (!mayCloseEmpty && quietTurns >= 2 && !hasQueued(ports)) return
    }
  }

  #accept(socket: Socket): void {
    this.#accepted += 1
    const peer = peerOf(socket)
    if (peer === undefined) return void socket.destroy()
    if (this.#proxyFront === undefined) {
      if (!this.#admits(socket, peer)) return
      this.#keep(socket)
      this.#begin(socket, peer)
      return
    }
    this.#keep(socket)
    this.#proxyFront.read(socket, peer, (client) => {
      if (client === undefined) this.#refused += 1
      else if (this.#sockets.has(socket) && this.#admits(socket, client)) {
        if (client !== peer) setClient(socket, client)
        this.#begin(socket, client)
      }
    })
  }

  #admits(socket: Socket, { address }: Peer): boolean {
    if (this.#accessList.admits(address)) return true
    this.#refused += 1
    socket.destroy()
    return false
  }

  #keep(socket: Socket): void {
    this.#sockets.set(socket, socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#settle()
    })
  }

  #begin(socket: Socket, peer: Peer): void {
    if (this.#handshake === undefined) this.#onConnection(socket, peer)
    else this.#handshake(socket, peer, (passed) => this.#pass(socket, passed, peer))
  }

  #pass(accepted: Socket, passed: Socket, peer: Peer): void {
    if (!this.#sockets.has(accepted)) return void passed.destroy() // the connection has closed
    this.#sockets.set(accepted, passed)
    if (this.#proxyFront !== undefined && passed !== accepted) setClient(passed, peer)
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
  const { endpoints, origin, port, warnings } = claim
  return {
    want,
    endpoints,
    sockets: endpoints.map((endpoint) => ({
      address: formatEndpoint(endpoint),
      families: familiesOf(endpoint),
    })),
    origin,
    port,
    urls: reachableUrls(endpoints, scheme),
    warnings,
  }
}
