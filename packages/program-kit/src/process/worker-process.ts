import { type ChildProcess, spawn } from 'node:child_process'

import type { HandedSocket } from './hand-over.ts'
import {
  readFromWorker,
  sendOn,
  type SocketHandle,
  WORKER_VARIABLE,
  WORKER_VERSION,
} from './worker-messages.ts'

/** How a worker is started. */
export interface WorkerOptions {
  /** Program and arguments of a worker; the program is read from the disk again for each start. */
  readonly command: readonly [program: string, ...args: string[]]
  /** Environment of a worker. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** What a worker gets, as JSON, asked for at each start. It may hold secrets: it is not written anywhere. */
  readonly state: (id: number) => unknown
  /** Called with each worker before it gets its first message. Default: nothing. */
  readonly onStart?: (child: ChildProcess, id: number) => void
  /** How long a worker may take for each of its steps, ms, the copies of sockets among them; then it is ended. */
  readonly timeoutMs: number
}

/** What a worker does. */
export type WorkerState = 'starting' | 'ready' | 'stopping'

/** A listening socket of the parent, which it does not accept from. */
export interface HeldSocket<Socket extends HandedSocket> {
  /** What a worker learns of it; `fd` is its descriptor in this process. */
  readonly socket: Socket
  /** What is passed. */
  readonly handle: SocketHandle
}

/** How a worker ended; both are null when it could not be started. */
export interface WorkerEnding {
  /** Its exit code. */
  readonly code: number | null
  /** The signal that ended it. */
  readonly signal: NodeJS.Signals | null
}

/** One worker, as its parent has it. */
export class WorkerProcess {
  /** Its number in the pool, from 1. */
  readonly id: number
  /** Its process id; -1 when it could not be started. */
  readonly pid: number
  /** What it does now. */
  state: WorkerState = 'starting'
  /** When it became ready, by `performance.now`. */
  readyAt = 0
  /** Resolves when it has ended, or could not be started. Never rejects. */
  readonly exited: Promise<WorkerEnding>
  readonly #child: ChildProcess
  readonly #timeoutMs: number
  /** Types of its messages so far. */
  readonly #seen = new Set<unknown>()

  constructor(id: number, options: WorkerOptions) {
    const { command, env, state, onStart, timeoutMs } = options
    const [program, ...args] = command
    const child = spawn(program, args, {
      // A signal of the terminal goes to the parent alone, which stops its workers.
      detached: true,
      env: { ...env, [WORKER_VARIABLE]: String(WORKER_VERSION) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.id = id
    this.pid = child.pid ?? -1
    this.#child = child
    this.#timeoutMs = timeoutMs
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
      child.once('error', () => {
        if (child.pid === undefined) resolve({ code: null, signal: null }) // there is no `exit`
      })
    })
    child.on('message', (received) => this.#seen.add(readFromWorker(received)?.type))
    if (child.pid === undefined) return
    onStart?.(child, id)
    sendOn(child, { type: 'begin', v: WORKER_VERSION, id, state: state(id) })
  }

  /** Waits for a step. @returns false: it ended before, or took too long and was ended. */
  async reaches(step: 'prepared' | 'ready'): Promise<boolean> {
    const child = this.#child
    const isReached = await new Promise<boolean>((resolve) => {
      const onMessage = (): void => {
        if (this.#seen.has(step)) end(true)
      }
      const end = (isDone: boolean): void => {
        clearTimeout(timer)
        child.off('message', onMessage)
        resolve(isDone)
      }
      const timer = setTimeout(() => this.kill(), this.#timeoutMs)
      child.on('message', onMessage)
      void this.exited.then(() => end(false))
      onMessage()
    })
    if (!isReached || step === 'prepared') return isReached
    this.readyAt = performance.now()
    if (this.state === 'starting') this.state = 'ready'
    return true
  }

  /** Gives it its listening sockets. */
  give(held: readonly HeldSocket<HandedSocket>[], isCopied = false): void {
    if (held.length === 0) sendOn(this.#child, { type: 'none' })
    for (const [index, { socket, handle }] of held.entries()) {
      const { fd: _, ...facts } = socket
      const isLast = index === held.length - 1
      sendOn(this.#child, { type: 'socket', index, isLast, isCopied, facts }, handle)
    }
  }

  /** The handles that it sends back. @returns undefined: it ended before, or took too long and was ended. */
  async copies(count: number): Promise<readonly SocketHandle[] | undefined> {
    const child = this.#child
    const handles: SocketHandle[] = []
    return await new Promise((resolve) => {
      const onMessage = (received: unknown, handle: unknown): void => {
        const message = readFromWorker(received)
        if (message?.type === 'copy') handles.push(handle as SocketHandle) // they come in their order
        if (handles.length === count) end(handles)
      }
      const end = (all: readonly SocketHandle[] | undefined): void => {
        clearTimeout(timer)
        child.off('message', onMessage)
        resolve(all)
      }
      const timer = setTimeout(() => this.kill(), this.#timeoutMs)
      child.on('message', onMessage)
      void this.exited.then(() => {
        if (handles.length < count) for (const handle of handles) handle.close()
        end(undefined)
      })
      if (count === 0) end([])
    })
  }

  /** Asks it to end. */
  stop(isReplaced: boolean): void {
    this.state = 'stopping'
    sendOn(this.#child, { type: 'stop', isReplaced })
  }

  /** Ends it at once. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
