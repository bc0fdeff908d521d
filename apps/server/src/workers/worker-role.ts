/** A process that is a worker: what it has from its parent in place of what a server alone opens itself. */
import { randomBytes } from 'node:crypto'
import { closeSync } from 'node:fs'
import { join } from 'node:path'

import { ChannelEngine, type Engine } from '@proj/cluster'
import type { ListenAddress } from '@proj/config/address'
import { type InheritedSocket, InheritedSockets } from '@proj/portcheck'
import { EXIT, UserError, type WorkerParent } from '@proj/program-kit'
import type { Endpoint } from '@proj/tunnel/server'

import { keyOfHash, type ShownKey } from '../admin/operator-key.ts'
import type { PortName } from '../auth/authenticator.ts'
import type { NodeIdentity } from '../cluster/node-identity.ts'
import { explained, type OwnStore, owned } from '../store/server-store.ts'
import { isStoreError } from '../store/store-error.ts'
import type { TicketKeys } from '../tls/tls-ports.ts'
import { ParentCalls } from './parent-calls.ts'
import { WorkerStore } from './worker-store.ts'

/** What the parent sends to each worker. */
export interface WorkerState {
  /** How many workers there are. */
  readonly count: number
  /** The data directory. */
  readonly directory: string
  /** Endpoints that visitors may wait for. */
  readonly before: readonly Endpoint[]
  /** Folder of the unix sockets between the workers. */
  readonly folder: string
  /** Node id of the server. */
  readonly nodeId: string
  /** SHA-256 of the operator's key, base64. */
  readonly operatorKey: string | undefined
  /** Where the ports listen. */
  readonly binds: Readonly<Record<PortName, readonly ListenAddress[]>>
  /** Keys of TLS tickets by port, base64. */
  readonly ticketKeys: Readonly<Record<string, string>>
}

/** What is known of the other processes of this server. */
export interface WorkerFacts {
  /** Workers that ended without being asked to. */
  readonly deaths: number
}

/** The worker that has the admin port: it asks the others for what its pages show. */
const ADMIN_WORKER = 1

/** A worker. */
export class WorkerRole {
  /** Its number, from 1. */
  readonly id: number
  /** What it knows from its parent. */
  readonly state: WorkerState
  /** Resolves when it is to end, or its parent is gone. */
  readonly stopped: WorkerParent['stopped']
  /** This process among those of the server. */
  readonly identity: NodeIdentity
  readonly #parent: WorkerParent<InheritedSocket>
  readonly #calls: ParentCalls
  #answers: Record<string, (args: never) => unknown> = {}

  /** @param parent - the parent of this process, which has sent its first message. */
  constructor(parent: WorkerParent<InheritedSocket>) {
    this.#parent = parent
    this.id = parent.id
    this.state = parent.state as WorkerState // of the same program
    this.stopped = parent.stopped
    this.identity = {
      // Another one than that of a worker that this one replaces, and which serves until its agents are here.
      id: `${this.state.nodeId}-w${parent.id}-${process.pid}`,
      boot: randomBytes(8).toString('hex'),
    }
    this.#calls = new ParentCalls(process, this.#answers)
  }

  /** Whether operators connect to this worker. */
  get hasAdmin(): boolean {
    return this.id === ADMIN_WORKER
  }

  /** Whether the parent is there. */
  get hasParent(): boolean {
    return process.connected
  }

  /** Keys of the tickets of every port. */
  get ticketKeys(): TicketKeys {
    const keys = Object.entries(this.state.ticketKeys)
    return Object.fromEntries(keys.map(([name, key]) => [name, Buffer.from(key, 'base64')]))
  }

  /** The key that operators of this machine show. */
  get operatorKey(): ShownKey | undefined {
    const { operatorKey } = this.state
    return operatorKey === undefined ? undefined : keyOfHash(Buffer.from(operatorKey, 'base64'))
  }

  /** Where the workers meet. */
  engine(): Engine {
    return new ChannelEngine({ channel: process })
  }

  /** The unix socket where the others connect. */
  get socket(): string {
    return join(this.state.folder, `${process.pid}.sock`)
  }

  /**
   * The store, which the parent writes.
   *
   * @throws {UserError} when it cannot be read.
   */
  openStore(): OwnStore {
    const { directory, before } = this.state
    try {
      const store = new WorkerStore({ directory, before, parent: this.#calls })
      Object.assign(this.#answers, store.answers)
      return owned(store)
    } catch (error) {
      throw isStoreError(error) ? explained(error) : error
    }
  }

  /** Waits for the listening sockets. @throws {UserError} the parent is gone. */
  async sockets(): Promise<InheritedSockets> {
    const received = await this.#parent.prepared()
    if (received.length === 0) {
      throw new UserError('the server is stopping', { exitCode: EXIT.failed })
    }
    const isMine = ({ name }: InheritedSocket): boolean => this.hasAdmin || name !== 'admin'
    for (const socket of received) if (!isMine(socket)) closeSync(socket.fd)
    return new InheritedSockets(received.filter(isMine))
  }

  /** This worker listens. */
  ready(): void {
    this.#parent.ready()
  }

  /** What the parent knows of all workers. */
  async facts(): Promise<WorkerFacts> {
    return (await this.#calls.call('workers')) as WorkerFacts
  }

  /** Closes the channel, which keeps this process alive. */
  close(): void {
    this.#parent.close()
  }
}
