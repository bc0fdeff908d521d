// A claim is a port that is already listening. Binding alone reserves nothing on Linux (two bound
// sockets with SO_REUSEADDR coexist until one listens), and a port that was free when it was looked
// at is a guess by the time it is used. So the claim listens at once, lets early clients wait, and
// hands socket and clients over.
//
// A `net.Server` that adopts the claim takes over the listening handle itself, so `address()`,
// `close()` and the `listening` event of that server work as if it had listened. The clients that
// this claim had accepted until then are emitted on it first.
import type { Server, Socket } from 'node:net'
import { inspect as formatValue } from 'node:util'

import { EarlyConnections } from './early-connections.ts'
import { emitConnection } from './emit-connection.ts'
import type { Endpoint } from './endpoint.ts'
import { PortcheckError } from './errors.ts'
import { Inlet, type Inspect } from './inlet.ts'
import { type OpenedPlan, openPlan } from './open-plan.ts'
import type { Plan } from './plan.ts'
import { surpriseWarnings } from './surprises.ts'
import type { Warning } from './warnings.ts'

/** Bounds of a claim. */
export interface ClaimOptions {
  /**
   * Length of the kernel's queue of connections not yet accepted, per socket; the kernel may lower
   * it. 1 to 65535. @default 511
   */
  readonly backlog?: number
  /**
   * How many clients may wait for a server to adopt the claim; further ones are disconnected. 0 to
   * 65536. @default 64
   */
  readonly maxEarlyConnections?: number
  /**
   * How long such a client may wait before it is disconnected, in milliseconds, 1 to 600000.
   * @default 10000
   */
  readonly earlyTimeoutMs?: number
}

/** The defaults of {@link ClaimOptions}. */
export const CLAIM_DEFAULTS: Readonly<Required<ClaimOptions>> = Object.freeze({
  // Node's own default.
  backlog: 511,
  // A server takes over within milliseconds; more than this many clients by then is an accident.
  maxEarlyConnections: 64,
  earlyTimeoutMs: 10_000,
})

/** Opens and listens on every socket of a plan, or fails leaving nothing open. */
export async function claimPlan(plan: Plan, options: ClaimOptions = {}): Promise<Claim> {
  const { backlog, ...limits } = resolveClaimOptions(options)
  const early = new EarlyConnections(limits)
  const inlet = new Inlet((socket) => early.add(socket))
  const opened = await openPlan(plan, { backlog, onConnection: (socket) => inlet.accept(socket) })
  const surprises = await surpriseWarnings(plan, opened)
  return new Claim({ ...opened, warnings: [...opened.warnings, ...surprises] }, early, inlet)
}

/** A port that is held, until it is handed over or closed. */
export class Claim {
  /** The sockets that really listen, as the system reports them. */
  readonly endpoints: readonly Endpoint[]
  /** The port, also when 0 was wanted. */
  readonly port: number
  /** What is not as written, such as a family this machine lacks, and who else has the port. */
  readonly warnings: readonly Warning[]
  /** Resolves when the claim has ended by {@link close}, {@link destroy} or its server's close. */
  readonly closed: Promise<void>

  readonly #servers: readonly Server[]
  readonly #early: EarlyConnections
  readonly #inlet: Inlet
  #state: 'held' | 'served' | 'closed' = 'held'
  #adopter: Server | undefined
  #failedAccepts = 0
  #resolveClosed: () => void = () => {}

  /** @internal */
  constructor(opened: OpenedPlan, early: EarlyConnections, inlet: Inlet) {
    this.#servers = opened.sockets.map((socket) => socket.server)
    this.#early = early
    this.#inlet = inlet
    this.endpoints = opened.sockets.map((socket) => socket.endpoint)
    this.port = this.endpoints[0]?.port ?? 0
    this.warnings = opened.warnings
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    // A failing accept (descriptor limit) must not end the process; Node goes on accepting.
    for (const server of this.#servers) {
      server.on('error', () => {
        this.#failedAccepts += 1
      })
    }
  }

  /** How many early clients wait for a server. */
  get waiting(): number {
    return this.#early.size
  }

