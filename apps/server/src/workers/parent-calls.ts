/**
 * What a worker asks its parent for, on the channel of the two processes: calls with one answer, and notes without any,
 * in both directions. Everything survives JSON. Other messages share the channel.
 */
import type { EngineChannel as Channel } from '@proj/cluster'

import {
  isStoreError,
  STORE_ERRORS,
  StoreError,
  type StoreErrorCode,
} from '../store/store-error.ts'

/** The key of every message. */
const KEY = 'adit.parent'

/** Longest wait for an answer, ms: a commit of the store takes a few, and waits for another program 5 s at most. */
const ANSWER_MS = 10_000

/** Calls that wait for an answer at most; one more is STORE_BUSY. */
const MAX_CALLS = 1_000

/** Notes that the channel has not taken yet at most; one more is dropped. */
const MAX_NOTES = 10_000

type Message =
  | { readonly type: 'call'; readonly id: number; readonly name: string; readonly args: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'failure'; readonly id: number; readonly code: string; readonly why: string }
  | { readonly type: 'note'; readonly name: string; readonly args: unknown }

/** What the other process asks for, by name. */
export type Answers = Readonly<Record<string, (args: never) => unknown>>

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** One end of the channel between a worker and its parent. */
export class ParentCalls {
  /** Resolves when the channel is closed. Never rejects. */
  readonly closed: Promise<void>
  readonly #channel: Channel
  readonly #answers: Answers
  readonly #pending = new Map<number, Pending>()
  #lastId = 0
  #notes = 0
  #close: () => void = () => {}

  /**
   * @param channel - `process` of a worker, the `ChildProcess` in its parent.
   * @param answers - what the other end may call and note.
   */
  constructor(channel: Channel, answers: Answers) {
    this.#channel = channel
    this.#answers = answers
    this.closed = new Promise((resolve) => (this.#close = resolve))
    channel.on('message', this.#onMessage)
    channel.on('disconnect', this.#onDisconnect)
    if (!channel.connected) this.#onDisconnect()
  }

  /**
   * Calls the other process.
   *
   * @throws {StoreError} of the other process; STORE_CLOSED when that is gone, STORE_BUSY when it does not answer in time.
   */
  async call(name: string, args?: unknown): Promise<unknown> {
    if (!this.#channel.connected) throw gone()
    if (this.#pending.size >= MAX_CALLS) throw busy()
    const id = (this.#lastId += 1)
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject })
        timer = setTimeout(() => reject(busy()), ANSWER_MS)
        this.#send({ type: 'call', id, name, args })
      })
    } finally {
      clearTimeout(timer)
      this.#pending.delete(id)
    }
  }

  /** Tells the other process something. @returns whether the channel takes it. */
  note(name: string, args?: unknown): boolean {
    if (!this.#channel.connected || this.#notes >= MAX_NOTES) return false
    this.#notes += 1
    this.#send({ type: 'note', name, args }, () => (this.#notes -= 1))
    return true
  }

  #send(message: Message, onSent: () => void = () => {}): void {
    if (this.#channel.connected) this.#channel.send?.({ [KEY]: message }, onSent)
  }

  readonly #onMessage = (received: unknown): void => {
    if (typeof received !== 'object' || received === null || !(KEY in received)) return
    const message = received[KEY] as Message // from the same program
    switch (message.type) {
      case 'call':
        void this.#answer(message.id, message.name, message.args)
        return
      case 'note':
        void this.#answers[message.name]?.(message.args as never)
        return
      case 'answer':
        this.#pending.get(message.id)?.resolve(message.value)
        return
      case 'failure':
        this.#pending.get(message.id)?.reject(errorOf(message.code, message.why))
    }
  }

  readonly #onDisconnect = (): void => {
    this.#channel.off('message', this.#onMessage)
    this.#channel.off('disconnect', this.#onDisconnect)
    for (const { reject } of this.#pending.values()) reject(gone())
    this.#close()
  }

  async #answer(id: number, name: string, args: unknown): Promise<void> {
    try {
      const answer = this.#answers[name]
      if (answer === undefined) throw new StoreError('STORE_OUTDATED', `there is no call ${name}`)
      this.#send({ type: 'answer', id, value: await answer(args as never) })
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      const code = isStoreError(error) ? error.code : ''
      this.#send({ type: 'failure', id, code, why })
    }
  }
}

function errorOf(code: string, why: string): Error {
  return Object.hasOwn(STORE_ERRORS, code)
    ? new StoreError(code as StoreErrorCode, why)
    : new Error(why)
}

function gone(): StoreError {
  return new StoreError('STORE_CLOSED', 'the parent of this worker is gone')
}

function busy(): StoreError {
  return new StoreError('STORE_BUSY', 'the parent of this worker does not answer in time')
}
