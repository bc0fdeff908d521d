import { EXIT, UserError } from './exit-code.ts'
import type { HandedSocket } from './hand-over.ts'
import {
  type HandleChannel,
  readToWorker,
  sendOn,
  type SocketHandle,
  type ToWorker,
  WORKER_VARIABLE,
  WORKER_VERSION,
} from './worker-messages.ts'

/** The parent of this process, where it is a worker of a `WorkerPool`. */
export class WorkerParent<Socket extends HandedSocket = HandedSocket> {
  /** Number of this worker, from 1. */
  readonly id: number
  /** What the parent has sent. The caller checks its shape. */
  readonly state: unknown
  /** Resolves when the parent asks this process to end, or is gone. Never rejects. */
  readonly stopped: Promise<{
    /** Whether another process does its work already. */
    readonly isReplaced: boolean
  }>
  readonly #channel: HandleChannel

  private constructor(channel: HandleChannel, { id, state }: Extract<ToWorker, { type: 'begin' }>) {
    this.#channel = channel
    this.id = id
    this.state = state
    this.stopped = nextOf(channel, 'stop').then((stop) => {
      return { isReplaced: stop?.isReplaced === true }
    })
  }

  /**
   * Takes the first message, if this process is a worker.
   *
   * @param env - the variable that announces it is deleted from it.
   * @returns undefined when this process is no worker.
   * @throws {UserError} the parent is gone, or of another version.
   */
  static async receive<Socket extends HandedSocket>(
    channel: HandleChannel,
    env: Record<string, string | undefined>,
  ): Promise<WorkerParent<Socket> | undefined> {
    const version = env[WORKER_VARIABLE]
    if (version === undefined) return undefined
    delete env[WORKER_VARIABLE]
    if (version !== String(WORKER_VERSION)) {
      const why = `the parent has version ${version} of workers, this program ${WORKER_VERSION}`
      throw new UserError(why, { exitCode: EXIT.failed })
    }
    const begin = await nextOf(channel, 'begin')
    if (begin === undefined) throw gone()
    return new WorkerParent(channel, begin)
  }

  /**
   * This process can begin. Waits for its listening sockets.
   *
   * @returns the sockets, with their descriptors in this process, as the parent has described them.
   * @throws {UserError} the parent is gone.
   */
  async prepared(): Promise<readonly Socket[]> {
    const received = receiveSockets<Socket>(this.#channel)
    sendOn(this.#channel, { type: 'prepared' })
    const sockets = await received
    if (sockets === undefined) throw gone()
    return sockets
  }

  /** This process listens. */
  ready(): void {
    sendOn(this.#channel, { type: 'ready' })
  }

  /** Closes the channel, which keeps this process alive. */
  close(): void {
    if (this.#channel.connected) this.#channel.disconnect()
  }
}

function gone(): UserError {
  return new UserError('the parent of this worker is gone', { exitCode: EXIT.failed })
}

/** Waits for a message of one type. @returns undefined when the channel is closed. */
async function nextOf<Type extends ToWorker['type']>(
  channel: HandleChannel,
  type: Type,
): Promise<Extract<ToWorker, { type: Type }> | undefined> {
  return await listenUntil(channel, (received) => {
    const message = readToWorker(received)
    return message?.type === type ? (message as Extract<ToWorker, { type: Type }>) : undefined
  })
}

async function receiveSockets<Socket extends HandedSocket>(
  channel: HandleChannel,
): Promise<readonly Socket[] | undefined> {
  const sockets: Socket[] = []
  return await listenUntil(channel, (received, handle) => {
    const message = readToWorker(received)
    if (message?.type === 'none') return sockets
    if (message?.type !== 'socket') return undefined
    const { index, facts, isCopied, isLast } = message
    const socket = handle as SocketHandle
    sockets.push({ ...facts, fd: socket.fd } as Socket) // as it was sent
    if (isCopied) sendOn(channel, { type: 'copy', index }, socket)
    return isLast ? sockets : undefined
  })
}

/** Listens until a message has a result. @returns undefined when the channel is closed. */
async function listenUntil<Result>(
  channel: HandleChannel,
  read: (message: unknown, handle: unknown) => Result | undefined,
): Promise<Result | undefined> {
  return await new Promise((resolve) => {
    const end = (result: Result | undefined): void => {
      channel.off('message', onMessage)
      channel.off('disconnect', onDisconnect)
      resolve(result)
    }
    const onMessage = (message: unknown, handle: unknown): void => {
      const result = read(message, handle)
      if (result !== undefined) end(result)
    }
    const onDisconnect = (): void => end(undefined)
    channel.on('message', onMessage)
    channel.on('disconnect', onDisconnect)
    if (!channel.connected) end(undefined)
  })
}
