import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import { accessLists, type BindNote, bindNotes, movedBinds } from '@proj/program-kit'
import { formatListenAddress, type ListenAddress } from '@proj/config/address'
import {
  isPortcheckError,
  listen,
  listenInheritedUnix,
  type Listeners,
  type ListenOptions,
  type PortcheckError,
  type UnixListener,
} from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'

import type { Access } from './access.ts'
import type { HandedAgentSocket, HandedUnixSockets } from './handed-unix-sockets.ts'
import { openUnixBind } from './open-unix-bind.ts'
import { type AccessSettings, socketMode } from './access-settings.ts'

/** Why a local address is not bound yet. */
export interface WaitingFor {
  /** Code of portcheck. */
  readonly code: string
  /** One sentence. It names the holder where it is known. */
  readonly why: string
  /** The program that holds the address: `cups (pid 123, …)`. */
  readonly holder: string | undefined
}

/** How often the holder is looked up, ms. The address itself is tried far more often. */
const LOOK_AGAIN_MS = 10_000

/** Pause after a failure other than a taken port, ms: an interface that is not up yet. */
const PAUSE_MS = 1_000

/**
 * One local address of an access. It listens, or, with on_conflict `retry`, it waits without end and
 * takes the address as soon as it is free.
 */
export class LocalBind {
  /** The address, as it is configured. */
  readonly address: ListenAddress
  /** Receives the connections. It changes when a new configuration moves the address to another endpoint. */
  access: Access
  #setting: AccessSettings
  #listeners: Listeners | undefined
  #unix: UnixListener | undefined
  #waiting: WaitingFor | undefined
  readonly #logger: Logger
  readonly #stop = new AbortController()

  /** Opens nothing: `adopt` or `openUnix` comes next. */
  constructor(address: ListenAddress, access: Access, setting: AccessSettings, logger: Logger) {
    this.address = address
    this.access = access
    this.#setting = setting
    this.#logger = logger
  }

  /** The address as text. */
  get text(): string {
    return formatListenAddress(this.address)
  }

