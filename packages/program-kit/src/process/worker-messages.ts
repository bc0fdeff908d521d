/**
 * The messages of a program and its workers, children of it that share its listening sockets.
 *
 *     parent                                    worker
 *     spawn, begin {v, id, state}           ->  reads its settings
 *                                           <-  prepared
 *     socket {index, ..., isLast} + handle  ->  (one for each listening socket; `none` if there is none)
 *                                           <-  copy {index} + handle, if it was asked for
 *                                           <-  ready   (it listens)
 *     stop {isReplaced}                     ->  drains, ends
 *
 * Sockets are passed as handles of Node, as `node:cluster` does it: a process that gets one has a descriptor of its own and
 * accepts nothing before it listens. The channel stays open for what the program itself has to say.
 */
import { type Serializable } from 'node:child_process'
import { type Server, Socket as NetSocket } from 'node:net'

import type { HandedSocket } from './hand-over.ts'

/** Version of the messages. */
export const WORKER_VERSION = 1

/** Tells a child that it is a worker; its value is the version. Removed from the environment at the start. */
export const WORKER_VARIABLE = 'ADIT_WORKER'

/** A listening socket that was passed: open, and not polled. */
export interface SocketHandle {
  readonly fd: number
  close(): void
}

/** To a worker. */
export type ToWorker =
  | { readonly type: 'begin'; readonly v: number; readonly id: number; readonly state: unknown }
  | { readonly type: 'none' }
  | {
      readonly type: 'socket'
      readonly index: number
      readonly isLast: boolean
      /** Whether it is to be sent back, which makes a copy of it for the parent. */
      readonly isCopied: boolean
      /** What is known of it, without its descriptor. */
      readonly facts: object
    }
  | { readonly type: 'stop'; readonly isReplaced: boolean }

/** From a worker. */
export type FromWorker =
  | { readonly type: 'prepared' | 'ready' }
  | { readonly type: 'copy'; readonly index: number }

/** A channel that carries handles too; `process` of a child, and the `ChildProcess` of its parent, are. */
export interface HandleChannel {
  /** Whether the channel is open. */
  readonly connected: boolean
  /** Sends a message. With a callback, a failure is no `error` event. */
  send?(
    message: Serializable,
    handle: undefined,
    options: undefined,
    onSent: (error: Error | null) => void,
  ): boolean
  /** Closes the channel. */
  disconnect(): void
  /** Listens for messages and for the end of the channel. */
  on(
    event: 'message' | 'disconnect',
    listener: (message?: unknown, handle?: unknown) => void,
  ): unknown
  /** Stops to listen. */
  off(
    event: 'message' | 'disconnect',
    listener: (message?: unknown, handle?: unknown) => void,
  ): unknown
}

/** Sends a message; nothing happens when the channel is closed, which is an event of its own. */
export function sendOn(
  channel: HandleChannel,
  message: ToWorker | FromWorker,
  handle?: SocketHandle,
): void {
  if (!channel.connected) return
  // The types of Node do not have the handles that node:cluster passes.
  channel.send?.(message, handle as undefined, undefined, () => {})
}

/** Reads a message of the parent; undefined: it is none. It comes from the same program, so its form is not checked. */
export function readToWorker(received: unknown): ToWorker | undefined {
  return isMessage(received) ? (received as ToWorker) : undefined
}

/** Reads a message of a worker; undefined: it is none. */
export function readFromWorker(received: unknown): FromWorker | undefined {
  return isMessage(received) ? (received as FromWorker) : undefined
}

function isMessage(received: unknown): boolean {
  return typeof received === 'object' && received !== null && 'type' in received
}

/** A listening socket of this process, for workers. */
export interface OpenSocket<Socket extends HandedSocket> {
  /** What a worker learns of it; `fd` is its descriptor in this process. */
  readonly socket: Socket
  /** The server that listens on it here. Default: none, this process got the descriptor from another one. */
  readonly server?: Server
}

/** The handle of a socket that is open in this process and is closed by its owner, not by its handle. */
export function handleOf({ socket, server }: OpenSocket<HandedSocket>): SocketHandle {
  const { fd } = socket
  const owner: unknown = server ?? new NetSocket({ fd, readable: false, writable: false })
  return (owner as { readonly _handle: SocketHandle })._handle
}