  /** How many connections the system could not hand over, for want of descriptors or memory. */
  get failedAccepts(): number {
    return this.#failedAccepts
  }

  /**
   * Lets `server` (net, http, https, http2) serve the port, early clients first. The server then
   * listens as if by its own `listen`; closing it frees the port.
   * @throws {PortcheckError} PORTCHECK_CLAIM_CLOSED when closed or already handed over.
   */
  adopt(server: Server): void {
    if (server.listening) throw new TypeError('server must not be listening already')
    this.#serveBy((socket) => {
      if (!server.listening) {
        // The adopter was closed; our second socket learns it with this client.
        socket.destroy()
        this.destroy()
        return
      }
      emitConnection(server, socket)
    })
    this.#adopter = server
    // On `listening` http servers start to watch for slow clients; earlier ones would go unwatched.
    server.once('listening', () => this.#early.drain((socket) => emitConnection(server, socket)))
    server.once('close', () => this.destroy())
    server.listen(this.#servers[0])
  }

  /**
   * Gives every client, early ones first, to `receive`, until the claim is closed.
   * @throws {PortcheckError} PORTCHECK_CLAIM_CLOSED when closed or already handed over.
   */
  serve(receive: (socket: Socket) => void): void {
    this.#serveBy(receive)
    this.#early.drain(receive)
  }

  /**
   * The file descriptor of one listening socket, to be inherited by a child process, which serves
   * it by `server.listen({ fd })`. Undefined on Windows, which has none.
   */
  fd(index = 0): number | undefined {
    this.#assertNotClosed()
    const server = this.#servers[index]
    if (server === undefined) {
      throw new RangeError(`index must be below ${this.#servers.length}, got ${formatValue(index)}`)
    }
    const fd = handleFd(server)
    return fd !== undefined && fd >= 0 ? fd : undefined
  }

  /** The server that took the claim over. @internal */
  get adopter(): Server | undefined {
    return this.#adopter
  }

  /**
   * Looks at every connection until the returned function is called; `verify` does. Not after
   * {@link adopt}, whose server accepts for itself.
   * @internal
   */
  inspect(inspect: Inspect): () => void {
    this.#assertNotClosed()
    return this.#inlet.inspect(inspect)
  }

  /** Frees the port and disconnects early clients; connections already served go on. */
  async close(): Promise<void> {
    this.destroy()
    await this.closed
  }

  /** As {@link close}, without a promise. */
  destroy(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#early.destroy()
    // The first handle is the adopter's: closing it there keeps both servers' states true.
    if (this.#adopter?.listening === true) this.#adopter.close()
    const own = this.#adopter === undefined ? this.#servers : this.#servers.slice(1)
    for (const server of own) server.close()
    this.#resolveClosed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #serveBy(receive: (socket: Socket) => void): void {
    this.#assertNotClosed()
    if (this.#state === 'served') {
      throw new PortcheckError('PORTCHECK_CLAIM_CLOSED', `port ${this.port} is already served`)
    }
    this.#state = 'served'
    this.#inlet.redirect(receive)
  }

  #assertNotClosed(): void {
    if (this.#state !== 'closed') return
    throw new PortcheckError('PORTCHECK_CLAIM_CLOSED', `claim of port ${this.port} is closed`)
  }
}

/** Node has no public way to ask a server for its descriptor; undefined if that ever changes. */
function handleFd(server: Server): number | undefined {
  const handle: unknown = '_handle' in server ? server._handle : undefined
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined
  return typeof handle.fd === 'number' ? handle.fd : undefined
}

function resolveClaimOptions(options: ClaimOptions): Required<ClaimOptions> {
  const inRange = (name: keyof ClaimOptions, min: number, max: number): number => {
    const value = options[name] ?? CLAIM_DEFAULTS[name]
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new RangeError(
        `${name} must be an integer from ${min} to ${max}, got ${formatValue(value)}`,
      )
    }
    return value
  }
  return {
    backlog: inRange('backlog', 1, 65_535),
    maxEarlyConnections: inRange('maxEarlyConnections', 0, 65_536),
    earlyTimeoutMs: inRange('earlyTimeoutMs', 1, 600_000),
  }
}