  /** Bound addresses, as the system reports them; empty while it waits. */
  get addresses(): readonly string[] {
    if (this.#unix !== undefined) return [this.text]
    const { bound = [] } = this.#listeners ?? {}
    return bound.flatMap(({ sockets }) => sockets.map(({ address }) => address))
  }

  /** Why it waits; undefined when it listens. */
  get waiting(): WaitingFor | undefined {
    return this.#waiting
  }

  /** What portcheck needs to open the address. */
  get options(): ListenOptions {
    return {
      scheme: 'tcp',
      name: this.#name,
      ...accessLists(this.#setting),
      onConnection: (socket) => this.accept(socket),
    }
  }

  /** Its listening sockets, for a process that takes them over. */
  get descriptors(): HandedAgentSocket[] {
    if (this.#unix !== undefined) {
      const { descriptor } = this.#unix
      return descriptor === undefined ? [] : [descriptor]
    }
    return this.#listeners?.descriptors(this.#name) ?? []
  }

  /** Whether it listens on a unix socket that no other process can take over. */
  get isBoundToProcess(): boolean {
    return this.#unix !== undefined && this.#unix.descriptor === undefined
  }

  /** Whether another process removes the file of its unix socket. */
  set keepsFile(keeps: boolean) {
    if (this.#unix !== undefined) this.#unix.keepsFile = keeps
  }

  /** Passes a connection to the access. */
  accept(socket: Socket): void {
    this.access.accept(socket)
  }

  /** Takes over listeners that were opened for it, or begins to wait when they could not be opened. */
  adopt(listeners: Listeners): void {
    const [failed] = listeners.failed
    if (failed !== undefined) {
      this.#sees(failed.error)
      this.#logger.warn(
        { listener: this.access.endpoint, why: failed.error.message },
        'port taken, retrying until it is free',
      )
      void this.#keepTrying()
      return
    }
    this.#listeners = listeners
    for (const moved of movedBinds(listeners)) {
      const fields = { listener: this.access.endpoint, ...moved }
      this.#logger.warn(fields, 'port taken, listening on the next free one')
    }
  }

  /**
   * Opens a unix socket, or takes that of the process before, or begins to wait for it.
   *
   * @throws {PortcheckError} when it cannot be opened, and the policy is not `retry`.
   */
  async openUnix(path: string, handed: HandedUnixSockets, signal: AbortSignal): Promise<void> {
    const { onConflict, waitMs } = this.#setting
    const onConnection = (socket: Socket): void => this.accept(socket)
    const inherited = handed.take(path)
    if (inherited !== undefined) this.#unix = await listenInheritedUnix(inherited, onConnection)
    if (this.#unix !== undefined) return
    const how = {
      mode: socketMode(this.#setting),
      onConnection,
      signal,
      onWait: (error: PortcheckError) => {
        const fields = { listener: this.access.endpoint, why: error.message }
        this.#logger.warn(fields, 'waiting for a socket')
      },
    }
    try {
      this.#unix = await openUnixBind(path, { ...how, waitMs: onConflict === 'wait' ? waitMs : 0 })
    } catch (error) {
      if (onConflict !== 'retry' || !mayPass(error)) throw error
      this.#sees(error)
      this.#logger.warn(
        { listener: this.access.endpoint, why: error.message },
        'socket taken, retrying until it is free',
      )
      void this.#keepTrying()
    }
  }

  /** Applies what may change while it listens. */
  configure(access: Access, setting: AccessSettings): void {
    this.access = access
    this.#setting = setting
    this.#listeners?.restrict(accessLists(setting))
    this.#unix?.chmod(socketMode(setting))
  }

  /** Warnings about the address. It connects to the address. */
  async notes(): Promise<readonly BindNote[]> {
    return this.#listeners === undefined ? [] : await bindNotes(this.#listeners)
  }

  /** Accepts the connections that the system holds, and frees the address; `close` comes next. */
  async free(signal: AbortSignal): Promise<void> {
    await this.#listeners?.free({ signal, acceptQueued: true })
  }

  /** Closes the address; its connections may finish until the signal aborts. */
  async close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#stop.abort()
    await Promise.all([this.#listeners?.close(options), this.#unix?.close(options)])
  }

  /** Closes the address and ends its connections. */
  destroy(): void {
    this.#stop.abort()
    this.#listeners?.destroy()
    this.#unix?.destroy()
  }

  /** Name of its sockets when another process takes them over. */
  get #name(): string {
    return `access/${this.access.endpoint}`
  }

  async #keepTrying(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#tryOnce(signal)
        this.#waiting = undefined
        const fields = { listener: this.access.endpoint, addresses: this.addresses.join(' ') }
        this.#logger.info(fields, 'address is free, listening')
        return
      } catch (error) {
        if (signal.aborted) return
        if (isPortcheckError(error)) this.#sees(error)
        const isTaken = isPortcheckError(error, 'PORTCHECK_PORT_BUSY')
        if (!isTaken) await delay(PAUSE_MS, undefined, { signal }).catch(() => {})
      }
    }
  }

  async #tryOnce(signal: AbortSignal): Promise<void> {
    const waiting = {
      waitMs: LOOK_AGAIN_MS,
      onWait: (error: PortcheckError) => this.#sees(error),
      signal,
    }
    if (this.address.kind === 'unix') {
      const onConnection = (socket: Socket): void => this.accept(socket)
      const mode = socketMode(this.#setting)
      const unix = await openUnixBind(this.address.path, { ...waiting, mode, onConnection })
      if (signal.aborted) unix.destroy()
      else this.#unix = unix
      return
    }
    const listeners = await listen(this.address, { ...this.options, ...waiting, conflict: 'wait' })
    if (signal.aborted) listeners.destroy()
    else this.#listeners = listeners
  }

  #sees({ code, message: why, holder }: PortcheckError): void {
    this.#waiting = { code, why, holder }
  }
}

/** Whether a failure can pass without a change on this side: the address is taken, or not there yet. */
export function mayPass(error: unknown): error is PortcheckError {
  return (
    isPortcheckError(error, 'PORTCHECK_PORT_BUSY') ||
    isPortcheckError(error, 'PORTCHECK_ADDRESS_ABSENT')
  )
}
