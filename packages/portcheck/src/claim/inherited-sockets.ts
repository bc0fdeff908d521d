// Listening sockets that this process has from its start: from the service manager, or from the process
// that it replaces. They are used for the addresses that the program listens on; the rest is closed,
// because connections to a socket that no process accepts from would wait until they time out.
import { closeSync, fstatSync, readlinkSync } from 'node:fs'
import type { Server, Socket } from 'node:net'

import { formatHostPort } from '@proj/config/address'

import type { Endpoint } from '../endpoint.ts'
import { EarlyConnections, type EarlyConnectionLimits } from './early-connections.ts'
import { readListeners } from '../holders/linux-socket-table.ts'
import { listenOnDescriptor, type OpenedSocket } from './open-server.ts'
import type { Plan } from './plan.ts'

/** A listening socket of another process, as this process got it. */
export interface InheritedSocket {
  /** Its file descriptor in this process, 3 or more. */
  readonly fd: number
  /** The name it was passed with; empty: none. */
  readonly name: string
  /** IP address that it listens on. */
  readonly host: string
  /** Port that it listens on. */
  readonly port: number
  /**
   * The address it was opened for, as it was given. A listener with the same name and address uses it,
   * also when its port was chosen by the system or was the next free one. Default: none.
   */
  readonly want?: string | undefined
  /**
   * Whether another process keeps it open, as a service manager does: its port cannot be bound again, so
   * the socket is kept open here while no listener uses it.
   */
  readonly isShared: boolean
}

/** The first descriptor that a service manager passes: SD_LISTEN_FDS_START of sd_listen_fds(3). */
const FIRST_DESCRIPTOR = 3

/** Most sockets that are taken from a service manager. */
const MAX_SOCKETS = 1024

/** Variables of sd_listen_fds(3). A process started from here must not believe that they are its own. */
const VARIABLES = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const

/** Sockets of other processes for the listeners of this one; an option of `listen`. */
export class InheritedSockets implements Disposable {
  /** Why sockets that were announced are not used, one sentence each. */
  readonly problems: readonly string[]
  readonly #free = new Map<InheritedSocket, LentSocket>()
  #isClosed = false

  constructor(sockets: readonly InheritedSocket[] = [], problems: readonly string[] = []) {
    this.problems = problems
    for (const socket of sockets) this.#free.set(socket, new LentSocket(socket))
  }

  /**
   * Takes the sockets of a service manager (sd_listen_fds(3)) and removes its variables.
   *
   * @param env - the environment; the variables are deleted from it.
   * @param pid - of this process.
   */
  static fromServiceManager(
    env: Record<string, string | undefined>,
    pid: number,
  ): InheritedSockets {
    const { LISTEN_FDS: count, LISTEN_PID: receiver, LISTEN_FDNAMES: names = '' } = env
    for (const name of VARIABLES) delete env[name]
    if (count === undefined) return new InheritedSockets()
    if (receiver !== String(pid)) {
      const problem = `sockets of the service manager are not used: LISTEN_PID is ${receiver ?? 'not set'}, and this process is ${pid}; start the program directly, or with exec`
      return new InheritedSockets([], [problem])
    }
    if (!/^\d{1,6}$/.test(count) || Number(count) > MAX_SOCKETS) {
      const problem = `sockets of the service manager are not used: LISTEN_FDS must be a number from 0 to ${MAX_SOCKETS}, got ${JSON.stringify(count)}`
      return new InheritedSockets([], [problem])
    }
    return fromDescriptors(Number(count), names.split(':'))
  }

  /** Sockets that no listener uses. */
  get unused(): readonly InheritedSocket[] {
    return [...this.#free.keys()]
  }

  /** Addresses of the unused shared sockets with this name, as `listen` takes them. */
  addressesOf(name: string): readonly string[] {
    const own = this.unused.filter((socket) => socket.name === name && socket.isShared)
    return own.map(({ host, port }) => formatHostPort(host, port))
  }

  /**
   * Closes the sockets that no listener uses.
   *
   * @param isWanted - whether a listener that opens later may use a socket. Default: none may.
   * @returns the closed ones.
   */
  closeUnused(isWanted: (socket: InheritedSocket) => boolean = () => false): InheritedSocket[] {
    const closed = this.unused.filter((socket) => !isWanted(socket))
    for (const socket of closed) {
      this.#free.get(socket)?.close()
      this.#free.delete(socket)
    }
    return closed
  }

  /**
   * Accepts connections to the sockets that no listener uses, for one that opens later: it gets them.
   *
   * @param end - ends a connection that has waited for too long, and one too many.
   */
  async holdUnused(
    limits: EarlyConnectionLimits,
    end: (connection: Socket, socket: InheritedSocket) => void,
  ): Promise<void> {
    const held = [...this.#free.values()].map(async (lent) => {
      await lent.hold(limits, (connection) => end(connection, lent.socket))
    })
    await Promise.all(held)
  }

