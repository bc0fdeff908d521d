/**
 * The hand-over of a running program to its successor, a child that the program starts from the installed
 * files: listening sockets as descriptors, the rest as messages of the IPC channel. Neither disk nor
 * environment carries any of it.
 *
 *     old                                  new
 *     spawn, begin {v, sockets, state} ->  reads its settings
 *                                      <-  prepared   (it has opened nothing that writes)
 *     closes what one process may have
 *     yours                            ->  opens it, listens
 *                                      <-  ready
 *     stops accepting
 *     alone                            ->  the channel is closed
 *
 * A successor that fails ends. Until `ready` the old process then goes on as before.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'

import { graceSignal } from './drain.ts'
import { EXIT, UserError } from './exit-code.ts'

/** Version of the messages. A successor of another version ends, and the running program goes on. */
const VERSION = 1

/** Tells the child that it is a successor; its value is the version. Removed from the environment at the start. */
const VARIABLE = 'ADIT_HAND_OVER'

/** The first descriptor after those of standard input, output and error. */
const FIRST_DESCRIPTOR = 3

/** How long a successor waits for the last message, ms; then it goes on without. */
const ALONE_TIMEOUT_MS = 10_000

/** A listening socket, as one process has it. */
export interface HandedSocket {
  /** Its file descriptor. */
  readonly fd: number
}

/** What a successor begins with. */
interface Begin<Socket extends HandedSocket> {
  readonly type: 'begin'
  readonly v: number
  readonly sockets: readonly Socket[]
  readonly state: unknown
}

type Message = { readonly type: 'prepared' | 'yours' | 'ready' | 'alone' }

/** How a successor is started. */
export interface SuccessorOptions<Socket extends HandedSocket> {
  /** Program and arguments; the program is read from the disk again. */
  readonly command: readonly [program: string, ...args: string[]]
  /** Environment of the successor. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Sockets that it gets. */
  readonly sockets: readonly Socket[]
  /** What else it gets, as JSON. It may hold secrets: it is not written anywhere. */
  readonly state: unknown
  /** How long it may take for each step, ms; then it is ended. */
  readonly timeoutMs: number
  /**
   * How long a successor that is ended may take to end by itself after SIGTERM, ms: it may have begun to
   * serve. Default 0: it is ended at once.
   */
  readonly endMs?: number
  /** Ends the hand-over, and with it the successor. */
  readonly signal: AbortSignal
}

/**
 * A successor ended or did not answer in time, and the running program continues; or, in a successor, the
 * running program is gone or of another version.
 */
export class HandOverError extends UserError {
  /** Stable code. */
  override readonly code = 'HAND_OVER_FAILED'

  constructor(message: string, { cause }: { readonly cause?: unknown } = {}) {
    super(message, { exitCode: EXIT.failed, cause })
  }
}

/** The process that takes over; the end of the running program. */
export class Successor {
  /** Process id. */
  readonly pid: number
  readonly #child: ChildProcess
  readonly #timeoutMs: number
  readonly #endMs: number
  readonly #signal: AbortSignal

  private constructor(
    child: ChildProcess,
    { timeoutMs, endMs = 0, signal }: SuccessorOptions<HandedSocket>,
  ) {
    this.#child = child
    this.pid = child.pid ?? -1
    this.#timeoutMs = timeoutMs
    this.#endMs = endMs
    this.#signal = signal
  }

  /**
   * Starts a successor and waits until it is prepared.
   *
   * @throws {HandOverError} when it ends or takes too long; the reason of the signal when that aborts.
   */
  static async start<Socket extends HandedSocket>(
    options: SuccessorOptions<Socket>,
  ): Promise<Successor> {
    const { command, env, state } = options
    const [program, ...args] = command
    const sockets = options.sockets.map((socket, index) => ({
      ...socket,
      fd: FIRST_DESCRIPTOR + index,
    }))
    const child = spawn(program, args, {
      // Not ended together with the shell or the terminal that started this process.
      detached: true,
      env: { ...env, [VARIABLE]: String(VERSION) },
      stdio: ['ignore', 'inherit', 'inherit', ...options.sockets.map(({ fd }) => fd), 'ipc'],
    })
    child.on('error', () => {}) // 'exit' or a failed `send` follows
    const successor = new Successor(child, options)
    await successor.#step('prepared', { type: 'begin', v: VERSION, sockets, state })
    return successor
  }

  /**
   * Lets the successor open what only one process may have, and waits until it listens.
   *
   * @throws {HandOverError} when it ends or takes too long: it has ended then, and has nothing open.
   */
  async takeOver(): Promise<void> {
    await this.#step('ready', { type: 'yours' })
  }

