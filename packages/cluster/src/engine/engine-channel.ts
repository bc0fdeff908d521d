/**
 * What an engine and its host say to each other on the channel of two processes. Everything survives JSON, which is
 * what the channel of a child process carries unless it was asked for more.
 */
import { type ClusterErrorCode, CLUSTER_ERRORS, ClusterError } from '../errors.ts'
import type { Engine } from './engine.ts'

/** One end of a channel between two processes; `process` of a child, and the `ChildProcess` of its parent, are. */
export interface EngineChannel {
  /** Whether messages can be sent. */
  readonly connected: boolean
  /** Sends a message. With a callback a failure is no `error` event. */
  send?(message: unknown, onSent: (error: Error | null) => void): boolean
  /** Listens for messages and for the end of the channel. */
  on(event: 'message' | 'disconnect', listener: (message?: unknown) => void): unknown
  /** Stops to listen. */
  off(event: 'message' | 'disconnect', listener: (message?: unknown) => void): unknown
}

/** Calls that have one answer. */
export type EngineCall = Exclude<keyof Engine, 'watch' | 'close'>

/** The key of every message: other messages share the channel. */
const KEY = 'adit.engine'

/** From the engine: a call, `watch` among them; the end of a call that is aborted; the end of the engine. */
export type EngineRequest =
  | {
      readonly type: 'call'
      readonly id: number
      readonly call: EngineCall
      readonly args: unknown
    }
  | { readonly type: 'watch'; readonly id: number }
  | { readonly type: 'abort'; readonly id: number }
  | { readonly type: 'close' }

/** From its host. */
export type EngineResponse =
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly error: SentError }
  | { readonly type: 'hint'; readonly id: number; readonly nodeId: string }

/** A ClusterError as it is sent. */
export interface SentError {
  readonly code: ClusterErrorCode
  readonly detail?: string | undefined
  readonly option?: string | undefined
  readonly sqlState?: string | undefined
}

/** Sends a message; on a channel that is closed nothing happens: its `disconnect` says so. */
export function sendTo(channel: EngineChannel, message: EngineRequest | EngineResponse): void {
  if (channel.connected) channel.send?.({ [KEY]: message }, () => {})
}

/** Reads what an engine sent; undefined: it is none of its messages. It comes from the same program, so its form is not checked. */
export function readRequest(received: unknown): EngineRequest | undefined {
  return contentOf(received) as EngineRequest | undefined
}

/** Reads what a host sent; undefined: it is none of its messages. */
export function readResponse(received: unknown): EngineResponse | undefined {
  return contentOf(received) as EngineResponse | undefined
}

function contentOf(received: unknown): unknown {
  if (typeof received !== 'object' || received === null || !(KEY in received)) return undefined
  return received[KEY]
}

/** What is sent of an error. An engine rejects with a ClusterError; anything else is a defect, named by its class. */
export function errorToSend(error: unknown): SentError {
  if (error instanceof ClusterError) {
    const { code, detail, option, sqlState } = error
    return { code, detail, option, sqlState }
  }
  const detail = error instanceof Error ? error.name : typeof error
  return { code: 'CLUSTER_DATABASE_FAILED', detail }
}

/** The error that was sent. */
export function errorReceived({ code, detail, option, sqlState }: SentError): ClusterError {
  const known = Object.hasOwn(CLUSTER_ERRORS, code) ? code : 'CLUSTER_DATABASE_FAILED'
  return new ClusterError(known, detail, {
    ...(option !== undefined && { option }),
    ...(sqlState !== undefined && { sqlState }),
  })
}