  /**
   * Accepts and closes connections to the shared sockets that no listener uses, instead of leaving them in
   * their queues; a listener may use them later. The others are closed.
   */
  async refuseUnused(): Promise<void> {
    this.closeUnused(({ isShared }) => isShared)
    await Promise.all([...this.#free.values()].map(async (lent) => await lent.refuse()))
  }

  /** Closes the unused sockets; the others close with their listeners. */
  close(): void {
    this.#isClosed = true
    this.closeUnused()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /**
   * Takes the sockets that a plan needs.
   *
   * @internal
   */
  take(plan: Plan, name?: string): TakenSockets {
    const taken: TakenSocket[] = []
    if (plan.reusePort || this.#free.size === 0) return { taken, rest: plan }
    const endpoints = plan.endpoints.flatMap((endpoint) => {
      const own = this.#take(endpoint, plan.text, name)
      // A service manager can pass a socket of each family where this program would open one for both.
      const ipv4 = endpoint.dual
        ? this.#take({ ...endpoint, host: '0.0.0.0' }, plan.text, name)
        : undefined
      const dual = endpoint.dual && ipv4 === undefined
      if (ipv4 !== undefined) {
        taken.push({
          lent: ipv4,
          endpoint: { host: '0.0.0.0', port: ipv4.socket.port, dual: false },
        })
      }
      if (own === undefined) return [{ ...endpoint, dual }]
      taken.push({ lent: own, endpoint: { ...endpoint, port: own.socket.port, dual } })
      return []
    })
    if (taken.length === 0) return { taken, rest: plan }
    // The fallback is 0.0.0.0, which is taken if there is one.
    return {
      taken,
      rest: endpoints.length === 0 ? undefined : { ...plan, endpoints, fallback: undefined },
    }
  }

  #take({ host, port }: Endpoint, want: string, name: string | undefined): LentSocket | undefined {
    for (const [socket, lent] of this.#free) {
      const isMeant = socket.port === port || (socket.want === want && socket.name === name)
      if (!isMeant || socket.host !== host) continue
      this.#free.delete(socket)
      lent.onReleased = () => this.#takeBack(lent)
      return lent
    }
    return undefined
  }

  #takeBack(lent: LentSocket): void {
    if (this.#isClosed || !lent.socket.isShared) lent.close()
    else this.#free.set(lent.socket, lent)
  }
}

/** The sockets for a plan, and what has to be bound besides. */
interface TakenSockets {
  readonly taken: readonly TakenSocket[]
  /** Undefined: nothing. */
  readonly rest: Plan | undefined
}

/** A socket that a listener uses, with the meaning it has for the listener. */
export interface TakenSocket {
  readonly lent: LentSocket
  readonly endpoint: Endpoint
}

/**
 * A socket that is lent to one listener after another. Node cannot stop to accept without closing, so
 * between two listeners connections are accepted and closed.
 */
class LentSocket {
  readonly socket: InheritedSocket
  /** Called when a listener does not need it any more. */
  onReleased: () => void = () => {}
  #server: Server | undefined
  #receive: (socket: Socket) => void = refuse
  /** Those that wait for a listener. */
  #early: EarlyConnections | undefined

  constructor(socket: InheritedSocket) {
    this.socket = socket
  }

  /** Listens, for a listener. Rejects with Node's error. */
  async open(endpoint: Endpoint, receive: (socket: Socket) => void): Promise<OpenedSocket> {
    const early = this.#early
    this.#early = undefined
    this.#receive = receive
    const server = await this.#listen()
    early?.drain(receive)
    return {
      server,
      endpoint,
      isShared: this.socket.isShared,
      release: () => this.release(),
    }
  }

  /** Listens without a listener: connections wait for one. */
  async hold(limits: EarlyConnectionLimits, end: (connection: Socket) => void): Promise<void> {
    const early = new EarlyConnections(limits, end)
    this.#early = early
    this.#receive = (socket) => early.add(socket)
    await this.#listenAlone()
  }

  /** Listens without a listener: connections are closed. */
  async refuse(): Promise<void> {
    this.#endEarly()
    this.#receive = refuse
    await this.#listenAlone()
  }

  async #listenAlone(): Promise<void> {
    try {
      const server = await this.#listen()
      // An accept may fail; Node goes on. A listener that has opened it meanwhile handles that itself.
      if (this.#early !== undefined || this.#receive === refuse) server.on('error', () => {})
    } catch {
      // The listener that opens it reports the error.
    }
  }

  /** The listener is closed. Calling it again does nothing. */
  release(): void {
    this.#receive = refuse
    this.#server?.removeAllListeners('error').on('error', () => {})
    const { onReleased } = this
    this.onReleased = () => {}
    onReleased()
  }

  async #listen(): Promise<Server> {
    this.#server ??= await listenOnDescriptor(this.socket.fd, (accepted) => this.#receive(accepted))
    return this.#server
  }

  #endEarly(): void {
    this.#early?.destroy()
    this.#early = undefined
  }

  close(): void {
    this.#endEarly()
    if (this.#server !== undefined) {
      this.#server.close()
      return
    }
    try {
      closeSync(this.socket.fd)
    } catch {
      // Node has closed it, because it could not listen on it.
    }
  }
}

function refuse(socket: Socket): void {
  socket.destroy()
}

function fromDescriptors(count: number, names: readonly string[]): InheritedSockets {
  const listeners = readListeners()
  const sockets: InheritedSocket[] = []
  const problems: string[] = []
  for (let index = 0; index < count; index += 1) {
    const fd = FIRST_DESCRIPTOR + index
    const name = names.length === count ? (names[index] ?? '') : ''
    const found = listeners.get(inodeOf(fd) ?? 0)
    if (found !== undefined) {
      sockets.push({ fd, name, host: found.address, port: found.port, isShared: true })
      continue
    }
    const what = name === '' ? `descriptor ${fd}` : `descriptor ${fd} (${JSON.stringify(name)})`
    problems.push(
      `${what} of the service manager is not used: it is no listening TCP socket of this network namespace`,
    )
  }
  return new InheritedSockets(sockets, problems)
}

/** The number of a socket; undefined for a descriptor that is closed or no socket. */
function inodeOf(fd: number): number | undefined {
  try {
    if (!fstatSync(fd).isSocket()) return undefined
    return Number(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1])
  } catch {
    return undefined
  }
}