  /** This process accepts no connections any more. The successor is independent of it from now on. */
  release(): void {
    this.#child.send({ type: 'alone' }, () => {
      if (this.#child.connected) this.#child.disconnect()
    })
    this.#child.unref()
  }

  /** Ends the successor and waits for its end. */
  async kill(): Promise<void> {
    const { exitCode, signalCode, pid } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    const exited = new Promise((resolve) => this.#child.once('exit', resolve))
    if (this.#endMs > 0) this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), this.#endMs)
    await exited
    clearTimeout(timer)
  }

  /** Sends a message and waits for the answer; without it the successor is ended. */
  async #step(answer: Message['type'], message: Message | Begin<HandedSocket>): Promise<void> {
    const child = this.#child
    const limit = graceSignal(this.#timeoutMs, this.#signal)
    let stop = (): void => {}
    try {
      await new Promise<void>((resolve, reject) => {
        const onMessage = (received: unknown): void => {
          if (typeOf(received) === answer) resolve()
        }
        const onExit = (code: number | null, signal: NodeJS.Signals | null): void => {
          reject(new HandOverError(`the successor ended (${signal ?? `exit code ${code}`})`))
        }
        const onError = (cause: Error): void =>
          reject(new HandOverError(`the successor cannot be started: ${cause.message}`, { cause }))
        const onAbort = (): void => {
          const late = new HandOverError(`the successor took longer than ${this.#timeoutMs} ms`)
          reject(this.#signal.aborted ? this.#signal.reason : late)
        }
        child.on('message', onMessage).once('exit', onExit).once('error', onError)
        limit.addEventListener('abort', onAbort, { once: true })
        stop = () => {
          child.off('message', onMessage).off('exit', onExit).off('error', onError)
          limit.removeEventListener('abort', onAbort)
        }
        if (limit.aborted) onAbort()
        else if (child.exitCode !== null || child.signalCode !== null) {
          onExit(child.exitCode, child.signalCode)
        } else if (child.pid !== undefined) child.send(message, () => {}) // `exit` follows an error
      })
    } catch (error) {
      await this.kill()
      throw error
    } finally {
      stop()
    }
  }
}

/** The channel of a child process; `process` is one. */
export interface HandOverHost {
  /** Whether the channel is open. */
  readonly connected: boolean
  /** Sends a message to the parent. Without a callback, a failure is an `error` event, which ends the process. */
  send?(message: unknown, onSent: (error: Error | null) => void): boolean
  /** Closes the channel. */
  disconnect(): void
  /** Listens for messages and for the end of the channel. */
  on(event: 'message' | 'disconnect', listener: (message?: unknown) => void): unknown
  /** Stops to listen. */
  off(event: 'message' | 'disconnect', listener: (message?: unknown) => void): unknown
}

/** The process that this one replaces; the end of the successor. */
export class Predecessor<Socket extends HandedSocket = HandedSocket> {
  /** The sockets, with their descriptors in this process. */
  readonly sockets: readonly Socket[]
  /** What else the running program has sent. The caller checks its shape. */
  readonly state: unknown
  readonly #host: HandOverHost

  private constructor(host: HandOverHost, { sockets, state }: Begin<Socket>) {
    this.#host = host
    this.sockets = sockets
    this.state = state
  }

  /**
   * Takes the first message, if this process is a successor. It was sent by the same program, so the form
   * of its sockets is not checked beyond its version.
   *
   * @param env - the variable that announces it is deleted from it.
   * @returns undefined when this process is no successor.
   * @throws {HandOverError} for another version, or when the running program is gone.
   */
  static async receive<Socket extends HandedSocket>(
    host: HandOverHost,
    env: Record<string, string | undefined>,
  ): Promise<Predecessor<Socket> | undefined> {
    const version = env[VARIABLE]
    if (version === undefined) return undefined
    delete env[VARIABLE]
    if (!host.connected) throw new HandOverError('the process to be replaced is gone')
    if (version !== String(VERSION)) {
      throw new HandOverError(`the hand-over has version ${version}, this program has ${VERSION}`)
    }
    const begin = await message(host, 'begin')
    if (begin === undefined) throw new HandOverError('the process to be replaced is gone')
    return new Predecessor(host, begin as Begin<Socket>)
  }

  /**
   * This process can take over. Waits until the running program has closed what only one may have open.
   *
   * @throws {HandOverError} when that is gone: its socket or its data may have another owner.
   */
  async prepared(): Promise<void> {
    this.#send('prepared')
    if ((await message(this.#host, 'yours')) !== undefined) return
    throw new HandOverError('the process to be replaced is gone')
  }

  /** This process listens. Waits until the running program accepts no connections any more. */
  async ready(): Promise<void> {
    if (!this.#host.connected) return
    this.#send('ready')
    const waiting = new AbortController()
    await Promise.race([
      message(this.#host, 'alone'),
      delay(ALONE_TIMEOUT_MS, undefined, { signal: waiting.signal }).catch(() => {}),
    ])
    waiting.abort()
    if (this.#host.connected) this.#host.disconnect()
  }

  #send(type: Message['type']): void {
    // The running program may have been killed: the end of the channel follows an error.
    this.#host.send?.({ type } satisfies Message, () => {})
  }
}

/** Waits for a message of one type. @returns undefined when the channel is closed. */
async function message(host: HandOverHost, type: string): Promise<unknown> {
  let stop = (): void => {}
  try {
    return await new Promise((resolve) => {
      const onMessage = (received: unknown): void => {
        if (typeOf(received) === type) resolve(received)
      }
      const onDisconnect = (): void => resolve(undefined)
      host.on('message', onMessage)
      host.on('disconnect', onDisconnect)
      stop = () => {
        host.off('message', onMessage)
        host.off('disconnect', onDisconnect)
      }
      if (!host.connected) onDisconnect()
    })
  } finally {
    stop()
  }
}

function typeOf(received: unknown): unknown {
  return typeof received === 'object' && received !== null && 'type' in received
    ? received.type
    : undefined
}
